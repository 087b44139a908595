"""Labels, and who is selected by them.

An endpoint's labels are its own, those its profiles (its namespace, its service account) hand down, and three that say
where it belongs. Its own win over inherited ones, but may not pretend to be inherited: a pod that could set `pcns.`
labels could talk itself into another namespace.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from groundplane.network.calc.model import IPNetwork
from groundplane.network.resources import GlobalNetworkSet, NetworkSet, Profile, WorkloadEndpoint
from groundplane.network.resources.endpoint import EndpointPort
from groundplane.network.selector import (
    NAMESPACE,
    NAMESPACE_PREFIX,
    ORCHESTRATOR,
    SERVICE_ACCOUNT,
    SERVICE_ACCOUNT_PREFIX,
    Selector,
)

_MAX_LABEL = 63


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Something with labels and addresses. Compared by identity: it lives as long as one calculation."""

    labels: Mapping[str, str]
    nets: tuple[IPNetwork, ...]
    ports: tuple[EndpointPort, ...] = ()
    endpoint: WorkloadEndpoint | None = None


class Index:
    """All that selectors can find."""

    def __init__(self, items: Sequence[Labelled]) -> None:
        self._items = items
        self._by_label: dict[tuple[str, str], list[Labelled]] = defaultdict(list)
        for item in items:
            for pair in item.labels.items():
                self._by_label[pair].append(item)

    def select(self, selector: Selector) -> Iterator[Labelled]:
        """Find what a selector selects. Where it insists on a label, only those that have it are asked."""
        need = selector.needs()
        if need is None:
            candidates: Iterable[Labelled] = self._items
        else:
            key, values = need
            candidates = [item for value in set(values) for item in self._by_label.get((key, value), ())]
        matches = selector.node.matches
        return (item for item in candidates if matches(item.labels))


def endpoint_labels(endpoint: WorkloadEndpoint, profiles: Mapping[str, Profile]) -> dict[str, str]:
    """Compute the labels that selectors see."""
    own = {
        key: value
        for key, value in endpoint.metadata.labels.items()
        if not key.startswith((NAMESPACE_PREFIX, SERVICE_ACCOUNT_PREFIX))
    }
    labels = _inherited(endpoint.profiles, profiles) | own
    labels[NAMESPACE] = endpoint.namespace
    labels[ORCHESTRATOR] = endpoint.orchestrator
    labels.pop(SERVICE_ACCOUNT, None)
    if endpoint.service_account_name and len(endpoint.service_account_name) <= _MAX_LABEL:
        labels[SERVICE_ACCOUNT] = endpoint.service_account_name
    return labels


def _inherited(names: Sequence[str], profiles: Mapping[str, Profile]) -> dict[str, str]:
    """Gather what profiles hand down; where two hand down the same key, the first named wins."""
    found: dict[str, str] = {}
    for name in reversed(names):
        if name in profiles:
            found |= profiles[name].labels_to_apply
    return found


def set_labels(found: NetworkSet | GlobalNetworkSet, profiles: Mapping[str, Profile]) -> dict[str, str]:
    """Compute those of a network set: one in a namespace inherits as its pods do."""
    if isinstance(found, GlobalNetworkSet):
        return dict(found.metadata.labels)
    inherited = _inherited((f"kns.{found.namespace}",), profiles)
    return inherited | dict(found.metadata.labels) | {NAMESPACE: found.namespace}
