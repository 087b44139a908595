"""A CA at another CFSSL: asked over HTTP or HTTPS, with or without a token, one server or several in order.

Words: `address` (what may stand after -remote), `wire` (a request for a signature as JSON, both ways). Decisions:
`trouble` (a failed connection in Go's words). Effects: `tls` (whom to trust, whom to be), `post` (one call, bounded in
time and size), `client` (the calls). `signers` is what CFSSL's programs sign with when it is not here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundplane.pki.remote.address import Address, parse_addresses
    from groundplane.pki.remote.client import Client, open_client
    from groundplane.pki.remote.signers import MixedSigners, RemoteSigners
    from groundplane.pki.remote.tls import ClientTLS
    from groundplane.pki.remote.wire import SIGN_REQUEST, request_from, request_json

_HOMES = {
    "address": ("Address", "parse_addresses"),
    "client": ("Client", "open_client"),
    "signers": ("MixedSigners", "RemoteSigners"),
    "tls": ("ClientTLS",),
    "wire": ("SIGN_REQUEST", "request_from", "request_json"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "SIGN_REQUEST",
    "Address",
    "Client",
    "ClientTLS",
    "MixedSigners",
    "RemoteSigners",
    "open_client",
    "parse_addresses",
    "request_from",
    "request_json",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
