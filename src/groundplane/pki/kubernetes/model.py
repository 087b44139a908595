"""The words: the cluster as its file has it, and the list of what it needs. Nothing here reads or knows the time."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import PurePosixPath

from groundplane.pki.model import CertificateRequest, KeyAlgorithm, KeySpec, Profile

NODE = "system:node:"  # before a node's name, its user's
RSA_2048 = KeySpec(algorithm=KeyAlgorithm.RSA, size=2048)  # kubeadm's default


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine: its node name, addresses (the first is what it advertises), further names."""

    name: str
    addresses: tuple[IPv4Address | IPv6Address, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What the certificates are for. `endpoint` is host and port that clients use for the API."""

    etcd: tuple[Host, ...]
    control_plane: tuple[Host, ...]
    workers: tuple[Host, ...] = ()
    name: str = "kubernetes"
    endpoint: tuple[str, int] = ("", 6443)
    service_subnet: IPv4Network | IPv6Network = field(default_factory=lambda: IPv4Network("10.96.0.0/12"))
    dns_domain: str = "cluster.local"
    extra_names: tuple[str, ...] = ()
    admin_group: str = "kubeadm:cluster-admins"
    key: KeySpec = RSA_2048
    ca_lifetime: timedelta = timedelta(hours=87600)
    lifetime: timedelta = timedelta(hours=8760)
    ca_keys_on_hosts: bool = True  # the controller manager signs kubelets' requests with them


class Form(Enum):
    """How a certificate and its key are kept."""

    PAIR = "pair"  # NAME.crt and NAME.key
    COMBINED = "combined"  # both in one file, as the kubelet rotates them
    KUBECONFIG = "kubeconfig"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A CA, kept with the issuer in `ca/NAME`."""

    name: str
    request: CertificateRequest

    @property
    def certificate(self) -> PurePosixPath:
        """Its certificate's place under the output directory."""
        return PurePosixPath("ca", self.name, "ca.crt")

    @property
    def key(self) -> PurePosixPath:
        """Its key's."""
        return PurePosixPath("ca", self.name, "ca.key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A certificate of a host. `path` is the pair's without its suffix, or the file's; `user` is a kubeconfig's."""

    name: str
    host: str
    ca: str
    request: CertificateRequest
    profile: Profile
    path: PurePosixPath
    form: Form = Form.PAIR
    user: str = ""
    server: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A file of the issuer's that a host has too."""

    source: PurePosixPath
    target: PurePosixPath
    private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Everything, in the order in which it is made."""

    authorities: tuple[Authority, ...]
    leaves: tuple[Leaf, ...]
    copies: tuple[Copy, ...]
