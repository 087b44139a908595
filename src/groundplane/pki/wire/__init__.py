"""CFSSL's own files, read verbatim: `policy` is ca-config.json, `request` is the CSR JSON.

`json_tree` is JSON that knows its paths, `duration` Go's durations. Strict by default: what CFSSL ignores in silence
(an unknown field, usage or profile) is refused with the nearest valid name; `strict=False` ignores it as CFSSL does.
Only Invalid is raised. Each door is loaded when first used, since commands need one and should start quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundplane.pki.wire.policy import parse_policy
    from groundplane.pki.wire.request import parse_request

_HOME_OF = {"parse_policy": "policy", "parse_request": "request"}

__all__ = ["parse_policy", "parse_request"]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
