"""The cluster file, parsed once into a `Cluster`; what it refuses, it refuses with file, line, field and mend.

Refused here: bad YAML, unknown, missing and repeated fields; two hosts with one name or one address; an address that
is its network's own; a role list without etcd anywhere; a pod on a host that is not there; an IP pool that overlaps
the hosts' networks or another pool; an etcd certificate request that does not name every etcd host. The files it
names are read here and parsed by their own packages (`pki.wire`, `network.resources`, `etcd.flags`), so that nothing
is started on a file that one of them would refuse later.
"""

from collections.abc import Callable, Mapping
from ipaddress import AddressValueError, IPv4Interface, IPv4Network, NetmaskValueError, ip_network
from pathlib import Path

from groundplane.cluster import yaml_tree
from groundplane.cluster.model import PKI, Cluster, Etcd, Host, InputFile, Pod, Provider, Role
from groundplane.cluster.yaml_tree import Field
from groundplane.errors import Invalid
from groundplane.names import ClusterName, HostName, parse_cluster_name, parse_host_name, parse_pod_name

API_VERSION = "groundplane/v1"
BUILTIN = Path(__file__).parent / "builtin" / "cluster.yaml"
_DEFAULT_PREFIX = 24
_RESERVED_NETWORKS = (IPv4Network("127.0.0.0/8"), IPv4Network("169.254.0.0/16"), IPv4Network("224.0.0.0/4"))


Reader = Callable[[str], InputFile]
"""Gives the file that a cluster file names by a relative path. Raises Invalid."""


def load(path: Path | None, *, name: str | None = None) -> Cluster:
    """Read and check the cluster file at `path` (None: the built-in one). `name` overrides its metadata.name."""
    at, source = _place(path)

    def read(relative: str) -> InputFile:
        return InputFile(source=str(at.parent / relative), data=yaml_tree.read(at.parent / relative))

    return parse(yaml_tree.read(at), source=source, read=read, name=name)


def load_name(path: Path | None) -> ClusterName:
    """Only the name in the cluster file at `path`: the rest may be wrong."""
    at, source = _place(path)
    field = dict(_single(yaml_tree.read(at), source).items()).get("metadata")
    name = dict(field.items()).get("name") if field is not None else None
    if name is None:
        raise Invalid("has no metadata.name", to=source, hint="add `metadata: {name: …}`")
    return parse_cluster_name(name.text(), at=name.at)


def _place(path: Path | None) -> tuple[Path, str]:
    return (BUILTIN, "built-in cluster") if path is None else (path, str(path))


def _single(data: bytes, source: str) -> Field:
    found = yaml_tree.documents(data, source=source)
    if len(found) != 1:
        raise Invalid(f"holds {len(found)} YAML documents, one is wanted", to=source)
    return found[0]


def parse(data: bytes, *, source: str, read: Reader, name: str | None = None) -> Cluster:
    """Parse a cluster file; `read` gives the other files it names. Raises Invalid."""
    inputs: dict[str, InputFile] = {}

    def remember(field: Field) -> InputFile:
        relative = field.text()
        try:
            inputs[relative] = read(relative)
        except Invalid as bad:
            hint = "name an existing file, relative to the cluster file"
            raise field.refuse(f"{bad.to} {bad.happened}", hint=hint) from bad
        return inputs[relative]

    top = _single(data, source).mapping(
        required=("apiVersion", "kind", "metadata", "hosts", "pki", "etcd"),
        optional=("provider", "runtime", "network", "pods"),
    )
    top["apiVersion"].choice((API_VERSION,))
    top["kind"].choice(("Cluster",))
    metadata = top["metadata"].mapping(required=("name",))
    cluster_name = (
        parse_cluster_name(name, at="--name")
        if name is not None
        else parse_cluster_name(metadata["name"].text(), at=metadata["name"].at)
    )
    provider = Provider(top["provider"].choice(p.value for p in Provider)) if "provider" in top else Provider.LAB
    hosts = _hosts(top["hosts"])
    handler, resources_source = "crun", source
    resources: tuple[Mapping[str, object], ...] = ()
    if "runtime" in top:
        runtime = top["runtime"].mapping(optional=("handler",))
        handler = runtime["handler"].choice(("crun", "runc")) if "handler" in runtime else handler
    if "network" in top:
        network = top["network"].mapping(required=("resources",))
        file = remember(network["resources"])
        resources, resources_source = _resources(file, hosts), file.source
    from groundplane.cluster.wanted import member
    from groundplane.etcd.flags import render_flags

    authority = _pki(top["pki"], remember)
    cluster = Cluster(
        name=cluster_name,
        provider=provider,
        hosts=hosts,
        pki=authority,
        etcd=_etcd(top["etcd"], remember, hosts, authority),
        handler=handler,
        resources=resources,
        resources_source=resources_source,
        pods=_pods(top["pods"], hosts) if "pods" in top else (),
        source=source,
        text=data,
        inputs=inputs,
    )

    for host in cluster.with_role(Role.ETCD):
        try:
            render_flags(member(cluster, host))
        except Invalid as bad:
            raise top["etcd"].refuse(f"{bad.to} {bad.happened}", hint=bad.hint) from bad
    return cluster


