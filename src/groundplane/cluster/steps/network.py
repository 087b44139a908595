"""The network's resources: what the file says, in Calico's layout in etcd; what it said last and says no more, gone."""

from collections.abc import Iterable, Mapping

from groundplane.cluster.model import Cluster
from groundplane.etcd import Client
from groundplane.network.datastore import Datastore
from groundplane.network.resources import Resource, parse, to_json


def wanted(cluster: Cluster) -> dict[str, Resource]:
    """The resources of the cluster file by name, such as `IPPool default-ipv4-ippool`."""
    found = (parse(document, at=cluster.resources_source) for document in cluster.resources)
    return {describe(resource): resource for resource in found}


def describe(resource: Resource) -> str:
    """`Kind name` or `Kind namespace/name`."""
    metadata = resource.metadata
    return (
        f"{resource.kind} {metadata.namespace}/{metadata.name}"
        if metadata.namespace
        else f"{resource.kind} {metadata.name}"
    )


async def compare(cluster: Cluster, client: Client) -> dict[str, str]:
    """Each wanted resource by what is in etcd: "" the same, "missing", "different"."""
    store = Datastore(client)
    found: dict[str, str] = {}
    for name, resource in wanted(cluster).items():
        there = await store.get(type(resource), resource.metadata.name, namespace=resource.metadata.namespace)
        if there is None:
            found[name] = "missing"
        else:
            found[name] = "" if same(resource, there) else "different"
    return found


def same(one: Resource, other: Resource) -> bool:
    """Whether two resources say the same; what the store adds (uid, times, revisions) does not count. Pure."""
    return _said(to_json(one)) == _said(to_json(other))


def _said(document: Mapping[str, object]) -> tuple[object, object, object]:
    metadata = document["metadata"]
    assert isinstance(metadata, Mapping)
    own = {key: value for key, value in (metadata.get("labels") or {}).items() if key != "projectcalico.org/tier"}
    return document["kind"], own, document.get("spec")


def stale(cluster: Cluster, before: Cluster | None) -> dict[str, Resource]:
    """What the cluster that was brought up last named, and this one does not. Pure."""
    if before is None:
        return {}
    now = wanted(cluster)
    return {name: resource for name, resource in wanted(before).items() if name not in now}


async def apply(
    cluster: Cluster, client: Client, states: Mapping[str, str], gone: Iterable[Resource]
) -> tuple[str, ...]:
    """Write what is missing or different, remove what is gone. What it did, in words."""
    store = Datastore(client)
    done = []
    for name, resource in wanted(cluster).items():
        if states.get(name, "missing"):
            await store.apply(resource)
            done.append(name)
    for resource in gone:
        if await store.delete(type(resource), resource.metadata.name, namespace=resource.metadata.namespace):
            done.append(f"removed {describe(resource)}")  # noqa: PERF401 - it awaits
    return tuple(done)
