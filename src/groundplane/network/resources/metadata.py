"""The metadata that every resource carries, and the rules of names and labels (Kubernetes' own)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from groundplane.network.resources.fields import Fields

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_MAX_SUBDOMAIN = 253
_DNS_LABEL = re.compile(_LABEL)
_QUALIFIED = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_MAX_ANNOTATIONS_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """`resource_version` is the key's etcd revision in decimal; empty in a document that a user wrote."""

    name: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    generate_name: str = ""
    uid: str = ""
    creation_timestamp: str = ""
    resource_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What all resources have in common."""

    kind: ClassVar[str]
    metadata: Metadata

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """`metadata.namespace`, empty if the kind has none."""
        return self.metadata.namespace


def subdomain(text: str) -> str:
    """Parse a lower-case DNS subdomain of at most 253 characters."""
    if len(text) > _MAX_SUBDOMAIN or not _SUBDOMAIN.fullmatch(text):
        raise ValueError(
            f"{text[:80]!r} is not a name: use at most 253 of a-z, 0-9, - and ., each part beginning and ending with "
            "a letter or digit"
        )
    return text


def dns_label(text: str) -> str:
    """Parse a DNS label: at most 63 characters, no dots."""
    if not _DNS_LABEL.fullmatch(text):
        raise ValueError(
            f"{text[:80]!r} is not a label: use 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends"
        )
    return text


def read_metadata(fields: Fields, *, namespaced: bool) -> Metadata:
    """Read `metadata`; a namespaced resource without one is in `default`. The kind's own rule of names comes later."""
    meta = fields.sub("metadata")
    name = meta.required("name", subdomain)
    namespace = meta.parsed("namespace", dns_label)
    if namespaced:
        namespace = namespace or "default"
    elif namespace is not None:
        meta.refuse("this kind is not in a namespace", "namespace", hint="remove the field")
    found = Metadata(
        name=name,
        namespace=namespace or "",
        labels=_labels(meta),
        annotations=_annotations(meta),
        generate_name=meta.text("generateName"),
        uid=meta.text("uid"),
        creation_timestamp=meta.text("creationTimestamp"),
        resource_version=meta.text("resourceVersion"),
    )
    # Filled in by servers; an exported document carries them.
    meta.passed_over("generation", "managedFields", "ownerReferences", "selfLink", "deletionTimestamp", "finalizers")
    meta.passed_over("deletionGracePeriodSeconds")
    meta.done()
    return found


def write_metadata(metadata: Metadata) -> dict[str, object]:
    """Write it as it is stored: the revision is the store's own business."""
    pairs = {
        "name": metadata.name,
        "generateName": metadata.generate_name,
        "namespace": metadata.namespace,
        "uid": metadata.uid,
        "creationTimestamp": metadata.creation_timestamp or None,
        "labels": dict(metadata.labels),
        "annotations": dict(metadata.annotations),
    }
    return {name: value for name, value in pairs.items() if value or name == "creationTimestamp"}


def _labels(meta: Fields) -> dict[str, str]:
    labels = meta.table("labels")
    for key, value in labels.items():
        prefix, slash, name = key.rpartition("/")
        if not _QUALIFIED.fullmatch(name) or (slash and not _SUBDOMAIN.fullmatch(prefix)):
            meta.refuse(f"{key!r} is not a label's key", "labels", hint="use [prefix/]name of at most 63 characters")
        if not _VALUE.fullmatch(value):
            meta.refuse(
                f"{value!r} is not the value of a label", f"labels.{key}", hint="use at most 63 of A-Za-z0-9_.-"
            )
    return labels


def _annotations(meta: Fields) -> dict[str, str]:
    annotations = meta.table("annotations")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _MAX_ANNOTATIONS_BYTES:
        meta.refuse(f"{size} bytes in all, at most {_MAX_ANNOTATIONS_BYTES} are allowed", "annotations")
    return annotations
