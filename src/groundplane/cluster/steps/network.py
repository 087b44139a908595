"""The network's resources: what the file says, in Calico's layout in etcd; what it said last and says no more, gone."""

from collections.abc import Iterable, Mapping

from groundplane.cluster.model import Cluster, Host, Role
from groundplane.etcd import Client
from groundplane.network.bird import render
from groundplane.network.calc.state import State
from groundplane.network.datastore import Datastore
from groundplane.network.ipam import Allocator, EtcdStore
from groundplane.network.registration import wanted_node
from groundplane.network.resources import Node, Resource, WorkloadEndpoint, parse, to_json
from groundplane.network.view import bird_view


def wanted(cluster: Cluster) -> dict[str, Resource]:
    """The resources of the cluster file by name, such as `IPPool default-ipv4-ippool`."""
    found = (parse(document, at=cluster.resources_source) for document in cluster.resources)
    return {describe(resource): resource for resource in found}


def first_bird_config(cluster: Cluster, host: Host) -> str:
    """BIRD's file for a host before its agent runs: the whole mesh, no blocks yet. Pure.

    It is what the agent will render once the nodes are registered, so that sessions come up while etcd still forms,
    and stay up when the agent adds the host's blocks.
    """
    nodes = [wanted_node(None, name=other.name, address=other.address) for other in cluster.with_role(Role.NODE)]
    state = State.of([*wanted(cluster).values(), *nodes])
    return render(bird_view(state, node=host.name, address=host.address))


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


async def register_nodes(cluster: Cluster, client: Client) -> tuple[str, ...]:
    """See that every host with the role node has its Node, and that no other has one. What it did, in words.

    Each agent looks after its own Node; written here first, all agents know the whole mesh from their first look.
    A node that the file names no more takes its endpoints, blocks and tunnel address along, as Calico's does.
    """
    store, done = Datastore(client), []
    found = {node.name: node for node in await store.list(Node)}
    hosts = cluster.with_role(Role.NODE)
    for host in hosts:
        node = wanted_node(found.get(host.name), name=host.name, address=host.address)
        if node != found.get(host.name):
            await store.apply(node)
            if host.name not in found:
                done.append(f"Node {host.name}")
    for name in sorted(set(found) - {host.name for host in hosts}):
        await _forget_node(store, client, name)
        done.append(f"removed Node {name}")
    return tuple(done)


async def _forget_node(store: Datastore, client: Client, name: str) -> None:
    allocator = Allocator(EtcdStore(client))
    for endpoint in await store.list(WorkloadEndpoint):
        if endpoint.node == name:
            await store.delete(WorkloadEndpoint, endpoint.metadata.name, namespace=endpoint.metadata.namespace)
    await store.delete(Node, name)
    await allocator.release_host(name)
