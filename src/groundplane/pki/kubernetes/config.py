"""The cluster's file, read strictly.

{"name": "kubernetes", "endpoint": "10.0.0.100:6443",
 "etcd": [{"name": "etcd1", "addresses": ["10.0.0.11"]}],
 "controlPlane": [{"name": "cp1", "addresses": ["10.0.0.21"], "names": ["cp1.example"]}],
 "workers": [{"name": "w1", "addresses": ["10.0.0.31"]}],
 "serviceSubnet": "10.96.0.0/12", "dnsDomain": "cluster.local", "certSANs": ["api.example"],
 "adminGroup": "kubeadm:cluster-admins", "key": "rsa-2048", "caLifetime": "87600h", "lifetime": "8760h",
 "caKeysOnHosts": true}

`etcd` and `controlPlane` must be there. A host may be in several lists, with the same addresses. A node's name has 52
characters at most: with "system:node:" before it, it is a common name, which has 64.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from groundplane.pki.fitness import value_trouble
from groundplane.pki.kubernetes.model import NODE, Cluster, Host
from groundplane.pki.model import KeyAlgorithm, KeySpec
from groundplane.pki.name import COMMON_NAME, OID, ORGANIZATION
from groundplane.pki.wire.document import parse_document
from groundplane.pki.wire.duration import parse_duration
from groundplane.pki.wire.json_tree import Node, nearest

_FIELDS = (
    *("name", "endpoint", "etcd", "controlPlane", "workers", "serviceSubnet", "dnsDomain", "certSANs", "adminGroup"),
    *("key", "caLifetime", "lifetime", "caKeysOnHosts"),
)
KEYS = {
    "rsa-2048": (KeyAlgorithm.RSA, 2048),
    "rsa-3072": (KeyAlgorithm.RSA, 3072),
    "rsa-4096": (KeyAlgorithm.RSA, 4096),
    "ecdsa-256": (KeyAlgorithm.ECDSA, 256),
    "ecdsa-384": (KeyAlgorithm.ECDSA, 384),
}
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_LONGEST_NAME, _LAST_PORT = 253, 65535
_PORT = 6443


def parse_cluster(data: bytes, *, source: str) -> Cluster:
    """The file's content. Raises Invalid, naming the field."""
    top = parse_document(data, source=source, nulls=False)
    fields = top.fields(_FIELDS)
    for name in ("etcd", "controlPlane"):
        if name not in fields:
            raise top.refuse(f"there is no {name!r}", hint=f'add "{name}": [{{"name": "…", "addresses": ["…"]}}]')
    etcd = _hosts(fields["etcd"])
    control_plane = _hosts(fields["controlPlane"], user=NODE)
    workers = _hosts(fields["workers"], user=NODE) if "workers" in fields else ()
    _check_same(top, (*etcd, *control_plane, *workers))
    cluster = Cluster(
        etcd=etcd,
        control_plane=control_plane,
        workers=workers,
        name=_name(fields["name"]) if "name" in fields else "kubernetes",
        endpoint=_endpoint(fields["endpoint"]) if "endpoint" in fields else (str(control_plane[0].addresses[0]), _PORT),
        **_given(fields),  # type: ignore[arg-type] # each of its field's type
    )
    if cluster.lifetime > cluster.ca_lifetime:
        raise fields.get("lifetime", top).refuse("longer than the CA's", hint="shorten it, or lengthen caLifetime")
    return cluster


def _given(fields: Mapping[str, Node]) -> dict[str, object]:
    readers = {
        "serviceSubnet": ("service_subnet", _network),
        "dnsDomain": ("dns_domain", _name),
        "certSANs": ("extra_names", lambda node: node.texts()),
        "adminGroup": ("admin_group", _group),
        "key": ("key", _key),
        "caLifetime": ("ca_lifetime", _span),
        "lifetime": ("lifetime", _span),
        "caKeysOnHosts": ("ca_keys_on_hosts", lambda node: node.boolean()),
    }
    return {ours: read(fields[theirs]) for theirs, (ours, read) in readers.items() if theirs in fields}


def _group(node: Node) -> str:
    return _fit(node, ORGANIZATION, node.text())


def _fit(node: Node, oid: OID, value: str) -> str:
    if trouble := value_trouble(oid, value):
        raise node.refuse(trouble, hint="shorten it")
    return value


def _hosts(node: Node, *, user: str = "") -> tuple[Host, ...]:
    """`user` is before a host's name, where the two together are the name of a user."""
    found = tuple(_host(element, user) for element in node.elements())
    if not found:
        raise node.refuse("no host is named", hint='add {"name": "…", "addresses": ["…"]}')
    names = [host.name for host in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise node.refuse(f"{twice!r} is named twice", hint="remove one of the two")
    return found


def _host(node: Node, user: str) -> Host:
    fields = node.fields(("name", "addresses", "names"))
    for name in ("name", "addresses"):
        if name not in fields:
            raise node.refuse(f"its {name} is missing", hint=f'add "{name}"')
    addresses = tuple(map(_address, fields["addresses"].elements()))
    if not addresses:
        raise fields["addresses"].refuse("a host needs an address", hint='write ["10.0.0.11"]')
    _fit(fields["name"], COMMON_NAME, user + _name(fields["name"]))
    return Host(
        name=_name(fields["name"]),
        addresses=addresses,
        names=tuple(map(_name, fields["names"].elements())) if "names" in fields else (),
    )


def _check_same(top: Node, hosts: tuple[Host, ...]) -> None:
    known: dict[str, Host] = {}
    for host in hosts:
        if known.setdefault(host.name, host).addresses != host.addresses:
            raise top.refuse(f"host {host.name!r} has different addresses in two lists", hint="make them the same")


def _name(node: Node) -> str:
    text = node.text()
    if len(text) > _LONGEST_NAME or not _NAME.fullmatch(text):
        raise node.refuse(f"{text!r} is no host name", hint="use lower-case letters, digits, - and .")
    return text


def _address(node: Node) -> IPv4Address | IPv6Address:
    try:
        return ip_address(node.text())
    except ValueError as bad:
        raise node.refuse(f"this is no address: {bad}", hint="write one such as 10.0.0.11") from bad


def _network(node: Node) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(node.text())
    except ValueError as bad:
        raise node.refuse(f"this is no network: {bad}", hint="write one such as 10.96.0.0/12") from bad
    if network.num_addresses < 4:  # noqa: PLR2004 - its own name, the API's, one more
        raise node.refuse("it is too small for services", hint="write one such as 10.96.0.0/12")
    return network


def _endpoint(node: Node) -> tuple[str, int]:
    host, colon, port = node.text().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) <= _LAST_PORT:
        raise node.refuse("this is no address with a port", hint='write "api.example:6443"')
    try:
        ip_address(host)
    except ValueError:
        _name(Node(value=host, source=node.source, path=node.path))
    return host, int(port)


def _key(node: Node) -> KeySpec:
    text = node.text()
    if text not in KEYS:
        raise node.refuse(f"unknown kind of key {text!r}", hint=nearest(text, KEYS))
    algorithm, size = KEYS[text]
    return KeySpec(algorithm=algorithm, size=size)


def _span(node: Node) -> timedelta:
    span = parse_duration(node.text(), at=node.at)
    if span < timedelta(hours=1):
        raise node.refuse("less than an hour", hint="write one such as 8760h")
    return span
