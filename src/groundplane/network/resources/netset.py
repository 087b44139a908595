"""NetworkSet and GlobalNetworkSet: labelled networks, for selectors to find."""

from dataclasses import dataclass
from typing import ClassVar

from groundplane.network.resources.fields import Fields
from groundplane.network.resources.metadata import Meta, Metadata
from groundplane.network.resources.values import IPNetwork, net
from groundplane.network.selector import NAMESPACE


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSet(Meta):
    """Networks that belong to a namespace: they inherit its labels."""

    kind: ClassVar[str] = "NetworkSet"
    metadata: Metadata
    nets: tuple[IPNetwork, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalNetworkSet(Meta):
    """Networks that belong to no namespace."""

    kind: ClassVar[str] = "GlobalNetworkSet"
    metadata: Metadata
    nets: tuple[IPNetwork, ...] = ()


def read_network_set(metadata: Metadata, spec: Fields) -> NetworkSet:
    """Read the spec."""
    return NetworkSet(metadata=metadata, nets=_read_nets(metadata, spec))


def read_global_network_set(metadata: Metadata, spec: Fields) -> GlobalNetworkSet:
    """Read the spec."""
    return GlobalNetworkSet(metadata=metadata, nets=_read_nets(metadata, spec))


def _read_nets(metadata: Metadata, spec: Fields) -> tuple[IPNetwork, ...]:
    nets = spec.each("nets", net)
    spec.done()
    if NAMESPACE in metadata.labels:
        spec.refuse(f"the label {NAMESPACE} is not for users to set", hint="use a NetworkSet in that namespace")
    return nets


def write_nets(found: NetworkSet | GlobalNetworkSet) -> dict[str, object]:
    """Write the spec as it is stored."""
    return {"nets": [str(each) for each in found.nets]} if found.nets else {}
