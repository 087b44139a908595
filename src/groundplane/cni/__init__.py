"""The Container Network Interface, both ends (CNI specification 0.3.0 to 1.1.0).

- `model`: attachments, network configurations, results by specification version, error objects. Pure.
- `request`: environment and standard input of a plugin call -> a checked `Request`. Pure.
- `chain`: libcni's role: run a list of plugins for an attachment, with libcni's result cache.
- `client`: the agent's socket, one JSON object a line.
- `executable`: the text of `/opt/cni/bin/groundplane`; `__main__`: what that file runs. It imports next to nothing,
  so this contents page imports nothing either until a name is asked for.
"""

TYPE_CHECKING = False  # typing's own costs the executable 5 ms

if TYPE_CHECKING:
    from groundplane.cni.cache import ResultCache
    from groundplane.cni.chain import NetworkList, load_network
    from groundplane.cni.errors import PluginFailed, PluginUnavailable, cni_error
    from groundplane.cni.executable import executable_text
    from groundplane.cni.model import (
        DNS,
        VERSIONS,
        Attachment,
        Interface,
        IPConfig,
        NetConf,
        Result,
        Route,
    )
    from groundplane.cni.request import Request, parse_request

_HOME = {
    "ResultCache": "cache",
    "NetworkList": "chain",
    "load_network": "chain",
    "PluginFailed": "errors",
    "PluginUnavailable": "errors",
    "cni_error": "errors",
    "executable_text": "executable",
    "VERSIONS": "model",
    "Attachment": "model",
    "DNS": "model",
    "Interface": "model",
    "IPConfig": "model",
    "NetConf": "model",
    "Result": "model",
    "Route": "model",
    "Request": "request",
    "parse_request": "request",
}

__all__ = [
    "DNS",
    "VERSIONS",
    "Attachment",
    "IPConfig",
    "Interface",
    "NetConf",
    "NetworkList",
    "PluginFailed",
    "PluginUnavailable",
    "Request",
    "Result",
    "ResultCache",
    "Route",
    "cni_error",
    "executable_text",
    "load_network",
    "parse_request",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"groundplane.cni.{_HOME[name]}"), name)
