"""The pod network: projectcalico.org/v3 resources in Calico's own etcd layout, and the agent on each host.

Words and decisions, pure: `resources` (documents, names, defaults), `selector`, `calc` (everything there is -> one
host's dataplane and routes), `attach` (a CNI request -> an endpoint), `view` (-> tunnel, routes, BIRD), `bird.render`,
`dataplane.policy` and `dataplane.routes`, `ipam.plan`.

Effects: `datastore` and `ipam` (etcd), `dataplane.loop` and `.tunnels` (kernel), `bpf` (IP-in-IP where the kernel has
none), `bird.control` and `.keeper`, `pods` (ADD, DEL, CHECK), `registration`, `convergence` (calculates and applies).

Doors: `agent` (the daemon; `agent.main(config)`), `server` and `client` (its socket), `report` (its status),
`resource_ops`. Names below are loaded when first used: the command line must start quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundplane.network.bird import initial as bird_stub
    from groundplane.network.client import AgentClient, AgentSilent

__all__ = ["AgentClient", "AgentSilent", "bird_stub"]

_HOMES = {
    "AgentClient": ("client", "AgentClient"),
    "AgentSilent": ("client", "AgentSilent"),
    "bird_stub": ("bird.render", "initial"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(f"{__name__}.{module}"), attribute)