def _hosts(listed: Field) -> tuple[Host, ...]:
    hosts: list[Host] = []
    for field in listed.sequence():
        entry = field.mapping(required=("name", "address"), optional=("roles",))
        name = parse_host_name(entry["name"].text(), at=entry["name"].at)
        address = _address(entry["address"])
        roles = frozenset(Role)
        if "roles" in entry:
            roles = frozenset(Role(role.choice(r.value for r in Role)) for role in entry["roles"].sequence())
        for other in hosts:
            if other.name == name:
                raise entry["name"].refuse(f"a second host named {name!r}", hint="give each host a name of its own")
            if other.ip == address.ip:
                raise entry["address"].refuse(
                    f"{address.ip} is also the address of {other.name}", hint="give each host an address of its own"
                )
            if other.address.network != address.network and other.address.network.overlaps(address.network):
                raise entry["address"].refuse(
                    f"{address.network} overlaps {other.address.network} of {other.name}", hint="use one prefix length"
                )
        hosts.append(Host(name=name, address=address, roles=roles))
    if not any(Role.ETCD in host.roles for host in hosts):
        raise listed.refuse("no host has the role etcd", hint="add `roles: [etcd, node]` to one, three or five hosts")
    return tuple(hosts)


def _address(field: Field) -> IPv4Interface:
    text = field.text()
    try:
        address = IPv4Interface(text if "/" in text else f"{text}/{_DEFAULT_PREFIX}")
    except (AddressValueError, NetmaskValueError, ValueError) as bad:
        raise field.refuse(f"{text!r} is not an IPv4 address", hint="write it as 192.0.2.1 or 192.0.2.1/24") from bad
    network = address.network
    if network.prefixlen > 30 or address.ip in (network.network_address, network.broadcast_address):  # noqa: PLR2004
        raise field.refuse(f"{text} is not a host's address in {network}", hint="use another address or prefix length")
    if any(address.ip in reserved for reserved in _RESERVED_NETWORKS):
        raise field.refuse(f"{text} cannot be a host's address", hint="loopback, link-local and multicast are taken")
    return address


def _pki(field: Field, read: Callable[[Field], InputFile]) -> PKI:
    from groundplane.pki import parse_policy, parse_request

    entry = field.mapping(required=("policy", "ca"))
    policy, ca = read(entry["policy"]), read(entry["ca"])
    parse_policy(policy.data, source=policy.source)
    parse_request(ca.data, source=ca.source)
    return PKI(policy=policy, ca=ca)


