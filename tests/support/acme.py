"""A small ACME client, an ASGI caller, and a server in memory: for tests of the server without a network."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Engine
from starlette.types import ASGIApp

from groundplane.errors import Exists, NotFound
from groundplane.pki.acme.addresses import Address
from groundplane.pki.acme.app import App
from groundplane.pki.acme.caa import Record
from groundplane.pki.acme.config import Config, parse_config
from groundplane.pki.acme.context import Context, Urls
from groundplane.pki.acme.engine import open_engine
from groundplane.pki.acme.issuer import Issuer
from groundplane.pki.acme.ledger import Ledger, Recorded
from groundplane.pki.acme.order_store import OrderStore
from groundplane.pki.authority import Authority
from groundplane.pki.certdb import DatabaseConfig, subject_key_id_of
from groundplane.pki.keys import generate, load_key
from groundplane.pki.model import P256
from groundplane.pki.signer import LocalSigner
from groundplane.pki.wire import parse_policy, parse_request
from groundplane.system.clock import DrivenClock

START = datetime(2026, 3, 4, 10, 20, 30, tzinfo=UTC)
BASE = "https://acme.example"
POLICY = {
    "signing": {
        "default": {"expiry": "168h", "usages": ["digital signature", "server auth"]},
        "profiles": {
            "short": {"expiry": "2h", "usages": ["digital signature", "server auth"]},
            "picky": {"expiry": "2h", "usages": ["digital signature", "server auth"], "name_whitelist": "^good\\."},
        },
    }
}
SERVER: dict[str, Any] = {
    "listen": "127.0.0.1:14000",
    "url": BASE,
    "ca": {"certificate": "ca.pem", "key": "ca-key.pem"},
    "policy": "policy.json",
    "database": "db.json",
    "state": "state",
    "identifiers": {
        "dns": {"allow": ["example.test", "*.example.test"], "deny": ["secret.example.test"]},
        "ip": {"allow": ["127.0.0.0/8", "2001:db8::/32"]},
        "wildcards": True,
    },
    "validation": {"allow": ["127.0.0.0/8"], "attempts": 1, "timeout": "3s"},
}

AccountKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_HASHES: dict[int, hashes.HashAlgorithm] = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
_CURVES = {256: "P-256", 384: "P-384", 521: "P-521"}
_ES = {256: "ES256", 384: "ES384", 521: "ES512"}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk_of(key: AccountKey) -> dict[str, str]:
    public = key.public_key()
    match public:
        case rsa.RSAPublicKey():
            numbers = public.public_numbers()
            return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        case ec.EllipticCurvePublicKey():
            point, size = public.public_numbers(), (public.key_size + 7) // 8
            x, y = b64(point.x.to_bytes(size)), b64(point.y.to_bytes(size))
            return {"kty": "EC", "crv": _CURVES[public.key_size], "x": x, "y": y}
        case _:
            return {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw())}


def _number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8))


def algorithm_of(key: AccountKey) -> str:
    match key:
        case rsa.RSAPrivateKey():
            return "RS256"
        case ec.EllipticCurvePrivateKey():
            return _ES[key.key_size]
        case _:
            return "EdDSA"


def sign(key: AccountKey, data: bytes) -> bytes:
    match key:
        case rsa.RSAPrivateKey():
            return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        case ec.EllipticCurvePrivateKey():
            size = (key.key_size + 7) // 8
            r, s = decode_dss_signature(key.sign(data, ec.ECDSA(_HASHES[key.key_size])))
            return r.to_bytes(size) + s.to_bytes(size)
        case _:
            return key.sign(data)


def jws(key: AccountKey, header: Mapping[str, object], payload: object | None) -> dict[str, str]:
    """A flattened JWS; `payload` None is POST-as-GET."""
    protected = b64(json.dumps({"alg": algorithm_of(key), **header}).encode())
    body = "" if payload is None else b64(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    return {
        "protected": protected,
        "payload": body,
        "signature": b64(sign(key, f"{protected}.{body}".encode())),
    }


def thumbprint(key: AccountKey) -> str:
    text = json.dumps(dict(sorted(jwk_of(key).items())), separators=(",", ":"))
    return b64(hashlib.sha256(text.encode()).digest())


@dataclass(frozen=True)
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name.lower()), "")

    @property
    def problem(self) -> str:
        """The type's name, where this is a problem document."""
        assert self.header("content-type") == "application/problem+json", self
        assert self.json["status"] == self.status
        return str(self.json["type"]).removeprefix("urn:ietf:params:acme:error:")


