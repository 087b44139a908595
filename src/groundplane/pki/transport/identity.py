"""The identity's file, as CFSSL has it; what it passes over in silence is refused here.

{"request": {"CN": "db1", "hosts": ["db1.example"]},
 "profiles": {"paths": {"private_key": "db1-key.pem", "certificate": "db1.pem"},
              "cfssl": {"remote": "https://ca.example:8888", "profile": "auth", "auth-type": "standard",
                        "auth-key": "env:CA_KEY", "tls-remote-ca": "ca.pem"}},
 "roots": [{"type": "cfssl", "metadata": {"host": "https://ca.example:8888"}}, {"type": "system"}],
 "client_roots": [{"type": "file", "metadata": {"source": "clients.pem"}}]}
"""

from collections.abc import Mapping

from groundplane.pki.transport.model import Access, Identity, Paths, RootSource, RootType
from groundplane.pki.wire.document import parse_document
from groundplane.pki.wire.json_tree import Node, nearest
from groundplane.pki.wire.request import request_of

_TLS = ("mutual-tls-cert", "mutual-tls-key", "tls-remote-ca")
_ACCESS = ("remote", "label", "profile", "auth-type", "auth-key", *_TLS)
_METADATA: Mapping[RootType, tuple[str, ...]] = {
    RootType.SYSTEM: (),
    RootType.FILE: ("source",),
    RootType.CFSSL: ("host", "label", "profile", *_TLS),
}


def parse_identity(data: bytes, *, source: str) -> Identity:
    """Read an identity; `source` is its name in errors. Raises Invalid."""
    top = parse_document(data, source=source, strict=True)
    fields = top.fields(("request", "profiles", "roots", "client_roots"))
    if "request" not in fields:
        raise top.refuse('there is no "request"', hint='add "request": {"CN": "…", "hosts": ["…"]}')
    request = request_of(fields["request"])
    if request.ca is not None:
        raise fields["request"].refuse("a transport is no CA", hint='remove "ca"')
    profiles = fields["profiles"].fields(("paths", "cfssl")) if "profiles" in fields else {}
    if "cfssl" not in profiles:
        hint = 'add "profiles": {"cfssl": {"remote": "https://HOST:PORT"}}'
        raise top.refuse("it does not say which server signs", hint=hint)
    return Identity(
        request=request,
        access=_access(profiles["cfssl"]),
        paths=_paths(profiles["paths"]) if "paths" in profiles else None,
        roots=_roots(fields["roots"]) if "roots" in fields else (),
        client_roots=_roots(fields["client_roots"]) if "client_roots" in fields else (),
    )


def _access(node: Node) -> Access:
    texts = _texts(node, _ACCESS)
    if not texts["remote"] and not texts["label"]:
        raise node.refuse("it names neither a remote nor a label", hint='add "remote": "https://HOST:PORT"')
    if texts["auth-type"] not in {"", "standard"}:
        raise node.refuse(f"unknown auth-type {texts['auth-type']!r}", hint='write "standard"')
    if bool(texts["auth-type"]) != bool(texts["auth-key"]):
        raise node.refuse("auth-type and auth-key go together", hint='add "auth-type": "standard", or the key')
    return Access(
        remote=texts["remote"],
        label=texts["label"],
        profile=texts["profile"],
        auth_type=texts["auth-type"],
        auth_key=texts["auth-key"],
        **_tls(node, texts),
    )


def _tls(node: Node, texts: Mapping[str, str]) -> dict[str, str]:
    certificate, key, trust = (texts[name] for name in _TLS)
    if bool(certificate) != bool(key):
        raise node.refuse("mutual-tls-cert and mutual-tls-key go together", hint="add the other")
    return {"certificate": certificate, "key": key, "trust": trust}


def _paths(node: Node) -> Paths:
    texts = _texts(node, ("private_key", "certificate"))
    for name, text in texts.items():
        if not text:
            raise node.refuse(f'there is no "{name}"', hint="name both files")
    return Paths(private_key=texts["private_key"], certificate=texts["certificate"])


def _roots(node: Node) -> tuple[RootSource, ...]:
    return tuple(map(_root, node.elements()))


def _root(node: Node) -> RootSource:
    fields = node.fields(("type", "metadata"))
    word = fields["type"].text() if "type" in fields else ""
    if word not in set(RootType):
        raise node.refuse(f"unknown type of roots {word!r}", hint=nearest(word, [kind.value for kind in RootType]))
    kind = RootType(word)
    where = fields.get("metadata")
    texts = _texts(where, _METADATA[kind]) if where is not None else dict.fromkeys(_METADATA[kind], "")
    match kind:
        case RootType.SYSTEM:
            return RootSource(type=kind)
        case RootType.FILE if texts["source"]:
            return RootSource(type=kind, source=texts["source"])
        case RootType.CFSSL if texts["host"]:
            tls = _tls(node, texts)
            access = Access(remote=texts["host"], label=texts["label"], profile=texts["profile"], **tls)
            return RootSource(type=kind, access=access)
        case _:
            needed = _METADATA[kind][0]
            raise node.refuse(f'its metadata has no "{needed}"', hint=f'add "metadata": {{"{needed}": "…"}}')


def _texts(node: Node, known: tuple[str, ...]) -> dict[str, str]:
    fields = node.fields(known)
    return {name: fields[name].text() if name in fields else "" for name in known}
