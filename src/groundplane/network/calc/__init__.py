"""The calculation: all resources, as one host's dataplane and routes. Pure; nothing here does I/O.

- `model`: the dataplane as plain data, the meeting point with `network.dataplane`
- `state`: every resource and block there is, immutable; events make the next one
- `index`: labels and what they inherit; selector -> who is selected
- `policy`: which policies police which endpoint, in what order
- `rules`: a resource's rule -> resolved rules
- `graph`: `compute(state, node=…)` puts it together
- `routes`: where remote blocks are, and who programs them
- `evaluate`: what a `Dataplane` does with a packet
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundplane.network.calc.evaluate import Packet, Verdict, decide
    from groundplane.network.calc.graph import compute
    from groundplane.network.calc.routes import BlockRoute, LocalBlock, Routes, plan_routes
    from groundplane.network.calc.state import State

__all__ = ["BlockRoute", "LocalBlock", "Packet", "Routes", "State", "Verdict", "compute", "decide", "plan_routes"]

_HOMES = {
    "BlockRoute": "routes",
    "LocalBlock": "routes",
    "Packet": "evaluate",
    "Routes": "routes",
    "State": "state",
    "Verdict": "evaluate",
    "compute": "graph",
    "decide": "evaluate",
    "plan_routes": "routes",
}


def __getattr__(name: str) -> object:
    """Import late: the resources need only `calc.model`, and `calc` needs the resources."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
