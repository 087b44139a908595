"""`resources.apply`, `.list` and `.delete` on the agent's socket: all documents are checked before any is written."""

from collections.abc import Mapping
from typing import Any

from groundplane.errors import Invalid, NotFound
from groundplane.network.built import check_built
from groundplane.network.datastore import Datastore
from groundplane.network.ipam import Allocator
from groundplane.network.resources import Node, Resource, key_of, kind_named, parse, to_json
from groundplane.network.resources import document as documents

# What others refer to comes first; kinds that are not named come in between.
_FIRST = ("Tier", "ClusterInformation", "BGPConfiguration", "IPPool", "Node", "Profile")


def parse_all(found: object) -> tuple[Resource, ...]:
    """Read a list of documents, in the order to write them. Raises Invalid and Unimplemented, naming the field."""
    if not isinstance(found, list):
        raise Invalid("is not a list of documents", to="documents")
    parsed = []
    for index, document in enumerate(found):
        if not isinstance(document, Mapping):
            raise Invalid("is not an object", to=f"documents[{index}]")
        resource = parse(document, at=f"documents[{index}]")
        check_built(resource, at=key_of(resource))
        parsed.append(resource)
    return tuple(sorted(parsed, key=lambda one: _FIRST.index(one.kind) if one.kind in _FIRST else len(_FIRST)))


async def apply_all(store: Datastore, found: object) -> list[dict[str, str]]:
    """Write them; a document for each, with its revision."""
    answers = []
    for resource in parse_all(found):
        written = await store.apply(resource)
        key = key_of(written)
        answers.append(
            {
                "kind": key.kind,
                "name": key.name,
                "namespace": key.namespace,
                "revision": written.metadata.resource_version,
            }
        )
    return answers


async def list_all(store: Datastore, message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All of `kind` as documents, with their revisions."""
    kind = _class(message.get("kind"))
    found = await store.list(kind, namespace=str(message.get("namespace") or ""))
    answers = []
    for one in found:
        document = to_json(one)
        metadata = document["metadata"]
        assert isinstance(metadata, dict)
        metadata["resourceVersion"] = one.metadata.resource_version
        answers.append(document)
    return answers


async def delete_one(store: Datastore, allocator: Allocator, message: Mapping[str, Any]) -> dict[str, Any]:
    """Remove `kind` `name`; a Node takes its blocks and tunnel address along. Raises NotFound."""
    kind = _class(message.get("kind"))
    name, namespace = str(message.get("name") or ""), str(message.get("namespace") or "")
    if not await store.delete(kind, name, namespace=namespace):
        raise NotFound("is not there", to=f"{kind.kind} {f'{namespace}/' if namespace else ''}{name}")
    if kind is Node:
        await allocator.release_host(name)
    return {}


def _class(name: object) -> type[Resource]:
    found = kind_named(str(name or ""), at="kind")
    classes: dict[str, type[Resource]] = {one.kind: one for one in documents.Resource.__args__}
    return classes[found.name]
