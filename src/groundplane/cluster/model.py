"""The words of a cluster: hosts and their roles, what runs on them, and the pods that prove it.

Values here are checked: a `Cluster` that exists is one that can be brought up, as far as the file alone can tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from groundplane.names import ClusterName, HostName, PodName


class Provider(Enum):
    """Where hosts come from."""

    LAB = "lab"
    SSH = "ssh"


class Role(Enum):
    """What a host does."""

    ETCD = "etcd"
    NODE = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One machine, or one set of namespaces. `address` carries the prefix of the network it stands in."""

    name: HostName
    address: IPv4Interface
    roles: frozenset[Role]

    @property
    def ip(self) -> IPv4Address:
        """The address alone."""
        return self.address.ip


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """A file that the cluster file names: its bytes as they were read once, and how errors call it."""

    source: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PKI:
    """CFSSL's files, verbatim."""

    policy: InputFile
    ca: InputFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Etcd:
    """etcd's certificate request (CFSSL's file, verbatim), signing profile, cluster token and further flags.

    `plain_loopback` adds the listener http://127.0.0.1:2379, which answers anybody on the host without a certificate.
    """

    csr: InputFile
    profile: str
    token: str
    flags: Mapping[str, str | bool]
    plain_loopback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod of one container, kept running on its host."""

    name: PodName
    namespace: str
    host: HostName
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The whole cluster file. `resources` are projectcalico.org/v3 documents as they were written.

    `text` is the file itself, and `inputs` the files it names by the relative path it names them with.
    """

    name: ClusterName
    provider: Provider
    hosts: tuple[Host, ...]
    pki: PKI
    etcd: Etcd
    handler: str
    resources: tuple[Mapping[str, object], ...]
    resources_source: str
    pods: tuple[Pod, ...]
    source: str
    text: bytes
    inputs: Mapping[str, InputFile]

    def with_role(self, role: Role) -> tuple[Host, ...]:
        """The hosts that have it, in the file's order."""
        return tuple(host for host in self.hosts if role in host.roles)

    def host(self, name: str) -> Host | None:
        """The host of that name."""
        return next((host for host in self.hosts if host.name == name), None)

    @property
    def networks(self) -> tuple[IPv4Network, ...]:
        """The networks that hosts stand in, each once, in the file's order."""
        return tuple(dict.fromkeys(host.address.network for host in self.hosts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do about one certificate: nothing where `reason` is empty."""

    name: str
    reason: str
