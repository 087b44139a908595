"""The words of a transport: who one is, who signs, where it is kept, whom to trust."""

from dataclasses import dataclass, field
from enum import StrEnum

from groundplane.pki.model import CertificateRequest


class RootType(StrEnum):
    """Where trusted roots come from."""

    SYSTEM = "system"
    FILE = "file"
    CFSSL = "cfssl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A CFSSL server. `auth_key`: hex, `env:NAME` or `file:PATH`; the other three are files for its TLS."""

    remote: str = ""
    label: str = ""
    profile: str = ""
    auth_type: str = ""
    auth_key: str = field(default="", repr=False)
    certificate: str = ""
    key: str = ""
    trust: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootSource:
    """Some roots: the system's, those of a file (`source`), or the CA of a CFSSL server."""

    type: RootType
    source: str = ""
    access: Access = field(default_factory=Access)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where key and certificate are kept."""

    private_key: str
    certificate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """`paths` None: in memory only. Without `roots` the system's are trusted; without `client_roots` no client is."""

    request: CertificateRequest
    access: Access
    paths: Paths | None = None
    roots: tuple[RootSource, ...] = ()
    client_roots: tuple[RootSource, ...] = ()