async def call(
    app: ASGIApp, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Reply:
    """One request, as an HTTP server would hand it over."""
    parts = urlsplit(url)
    sent: list[Any] = []
    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {
        "type": "http",
        "method": method,
        "path": parts.path,
        "query_string": parts.query.encode(),
        "headers": raw,
        "client": ("192.0.2.1", 4000),
        "server": ("acme.example", 443),
        "scheme": "https",
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    found = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
    return Reply(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


@dataclass
class Client:
    """One account of one server; `kid` once it is registered."""

    app: ASGIApp
    key: AccountKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    kid: str = ""
    nonce: str = ""
    base: str = BASE

    async def post(self, url: str, payload: object | None, /, *, key: AccountKey | None = None, **header: Any) -> Reply:
        """Signed as the account, or by `key` (then with its jwk); `header` overrides, None leaves out."""
        if not self.nonce:
            self.nonce = (await call(self.app, "HEAD", f"{self.base}/acme/new-nonce")).header("replay-nonce")
        signer = key or self.key
        who: dict[str, Any] = {"jwk": jwk_of(signer)} if key or not self.kid else {"kid": self.kid}
        fields = {**who, "nonce": self.nonce, "url": url, **header}
        body = jws(signer, {name: value for name, value in fields.items() if value is not None}, payload)
        reply = await self.raw(url, json.dumps(body).encode())
        self.nonce = reply.header("replay-nonce")
        return reply

    async def raw(self, url: str, body: bytes, content_type: str = "application/jose+json") -> Reply:
        return await call(self.app, "POST", url, body, {"content-type": content_type})

    async def register(self, **fields: object) -> Reply:
        reply = await self.post(f"{self.base}/acme/new-account", fields)
        if reply.status in {200, 201}:
            self.kid = reply.header("location")
        return reply

    async def order(self, *names: str, **fields: object) -> Reply:
        payload = {"identifiers": [identifier(name) for name in names], **fields}
        return await self.post(f"{self.base}/acme/new-order", payload)


def identifier(name: str) -> dict[str, str]:
    try:
        return {"type": "ip", "value": str(ip_address(name))}
    except ValueError:
        return {"type": "dns", "value": name}


def csr(*names: str, key: Any = None, common_name: str | None = None) -> bytes:
    """A CSR in DER."""
    attributes = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name else []
    general: list[x509.GeneralName] = []
    for name in names:
        if identifier(name)["type"] == "ip":
            general.append(x509.IPAddress(ip_address(name)))
        else:
            general.append(x509.DNSName(name))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    if general:
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    made = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return made.public_bytes(Encoding.DER)


class MemoryLedger:
    """What was issued, in memory."""

    def __init__(self) -> None:
        self.rows: dict[int, Recorded] = {}
        self.reasons: dict[int, int] = {}

    def record(self, certificate: x509.Certificate, *, about: Mapping[str, str], now: datetime) -> None:
        assert about
        assert now
        if certificate.serial_number in self.rows:
            raise Exists("taken", to=certificate.serial_number)
        pem = certificate.public_bytes(Encoding.PEM).decode()
        self.rows[certificate.serial_number] = Recorded(pem=pem, revoked=False)

    def find(self, serial: int) -> Recorded | None:
        return self.rows.get(serial)

    def revoke(self, certificate: x509.Certificate, *, about: Mapping[str, str], reason: int, at: datetime) -> bool:
        assert at
        assert about["revoked_by"]
        serial = certificate.serial_number
        if serial not in self.rows:
            raise NotFound("none", to=serial)
        changed = not self.rows[serial].revoked
        self.rows[serial] = replace(self.rows[serial], revoked=True)
        self.reasons.setdefault(serial, reason)
        return changed


class FakeDNS:
    """Answers from dictionaries."""

    def __init__(self) -> None:
        self.hosts: dict[str, list[str]] = {}
        self.records: dict[str, list[bytes]] = {}
        self.caa_records: dict[str, list[Record]] = {}

    async def addresses(self, name: str) -> list[Address]:
        return [ip_address(one) for one in self.hosts.get(name, [])]

    async def texts(self, name: str) -> list[bytes]:
        return self.records.get(name, [])

    async def caa(self, name: str) -> list[Record]:
        return self.caa_records.get(name, [])


def sqlite(path: Path | str) -> Engine:
    return open_engine(DatabaseConfig(driver="sqlite3", data_source=str(path)))


def config_of(folder: Path, **changes: Any) -> Config:
    return parse_config(json.dumps({**SERVER, **changes}).encode(), source="acme.json", folder=folder)


@dataclass
class Lab:
    """A server in memory, its parts at hand."""

    config: Config
    store: OrderStore
    ledger: MemoryLedger
    issuer: Issuer
    authority: Authority
    clock: DrivenClock
    context: Context
    app: App
    dns: FakeDNS

    def client(self, key: AccountKey | None = None) -> Client:
        return Client(self.app, key) if key else Client(self.app)

    def again(self) -> "Lab":
        """Another process on the same database."""
        store = OrderStore(self.store._engine)
        context = replace(self.context, store=store)
        return replace(self, store=store, context=context, app=App(context))


def lab(
    folder: Path,
    *,
    external_keys: Mapping[str, bytes] | None = None,
    engine: Engine | None = None,
    ledger_of: Callable[[str], Ledger] | None = None,
    **changes: Any,
) -> Lab:
    """A server; `engine` and `ledger_of` (from the CA's key identifier) for other databases than the usual ones."""
    config = config_of(folder, **changes)
    store = OrderStore(engine or sqlite(folder / "acme.db"))
    store.migrate()
    request = parse_request(
        json.dumps({"CN": "test CA", "key": {"algo": "ecdsa", "size": 256}}).encode(), source="ca.json"
    )
    key = generate(P256)
    authority, root = Authority.create_root(request, now=START - timedelta(days=1), key=key)
    ledger = MemoryLedger()
    issuer = Issuer(
        [authority.certificate],
        LocalSigner(load_key(root.key_pem, source="key")),
        policy=parse_policy(json.dumps(POLICY).encode(), source="policy"),
        default_profile=config.profile,
        ledger=ledger_of(subject_key_id_of(authority.certificate)) if ledger_of else ledger,
    )
    clock = DrivenClock(START)
    context = Context(
        config=config,
        urls=Urls(base=config.url),
        store=store,
        issuer=issuer,
        clock=clock,
        wake=lambda: None,
        external_keys=external_keys or {},
    )
    return Lab(config, store, ledger, issuer, authority, clock, context, App(context), FakeDNS())


def prove(here: Lab, authorization_id: str, *, good: bool = True, kind: str = "http-01") -> None:
    """End a challenge as the worker would."""
    found = here.store.authorization(authorization_id)
    assert found is not None
    challenge = next(one for one in found.challenges if one.type.value == kind)
    here.store.start_challenge(challenge.id, due=here.context.now())
    error = None if good else {"type": "urn:ietf:params:acme:error:unauthorized", "detail": "no", "status": 403}
    expires = here.context.now() + here.config.lifetimes.valid_authorization
    here.store.end_challenge(challenge, at=here.context.now(), error=error, expires=expires)


def id_of(url: str) -> str:
    return url.rpartition("/")[2]
