"""A pair that keeps itself fresh, and TLS with it: CFSSL's transport.

An identity (JSON) says who one is, which CFSSL server signs, where key and certificate are kept, and whom to trust.
Words: `model`, `identity` (the file). Decisions: `plan` (when to ask, and when again after a failure). Effects:
`authority` (the server that signs), `roots` (whom to trust), `pair` (key and certificate), `transport` (all of it: TLS
contexts that follow the certificate, and calls to others), `keeper` (the daemon).

    transport = await asyncio.to_thread(open_transport, parse_identity(data, source="identity.json"))
    context = transport.client_context()          # new connections show the newest certificate
    await Keeper(transport=transport).run()       # until a signal
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundplane.pki.transport.identity import parse_identity
    from groundplane.pki.transport.keeper import Keeper
    from groundplane.pki.transport.model import Access, Identity, Paths, RootSource
    from groundplane.pki.transport.transport import Transport, open_transport

_HOMES = {
    "identity": ("parse_identity",),
    "keeper": ("Keeper",),
    "model": ("Access", "Identity", "Paths", "RootSource"),
    "transport": ("Transport", "open_transport"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["Access", "Identity", "Keeper", "Paths", "RootSource", "Transport", "open_transport", "parse_identity"]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
