"""Online certificate status (RFC 6960): requests, answers, and the responder that CFSSL's clients know.

Read in this order. Words: `model`. Strangers' octets: `strict`, `request`. Names of certificates: `identity`. Makers:
`responder` (signs), `answers` (those signed earlier). `sources` finds an answer: in a file, in a database's table, or
signed live from the ledger of certificates (`ledger`). Doors: `http` (decides), `app` (ASGI), `site` and
`serve` (the processes). What a client thinks of an answer is in `groundplane.pki.chain.revocation`.
Names here are loaded when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundplane.pki.ocsp.app import ResponderApp
    from groundplane.pki.ocsp.identity import id_of
    from groundplane.pki.ocsp.model import CertificateStatus, Digest, Request, Single, Standing
    from groundplane.pki.ocsp.request import make_request, parse_request
    from groundplane.pki.ocsp.responder import AnswerKey, Responder, open_responder
    from groundplane.pki.ocsp.sources import FileSource, Live, TableSource

_HOMES = {
    "app": ("ResponderApp",),
    "identity": ("id_of",),
    "model": ("CertificateStatus", "Digest", "Request", "Single", "Standing"),
    "request": ("make_request", "parse_request"),
    "responder": ("AnswerKey", "Responder", "open_responder"),
    "sources": ("FileSource", "Live", "TableSource"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AnswerKey",
    "CertificateStatus",
    "Digest",
    "FileSource",
    "Live",
    "Request",
    "Responder",
    "ResponderApp",
    "Single",
    "Standing",
    "TableSource",
    "id_of",
    "make_request",
    "open_responder",
    "parse_request",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
