"""The service's file, read strictly.

{"listen": "127.0.0.1:8888",
 "tls": {"certificate": "server.pem", "key": "server-key.pem", "clientCA": "clients.pem", "minimum": "1.3"},
 "ca": {"certificate": "ca.pem", "key": "ca-key.pem", "passwordFile": "password"},
 "policy": "ca-config.json", "database": "db-config.json",
 "responder": {"certificate": "ocsp.pem", "key": "ocsp-key.pem"},
 "bundles": {"roots": "roots.pem", "intermediates": "more.pem", "directory": "found", "metadata": "platforms.json",
  "fetchFrom": ["ca.example"]},
 "endpoints": {"enable": ["newcert"], "disable": ["scan"]},
 "access": [{"endpoints": ["sign"], "clients": ["node-[0-9]+"]}, {"endpoints": ["*"], "tokens": ["file:token"]}],
 "replay": {"window": "5m", "state": "seen.db"},
 "metrics": "127.0.0.1:9108", "audit": "audit.jsonl", "workers": 2, "logLevel": "info"}

Paths are relative to the file's directory. Everything but `ca` may be left out.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from groundplane.errors import Invalid
from groundplane.pki.keystore.password import secret_in
from groundplane.pki.keystore.uri import is_uri
from groundplane.pki.server.routes import NAMES
from groundplane.pki.server.settings import Settings
from groundplane.pki.service.model import EVERY, Address, Rule, Service
from groundplane.pki.wire.document import parse_document
from groundplane.pki.wire.duration import parse_duration
from groundplane.pki.wire.json_tree import Node, nearest

_TOP = (
    *("listen", "tls", "ca", "policy", "database", "responder", "bundles", "endpoints", "access", "metrics", "audit"),
    *("workers", "logLevel", "replay"),
)
_BUNDLES = ("roots", "intermediates", "directory", "metadata")
_REPLAY = ("window", "state")
_LISTEN = Address(host="127.0.0.1", port=8888)
_ADDRESS = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]:]*)):([0-9]{1,5})")
_LAST_PORT, _MOST_WORKERS = 65535, 64
_SHORTEST_TOKEN = 16
_MINIMUMS, _LEVELS = ("1.2", "1.3"), ("debug", "info", "warning", "error")


def parse_config(data: bytes, *, source: str, directory: Path) -> Service:
    """The file's content; tokens and the CA's password are read from where it says. Raises Invalid."""
    top = parse_document(data, source=source, nulls=False)
    fields = top.fields(_TOP)
    if "ca" not in fields:
        raise top.refuse("who signs?", hint='add "ca": {"certificate": "ca.pem", "key": "ca-key.pem"}')
    listen = _address(fields["listen"]) if "listen" in fields else _LISTEN
    enabled, disabled = _endpoints(fields["endpoints"]) if "endpoints" in fields else (frozenset[str](), ())
    ca = _paths(fields, "ca", ("certificate", "key", "passwordFile"), directory, needed=("certificate", "key"))
    tls = _tls(fields["tls"], directory) if "tls" in fields else {}
    responder = _paths(fields, "responder", ("certificate", "key"), directory, needed=("certificate", "key"))
    bundles = _paths(fields, "bundles", _BUNDLES, directory, others=("fetchFrom",))
    settings = Settings(
        address=listen.host,
        port=listen.port,
        ca=f"file:{ca['certificate']}",
        ca_key=_ca_key(fields["ca"], directory),
        native=True,
        ca_password=secret_in(Path(ca["passwordFile"])) if "passwordFile" in ca else b"",
        config=_path(fields["policy"], directory) if "policy" in fields else "",
        db_config=_path(fields["database"], directory) if "database" in fields else "",
        responder=responder.get("certificate", ""),
        responder_key=responder.get("key", ""),
        ca_bundle=bundles.get("roots", ""),
        int_bundle=bundles.get("intermediates", ""),
        int_dir=bundles.get("directory", ""),
        metadata=bundles.get("metadata", ""),
        tls_cert=tls.get("certificate", ""),
        tls_key=tls.get("key", ""),
        mutual_tls_ca=tls.get("clientCA", ""),
        min_tls_version=tls.get("minimum", ""),
        disable=",".join(disabled),
        fetch_from=_fetch_from(fields),
    )
    return Service(
        listen=listen,
        settings=settings,
        rules=tuple(_rule(node, directory) for node in fields["access"].elements()) if "access" in fields else (),
        enabled=enabled,
        metrics=_address(fields["metrics"]) if "metrics" in fields else None,
        audit=Path(_path(fields["audit"], directory)) if "audit" in fields else None,
        replay_window=_window(fields["replay"]) if "replay" in fields else None,
        replay_state=_replay_state(fields["replay"], directory) if "replay" in fields else None,
        workers=_workers(fields["workers"]) if "workers" in fields else 0,
        level=_one_of(fields["logLevel"], _LEVELS) if "logLevel" in fields else "info",
        source=source,
    )


def parse_address(text: str, *, at: str) -> Address:
    """`host:port` or `[::1]:port`. Raises Invalid."""
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found[3]) <= _LAST_PORT:
        raise Invalid(f"{text!r} is no address", to=at, hint="write HOST:PORT, such as 127.0.0.1:8888")
    return Address(host=found[1] or found[2] or "0.0.0.0", port=int(found[3]))  # noqa: S104 - what an empty host means


def _address(node: Node) -> Address:
    return parse_address(node.text(), at=node.at)


def _endpoints(node: Node) -> tuple[frozenset[str], tuple[str, ...]]:
    fields = node.fields(("enable", "disable"))
    enabled = frozenset(map(_name, fields["enable"].elements())) if "enable" in fields else frozenset[str]()
    disabled = tuple(map(_name, fields["disable"].elements())) if "disable" in fields else ()
    if both := enabled & set(disabled):
        raise node.refuse(f"{min(both)} is both enabled and disabled", hint="remove one of the two")
    return enabled, disabled


def _name(node: Node) -> str:
    return _one_of(node, sorted(NAMES))


def _one_of(node: Node, known: "tuple[str, ...] | list[str]") -> str:
    text = node.text()
    if text not in known:
        raise node.refuse(f"{text!r} is unknown", hint=nearest(text, known))
    return text


def _tls(node: Node, directory: Path) -> dict[str, str]:
    fields = node.fields(("certificate", "key", "clientCA", "minimum"))
    for name in ("certificate", "key"):
        if name not in fields:
            raise node.refuse(f"its {name} is not named", hint=f'add "{name}"')
    found = {name: _path(child, directory) for name, child in fields.items() if name != "minimum"}
    return found | ({"minimum": _minimum(fields["minimum"])} if "minimum" in fields else {})


def _minimum(node: Node) -> str:
    if (text := node.text()) not in _MINIMUMS:
        either = " or ".join(f'"{known}"' for known in _MINIMUMS)
        raise node.refuse(f"{text!r} is not spoken here", hint=f"TLS 1.2 at least: write {either}")
    return text


def _paths(
    fields: Mapping[str, Node],
    section: str,
    known: tuple[str, ...],
    directory: Path,
    *,
    needed: tuple[str, ...] = (),
    others: tuple[str, ...] = (),
) -> dict[str, str]:
    if section not in fields:
        return {}
    node = fields[section]
    inner = node.fields((*known, *others))
    for name in needed:
        if name not in inner:
            raise node.refuse(f"its {name} is not named", hint=f'add "{name}"')
    return {name: _path(child, directory) for name, child in inner.items() if name in known}


def _ca_key(node: Node, directory: Path) -> str:
    key = node.fields(("certificate", "key", "passwordFile"))["key"]
    return key.text() if is_uri(key.text()) else _path(key, directory)


def _fetch_from(fields: Mapping[str, Node]) -> frozenset[str]:
    """Hosts, by name; nothing is fetched from others, or who calls could choose whom the server calls."""
    found = fields["bundles"].fields((*_BUNDLES, "fetchFrom")) if "bundles" in fields else {}
    return frozenset(text.lower() for text in found["fetchFrom"].texts()) if "fetchFrom" in found else frozenset()


def _path(node: Node, directory: Path) -> str:
    text = node.text()
    if not text or "\0" in text:
        raise node.refuse("this is no path", hint="name a file")
    return str(directory / text)


def _rule(node: Node, directory: Path) -> Rule:
    fields = node.fields(("endpoints", "clients", "tokens", "anyone"))
    if "endpoints" not in fields:
        raise node.refuse("which endpoints is it about?", hint='add "endpoints": ["sign"], or ["*"]')
    endpoints = frozenset(
        EVERY if element.text() == EVERY else _name(element) for element in fields["endpoints"].elements()
    )
    rule = Rule(
        endpoints=endpoints,
        clients=tuple(map(_pattern, fields["clients"].elements())) if "clients" in fields else (),
        tokens=frozenset(_token(element, directory) for element in fields["tokens"].elements())
        if "tokens" in fields
        else frozenset(),
        anyone=fields["anyone"].boolean() if "anyone" in fields else False,
    )
    if not (rule.clients or rule.tokens or rule.anyone):
        raise node.refuse("it lets nobody in", hint='add "clients", "tokens" or "anyone": true')
    return rule


def _pattern(node: Node) -> re.Pattern[str]:
    try:
        return re.compile(node.text())
    except (re.error, RecursionError, OverflowError) as bad:
        raise node.refuse(f"this is not a regular expression: {bad}", hint="mend it there") from bad


def _token(node: Node, directory: Path) -> bytes:
    """Its digest: what is kept in memory cannot be used to call."""
    prefix, _, rest = node.text().partition(":")
    match prefix:
        case "env":
            token = os.environ.get(rest, "").encode()
        case "file":
            token = _secret(directory / rest)
        case _:
            raise node.refuse("a token does not stand in this file", hint='write "file:PATH" or "env:NAME"')
    if len(token) < _SHORTEST_TOKEN:
        hint = "make one: openssl rand -hex 32"
        raise node.refuse(f"the token has less than {_SHORTEST_TOKEN} characters", hint=hint)
    return hashlib.sha256(token).digest()


def _secret(path: Path) -> bytes:
    try:
        return secret_in(path)
    except Invalid as bad:
        raise Invalid(bad.happened, to=bad.to, hint=f"{bad.hint}; it is read on the host that serves") from bad


def _window(node: Node) -> timedelta:
    fields = node.fields(_REPLAY)
    if "window" not in fields:
        raise node.refuse("how old may a request be?", hint='add "window": "5m"')
    window = parse_duration(fields["window"].text(), at=fields["window"].at)
    if not timedelta(seconds=1) <= window <= timedelta(days=1):
        raise fields["window"].refuse("a second at least, and a day at most", hint="write one such as 5m")
    return window


def _replay_state(node: Node, directory: Path) -> Path:
    fields = node.fields(_REPLAY)
    if "state" not in fields:
        raise node.refuse("where are requests remembered?", hint='add "state": "seen.db"')
    return Path(_path(fields["state"], directory))


def _workers(node: Node) -> int:
    count = node.integer()
    if not 0 <= count <= _MOST_WORKERS:
        raise node.refuse(f"{count} workers are not possible", hint=f"0 (one for each processor) to {_MOST_WORKERS}")
    return count
