"""/etc/groundplane/agent.json, parsed once."""

from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

import msgspec

from groundplane.decoding import UNREADABLE
from groundplane.errors import Invalid
from groundplane.etcd.model import TLSFiles
from groundplane.names import HostName, parse_host_name


class _Etcd(msgspec.Struct, forbid_unknown_fields=True):
    endpoints: list[str]
    ca: str = ""
    cert: str = ""
    key: str = ""


class _Bird(msgspec.Struct, forbid_unknown_fields=True):
    config: str = "/run/groundplane/bird.conf"
    socket: str = "/run/groundplane/bird.ctl"


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    node: str
    address: str
    etcd: _Etcd
    socket: str = "/run/groundplane/agent.sock"
    bird: _Bird = msgspec.field(default_factory=_Bird)
    cluster: str = "default"
    log: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """One agent's part of the cluster. `address` is the node's on the fabric, with its mask; `tls` None: plain etcd."""

    node: HostName
    address: IPv4Interface
    endpoints: tuple[str, ...]
    tls: TLSFiles | None
    socket: Path
    bird_config: Path
    bird_socket: Path
    cluster: str = "default"
    log: str = "info"


def parse_config(text: bytes, *, at: object) -> AgentConfig:
    """Raises Invalid, naming the field."""
    try:
        document = msgspec.json.decode(text, type=_Document)
    except UNREADABLE as bad:
        raise Invalid(f"is not an agent's configuration: {bad}", to=at) from bad
    etcd = document.etcd
    if not etcd.endpoints:
        raise Invalid("names no endpoint", to=f"{at}: etcd.endpoints")
    files = (etcd.ca, etcd.cert, etcd.key)
    if any(files) and not all(files):
        raise Invalid("ca, cert and key belong together", to=f"{at}: etcd", hint="give all three, or none for http")
    try:
        address = IPv4Interface(document.address)
    except ValueError as bad:
        raise Invalid(f"{document.address!r} is not an IPv4 address with its mask", to=f"{at}: address") from bad
    return AgentConfig(
        node=parse_host_name(document.node, at=f"{at}: node"),
        address=address,
        endpoints=tuple(etcd.endpoints),
        tls=TLSFiles(ca=Path(etcd.ca), cert=Path(etcd.cert), key=Path(etcd.key)) if all(files) else None,
        socket=Path(document.socket),
        bird_config=Path(document.bird.config),
        bird_socket=Path(document.bird.socket),
        cluster=document.cluster,
        log=document.log,
    )