def _etcd(field: Field, read: Callable[[Field], InputFile], hosts: tuple[Host, ...], authority: PKI) -> Etcd:
    from groundplane.etcd.flags import check_extra_flags
    from groundplane.pki import parse_policy, parse_request

    entry = field.mapping(required=("csr", "profile"), optional=("token", "flags", "plainLoopback"))
    csr = read(entry["csr"])
    profile = entry["profile"].text()
    try:
        parse_policy(authority.policy.data, source=authority.policy.source).profile(profile)
    except Invalid as bad:
        raise entry["profile"].refuse(f"{bad.happened} in {authority.policy.source}", hint=bad.hint) from bad
    named = set(parse_request(csr.data, source=csr.source).hosts)
    for host in hosts:
        if Role.ETCD in host.roles and str(host.ip) not in named:
            raise Invalid(
                f"`hosts` lacks {host.ip}, the address of {host.name}",
                to=csr.source,
                hint="etcd's peers would refuse the certificate: add the address there",
            )
    flags: dict[str, str | bool] = {}
    if "flags" in entry:
        for name, value in entry["flags"].items():
            plain = value.plain()
            if plain is None or isinstance(plain, dict | list):
                raise value.refuse("a flag's value is text, a number, true or false")
            flags[name] = plain if isinstance(plain, bool) else value.text()
        check_extra_flags(flags, at=entry["flags"].at)
    return Etcd(
        csr=csr,
        profile=profile,
        token=entry["token"].text() if "token" in entry else "etcd-cluster",
        flags=flags,
        plain_loopback=entry["plainLoopback"].boolean() if "plainLoopback" in entry else False,
    )


def _resources(file: InputFile, hosts: tuple[Host, ...]) -> tuple[Mapping[str, object], ...]:
    from groundplane.network.built import check_built
    from groundplane.network.resources import parse

    found: list[Mapping[str, object]] = []
    pools: list[tuple[str, IPv4Network]] = []
    for number, document in enumerate(yaml_tree.documents(file.data, source=file.source), start=1):
        plain = yaml_tree.plain_mapping(document)
        at = f"{document.at} (document {number})"
        check_built(parse(plain, at=at), at=at)
        found.append(plain)
        if plain.get("kind") == "IPPool":
            _check_pool(plain, at, hosts, pools)
    return tuple(found)


def _check_pool(
    plain: Mapping[str, object], at: str, hosts: tuple[Host, ...], pools: list[tuple[str, IPv4Network]]
) -> None:
    spec = plain["spec"]
    assert isinstance(spec, dict)  # network.resources has parsed it
    pool = ip_network(str(spec["cidr"]), strict=False)
    if not isinstance(pool, IPv4Network):
        return
    for host in hosts:
        if host.address.network.overlaps(pool):
            raise Invalid(
                f"the pool {pool} overlaps the hosts' network {host.address.network}",
                to=f"{at}: spec.cidr",
                hint="choose a range that no host stands in",
            )
    for source, other in pools:
        if other.overlaps(pool):
            raise Invalid(f"the pool {pool} overlaps {other} of {source}", to=f"{at}: spec.cidr")
    pools.append((at, pool))


def _pods(listed: Field, hosts: tuple[Host, ...]) -> tuple[Pod, ...]:
    pods: list[Pod] = []
    nodes = {host.name for host in hosts if Role.NODE in host.roles}
    for field in listed.sequence():
        entry = field.mapping(
            required=("name", "host", "image"), optional=("namespace", "command", "args", "env", "labels")
        )
        name = parse_pod_name(entry["name"].text(), at=entry["name"].at)
        namespace = (
            parse_pod_name(entry["namespace"].text(), at=entry["namespace"].at) if "namespace" in entry else "default"
        )
        host = entry["host"].text()
        if host not in nodes:
            raise entry["host"].refuse(
                f"{host!r} is not a host with the role node", hint=f"use {', '.join(sorted(nodes))}"
            )
        if any((pod.name, pod.namespace) == (name, namespace) for pod in pods):
            raise entry["name"].refuse(f"a second pod {namespace}/{name}", hint="give each pod a name of its own")
        pods.append(
            Pod(
                name=name,
                namespace=namespace,
                host=HostName(host),
                image=entry["image"].text(),
                command=_words(entry.get("command")),
                args=_words(entry.get("args")),
                env=tuple((k, v.text()) for k, v in entry["env"].items()) if "env" in entry else (),
                labels={k: v.text() for k, v in entry["labels"].items()} if "labels" in entry else {},
            )
        )
    return tuple(pods)


def _words(field: Field | None) -> tuple[str, ...]:
    return () if field is None else tuple(word.text() for word in field.sequence())
