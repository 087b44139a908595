"""The server's configuration file (JSON, strict): see docs/pki/acme.md. Paths in it are relative to it.

`certificate authority`, `policy` and `database` are CFSSL's own files. What may be certified, and which addresses a
validation may reach, has to be said: nothing is allowed by default but globally routable addresses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from groundplane.pki.acme.addresses import AddressRules
from groundplane.pki.acme.identifiers import IdentifierPolicy, parse_networks, parse_rules
from groundplane.pki.acme.model import ChallengeType
from groundplane.pki.keystore.uri import is_uri
from groundplane.pki.wire.document import parse_document
from groundplane.pki.wire.duration import parse_duration
from groundplane.pki.wire.json_tree import Node, nearest

_TOP = (
    *("listen", "url", "names", "ca", "alternate_chains", "policy", "profile", "profiles", "tls_profile", "database"),
    *("state", "identifiers", "challenges", "validation", "limits", "lifetimes", "external_accounts", "terms"),
    *("website", "caa_identities", "audit", "metrics"),
)
_LARGEST_PORT = 65535
_LARGEST_COUNT = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An address and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """How identifiers are validated. `resolvers` empty: the host's own (resolv.conf)."""

    addresses: AddressRules = field(default_factory=AddressRules)
    resolvers: tuple[Endpoint, ...] = ()
    http_port: int = 80
    https_port: int = 443
    tls_port: int = 443
    timeout: timedelta = timedelta(seconds=10)
    attempts: int = 3
    first_wait: timedelta = timedelta(seconds=2)
    at_once: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds against use in bulk; each counts within `window`. `requests` is per address and second."""

    window: timedelta = timedelta(hours=3)
    accounts_per_address: int = 50
    orders_per_account: int = 300
    pending_authorizations: int = 300
    failures_per_identifier: int = 20
    identifiers_per_order: int = 100
    requests: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long things wait for their client, or count once done."""

    order: timedelta = timedelta(hours=24)
    authorization: timedelta = timedelta(hours=24)
    valid_authorization: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalAccounts:
    """External account binding: key identifiers and the files that hold their keys (base64url)."""

    required: bool = False
    keys: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All of it. `url` has no final slash."""

    listen: Endpoint
    url: str
    names: tuple[str, ...]
    ca_certificate: Path
    ca_key: str
    policy: Path
    database: Path
    state: Path
    identifiers: IdentifierPolicy
    ca_password: Path | None = None
    profile: str = ""
    profiles: Mapping[str, str] = field(default_factory=dict)
    tls_profile: str = ""
    alternate_chains: tuple[Path, ...] = ()
    challenges: tuple[ChallengeType, ...] = tuple(ChallengeType)
    validation: Validation = field(default_factory=Validation)
    limits: Limits = field(default_factory=Limits)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    external: ExternalAccounts = field(default_factory=ExternalAccounts)
    terms: str = ""
    website: str = ""
    caa_identities: tuple[str, ...] = ()
    audit: Path | None = None
    metrics: Endpoint | None = None


def parse_config(data: bytes, *, source: str, folder: Path) -> Config:
    """The configuration in `data`; `folder` is where its relative paths begin. Raises Invalid."""
    top = parse_document(data, source=source, nulls=False)
    fields = top.fields(_TOP)
    for name in ("listen", "ca", "policy", "database", "state", "identifiers"):
        if name not in fields:
            raise top.refuse(f'there is no "{name}"', hint="see docs/pki/acme.md for an example")
    listen = _endpoint(fields["listen"])
    url = _url(fields["url"]) if "url" in fields else f"https://{listen}"
    host = urlsplit(url).hostname or listen.host
    ca = fields["ca"].fields(("certificate", "key", "password_file"))
    if not {"certificate", "key"} <= ca.keys():
        raise fields["ca"].refuse('it needs "certificate" and "key"', hint="name the CA's two files")
    names = fields["names"].texts() if "names" in fields else (host,)
    if not names:
        raise fields["names"].refuse("the server's own certificate needs a name", hint="leave it out, or name the host")
    return Config(
        listen=listen,
        url=url,
        names=names,
        ca_certificate=_path(ca["certificate"], folder),
        ca_key=ca["key"].text() if is_uri(ca["key"].text()) else str(_path(ca["key"], folder)),
        ca_password=_path(ca["password_file"], folder) if "password_file" in ca else None,
        policy=_path(fields["policy"], folder),
        database=_path(fields["database"], folder),
        state=_path(fields["state"], folder),
        identifiers=_identifiers(fields["identifiers"]),
        profile=_text(fields, "profile"),
        profiles={name: what.text() for name, what in fields["profiles"].items()} if "profiles" in fields else {},
        tls_profile=_text(fields, "tls_profile"),
        alternate_chains=tuple(_path(each, folder) for each in fields["alternate_chains"].elements())
        if "alternate_chains" in fields
        else (),
        challenges=_challenges(fields["challenges"]) if "challenges" in fields else tuple(ChallengeType),
        validation=_validation(fields["validation"]) if "validation" in fields else Validation(),
        limits=_limits(fields["limits"]) if "limits" in fields else Limits(),
        lifetimes=_lifetimes(fields["lifetimes"]) if "lifetimes" in fields else Lifetimes(),
        external=_external(fields["external_accounts"], folder)
        if "external_accounts" in fields
        else ExternalAccounts(),
        terms=_text(fields, "terms"),
        website=_text(fields, "website"),
        caa_identities=_texts(fields, "caa_identities"),
        audit=_path(fields["audit"], folder) if "audit" in fields else None,
        metrics=_endpoint(fields["metrics"]) if "metrics" in fields else None,
    )


def _identifiers(node: Node) -> IdentifierPolicy:
    fields = node.fields(("dns", "ip", "wildcards"))
    dns = fields["dns"].fields(("allow", "deny")) if "dns" in fields else {}
    ip = fields["ip"].fields(("allow", "deny")) if "ip" in fields else {}
    return IdentifierPolicy(
        allowed_names=parse_rules(_texts(dns, "allow"), at=f"{node.at}.dns.allow"),
        denied_names=parse_rules(_texts(dns, "deny"), at=f"{node.at}.dns.deny"),
        allowed_networks=parse_networks(_texts(ip, "allow"), at=f"{node.at}.ip.allow"),
        denied_networks=parse_networks(_texts(ip, "deny"), at=f"{node.at}.ip.deny"),
        wildcards="wildcards" in fields and fields["wildcards"].boolean(),
    )


def _challenges(node: Node) -> tuple[ChallengeType, ...]:
    found: list[ChallengeType] = []
    for element in node.elements():
        try:
            found.append(ChallengeType(element.text()))
        except ValueError as bad:
            raise element.refuse(
                "there is no such challenge", hint=nearest(element.text(), [one.value for one in ChallengeType])
            ) from bad
    if not found:
        raise node.refuse("without a challenge nothing can be validated", hint='write ["http-01", "dns-01"]')
    return tuple(dict.fromkeys(found))


def _validation(node: Node) -> Validation:
    known = ("allow", "deny", "private_networks", "resolvers", "http_port", "https_port", "tls_port")
    fields = node.fields((*known, "timeout", "attempts", "first_wait", "at_once"))
    rules = AddressRules(
        allow=parse_networks(_texts(fields, "allow"), at=f"{node.at}.allow"),
        deny=parse_networks(_texts(fields, "deny"), at=f"{node.at}.deny"),
        private_networks="private_networks" in fields and fields["private_networks"].boolean(),
    )
    usual = Validation()
    return Validation(
        addresses=rules,
        resolvers=tuple(_endpoint(element, default_port=53) for element in fields["resolvers"].elements())
        if "resolvers" in fields
        else (),
        http_port=_number(fields, "http_port", usual.http_port, most=_LARGEST_PORT),
        https_port=_number(fields, "https_port", usual.https_port, most=_LARGEST_PORT),
        tls_port=_number(fields, "tls_port", usual.tls_port, most=_LARGEST_PORT),
        timeout=_duration(fields, "timeout", usual.timeout),
        attempts=_number(fields, "attempts", usual.attempts, most=20),
        first_wait=_duration(fields, "first_wait", usual.first_wait),
        at_once=_number(fields, "at_once", usual.at_once, most=1000),
    )


def _limits(node: Node) -> Limits:
    usual = Limits()
    counts = ("accounts_per_address", "orders_per_account", "pending_authorizations", "failures_per_identifier")
    fields = node.fields(("window", *counts, "identifiers_per_order", "requests"))
    return Limits(
        window=_duration(fields, "window", usual.window),
        accounts_per_address=_number(fields, "accounts_per_address", usual.accounts_per_address),
        orders_per_account=_number(fields, "orders_per_account", usual.orders_per_account),
        pending_authorizations=_number(fields, "pending_authorizations", usual.pending_authorizations),
        failures_per_identifier=_number(fields, "failures_per_identifier", usual.failures_per_identifier),
        identifiers_per_order=_number(fields, "identifiers_per_order", usual.identifiers_per_order, most=1000),
        requests=_number(fields, "requests", usual.requests),
    )


def _lifetimes(node: Node) -> Lifetimes:
    usual = Lifetimes()
    fields = node.fields(("order", "authorization", "valid_authorization"))
    return Lifetimes(
        order=_duration(fields, "order", usual.order),
        authorization=_duration(fields, "authorization", usual.authorization),
        valid_authorization=_duration(fields, "valid_authorization", usual.valid_authorization),
    )


def _external(node: Node, folder: Path) -> ExternalAccounts:
    fields = node.fields(("required", "keys"))
    keys = {name: _path(file, folder) for name, file in fields["keys"].items()} if "keys" in fields else {}
    return ExternalAccounts(required="required" in fields and fields["required"].boolean(), keys=keys)


def _endpoint(node: Node, *, default_port: int | None = None) -> Endpoint:
    """`ADDRESS:PORT` or `[ADDRESS]:PORT`, of an IP address: what is not one would need a resolver to be asked first."""
    text = node.text()
    hint = "write an address and a port, such as 127.0.0.1:14000 or [::1]:14000"
    host, separator, port = text.rpartition(":")
    if default_port is not None and (not separator or (":" in host and not host.startswith("["))):
        host, port = text, str(default_port)
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError as bad:
        raise node.refuse(f"{text!r} is not an address with a port", hint=hint) from bad
    if not (port.isascii() and port.isdigit() and len(port) <= len("65535") and 0 < int(port) <= _LARGEST_PORT):
        raise node.refuse(f"{text!r} has no port between 1 and {_LARGEST_PORT}", hint=hint)
    return Endpoint(host=str(address), port=int(port))


def _url(node: Node) -> str:
    text = node.text().rstrip("/")
    try:
        parts = urlsplit(text)
        good = (
            parts.scheme == "https" and bool(parts.hostname) and not (parts.query or parts.fragment or parts.username)
        )
    except ValueError:
        good = False
    if not good:
        raise node.refuse(f"{text!r} is not the URL of a server", hint="write https://HOST:PORT")
    return text


def _path(node: Node, folder: Path) -> Path:
    text = node.text()
    if not text or "\0" in text:
        raise node.refuse("this is no path", hint="name a file")
    return folder / text


def _text(fields: Mapping[str, Node], name: str) -> str:
    return fields[name].text() if name in fields else ""


def _texts(fields: Mapping[str, Node], name: str) -> tuple[str, ...]:
    return fields[name].texts() if name in fields else ()


def _number(fields: Mapping[str, Node], name: str, usual: int, *, most: int = _LARGEST_COUNT) -> int:
    if name not in fields:
        return usual
    value = fields[name].integer()
    if not 0 < value <= most:
        raise fields[name].refuse(f"{value} is not between 1 and {most}")
    return value


def _duration(fields: Mapping[str, Node], name: str, usual: timedelta) -> timedelta:
    if name not in fields:
        return usual
    value = parse_duration(fields[name].text(), at=fields[name].at)
    if value <= timedelta():
        raise fields[name].refuse("it has to be more than nothing", hint="write one such as 24h")
    return value
