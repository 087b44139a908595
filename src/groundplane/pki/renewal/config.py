"""The renewal daemon's file: which pairs, who signs them, when, and what is done then.

{"certificates": [{"certificate": "etcd.pem", "key": "etcd-key.pem",
  "ca": {"certificate": "ca.pem", "key": "ca-key.pem"}, "before": "720h", "jitter": "24h",
  "lifetime": "8760h", "newKey": true, "hooks": [["systemctl", "reload", "etcd"]]}],
 "metrics": "/var/lib/node_exporter/certificates.prom"}

`ca` may have a `passwordFile`, and a `database` (CFSSL's db-config) in which what it signs is recorded; a certificate a
`passwordFile` for its key. In place of `ca`: `remote`, an object of address, profile, label, authKey, trust,
certificate, key; without either the certificate signs itself. Paths are relative to the file's directory.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from groundplane.pki.keystore.uri import is_uri
from groundplane.pki.remote.ask import RemoteCA
from groundplane.pki.renewal.model import LocalCA, Target
from groundplane.pki.wire.document import parse_document
from groundplane.pki.wire.duration import parse_duration
from groundplane.pki.wire.json_tree import Node

_TARGET = ("certificate", "key", "ca", "remote", "before", "jitter", "lifetime", "newKey", "passwordFile", "hooks")
_REMOTE = ("address", "profile", "label", "authKey", "trust", "certificate", "key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the daemon keeps, and where it writes its metrics (None: nowhere)."""

    targets: tuple[Target, ...]
    metrics: Path | None = None


def parse_config(data: bytes, *, source: str, directory: Path) -> Config:
    """The file's content. Raises Invalid, naming the field."""
    fields = parse_document(data, source=source, nulls=False).fields(("certificates", "metrics"))
    if "certificates" not in fields or not (nodes := fields["certificates"].elements()):
        raise Node(value=None, source=source).refuse("no certificates are named", hint='add "certificates": [{…}]')
    targets = tuple(_target(node, directory) for node in nodes)
    seen: set[Path] = set()
    for target, node in zip(targets, nodes, strict=True):
        if target.certificate in seen:
            raise node.refuse(f"{target.certificate} is named twice", hint="remove one of the two")
        seen.add(target.certificate)
    return Config(targets=targets, metrics=_path(fields["metrics"], directory) if "metrics" in fields else None)


def key_beside(certificate: Path) -> Path:
    """Where a certificate's key is, if nobody says: NAME-key.pem for NAME.pem (CFSSL), else NAME.key."""
    if certificate.suffix == ".pem":
        return certificate.with_name(f"{certificate.stem}-key.pem")
    return certificate.with_suffix(".key")


def _target(node: Node, directory: Path) -> Target:
    fields = node.fields(_TARGET)
    if "certificate" not in fields:
        raise node.refuse("which certificate?", hint='add "certificate"')
    if "ca" in fields and "remote" in fields:
        raise fields["remote"].refuse("both a CA and a remote", hint="keep one")
    certificate = _path(fields["certificate"], directory)
    ca: LocalCA | RemoteCA | None = None
    if "ca" in fields:
        ca = _local(fields["ca"], directory)
    elif "remote" in fields:
        ca = _remote(fields["remote"], directory)
    return Target(
        certificate=certificate,
        key=_path(fields["key"], directory) if "key" in fields else key_beside(certificate),
        ca=ca,
        before=_span(fields["before"]) if "before" in fields else None,
        jitter=_span(fields["jitter"]) if "jitter" in fields else timedelta(),
        lifetime=_span(fields["lifetime"]) if "lifetime" in fields else None,
        new_key=fields["newKey"].boolean() if "newKey" in fields else False,
        key_password=f"file:{_path(fields['passwordFile'], directory)}" if "passwordFile" in fields else "",
        hooks=tuple(_hook(hook) for hook in fields["hooks"].elements()) if "hooks" in fields else (),
    )


def _local(node: Node, directory: Path) -> LocalCA:
    fields = node.fields(("certificate", "key", "passwordFile", "database"))
    for name in ("certificate", "key"):
        if name not in fields:
            raise node.refuse(f"the CA's {name} is not named", hint=f'add "{name}"')
    key = fields["key"].text()
    return LocalCA(
        certificate=_path(fields["certificate"], directory),
        key=key if is_uri(key) else str(_path(fields["key"], directory)),
        key_password=_path(fields["passwordFile"], directory) if "passwordFile" in fields else None,
        database=_path(fields["database"], directory) if "database" in fields else None,
    )


def _remote(node: Node, directory: Path) -> RemoteCA:
    fields = node.fields(_REMOTE)
    if "address" not in fields:
        raise node.refuse("where is it?", hint='add "address": "https://host:8888"')

    def text(name: str) -> str:
        return fields[name].text() if name in fields else ""

    def path(name: str) -> Path | None:
        return _path(fields[name], directory) if name in fields else None

    if not text("authKey").startswith(("env:", "file:")) and text("authKey"):
        raise fields["authKey"].refuse(
            "the key itself does not belong here", hint="write env:NAME or file:PATH, which hold it in hex"
        )
    return RemoteCA(
        address=text("address"),
        profile=text("profile"),
        label=text("label"),
        auth_key=text("authKey"),
        trust=path("trust"),
        certificate=path("certificate"),
        key=path("key"),
    )


def _hook(node: Node) -> tuple[str, ...]:
    words = node.texts()
    if not words or not words[0]:
        raise node.refuse("a hook is a program and its arguments", hint='write ["systemctl", "reload", "etcd"]')
    return words


def _path(node: Node, directory: Path) -> Path:
    text = node.text()
    if not text or "\0" in text:
        raise node.refuse("this is no path", hint="name a file")
    return directory / text


def _span(node: Node) -> timedelta:
    span = parse_duration(node.text(), at=node.at)
    if span < timedelta():
        raise node.refuse("less than nothing", hint="write it without the minus")
    return span
