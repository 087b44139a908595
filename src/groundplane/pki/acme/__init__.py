"""An ACME server (RFC 8555) on the same CA, profiles and certificate database as everything else of `pki`.

Read in this order. Words: `model`, `problem`, `config`. Decisions: `identifiers` (what may be certified), `addresses`
(what may be connected to), `plan` (states), `csr` (does it fit its order), `caa`, `jose` (signed requests), `nonces`.
Effects: `tables`, `store`, `order_store` (the database), `ledger` (what was issued), `issuer`, `resolve`, `reach`,
`http01`, `dns01`, `tlsalpn01`, `validation`. Requests: `context`, `authentication`, `accounts`, `orders`,
`authorizations`, `revocations`, `renewals`. Doors: `app` (HTTP), `throttle`, `worker` (beside the requests),
`identity` (its own certificate), `http` (uvicorn, bounded), `engine`, `material` (what the
configuration names), `server` (the daemon).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundplane.pki.acme.config import Config, parse_config

_HOME_OF = {"Config": "config", "parse_config": "config"}

__all__ = ["Config", "parse_config"]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
