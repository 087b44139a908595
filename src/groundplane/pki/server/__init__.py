"""The HTTP API of `cfssl serve`: its endpoints, and the processes that serve them.

Read in this order. Words: `model` (a call, a result, an endpoint), `services` (what endpoints work with), `settings`.
Decisions: `envelope` (CFSSL's JSON and codes), `mux` (paths), `endpoints` (one function each), `routes` (which there
are). Doors: `app` (ASGI), `protocol` (one connection, bounded), `pages`. Effects: `tls`, `log`, `parts` (services from
files), `site` (all of it together), `worker` and `workers` (processes), `run`.

Another server, with rules of its own, takes the same parts: an `Observer` admits and audits calls, `Endpoint.dangerous`
says what should be off, `workers.Master` runs any `workers.Site`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundplane.pki.server.app import Application
    from groundplane.pki.server.model import Answer, Call, Endpoint, Observer, Refused, Result
    from groundplane.pki.server.routes import routes
    from groundplane.pki.server.run import run
    from groundplane.pki.server.services import Services
    from groundplane.pki.server.settings import Settings
    from groundplane.pki.server.site import Server, build
    from groundplane.pki.server.workers import Master, Site, listen

_HOMES = {
    "app": ("Application",),
    "model": ("Answer", "Call", "Endpoint", "Observer", "Refused", "Result"),
    "routes": ("routes",),
    "run": ("run",),
    "services": ("Services",),
    "settings": ("Settings",),
    "site": ("Server", "build"),
    "workers": ("Master", "Site", "listen"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Answer",
    "Application",
    "Call",
    "Endpoint",
    "Master",
    "Observer",
    "Refused",
    "Result",
    "Server",
    "Services",
    "Settings",
    "Site",
    "build",
    "listen",
    "routes",
    "run",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
