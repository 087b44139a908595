"""Makes certificates of every shape, good and bad, and serves some of them over HTTP on loopback."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from typing import Any
from zlib import crc32

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
SPACES = b"\t\n\v\f\r \x85\xa0"  # the last two after a byte that makes one letter with them
_CURVES: dict[str, Any] = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}


@cache
def key(kind: str, number: int = 0) -> Any:  # noqa: ARG001 - the cache's
    """A key; the same for the same words."""
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind]())
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("rsa")))


def key_pem(it: Any) -> bytes:
    """PKCS#1 or SEC1, as CFSSL writes keys."""
    ed = isinstance(it, ed25519.Ed25519PrivateKey)
    form = PrivateFormat.PKCS8 if ed else PrivateFormat.TraditionalOpenSSL
    pem: bytes = it.private_bytes(Encoding.PEM, form, NoEncryption())
    return pem


@dataclass(frozen=True, kw_only=True)
class Made:
    certificate: x509.Certificate
    key: Any = field(repr=False)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


def made(
    name: str,
    *,
    issuer: Made | None = None,
    ca: bool = False,
    depth: int | None = None,
    the_key: Any = None,
    start: datetime = NOW - DAY,
    end: datetime = NOW + 300 * DAY,
    hosts: Sequence[str] = (),
    usages: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH,),
    issuers_at: Sequence[str] = (),
    ocsp_at: Sequence[str] = (),
    crl_at: Sequence[str] = (),
    permitted: Sequence[str] = (),
    excluded: Sequence[str] = (),
    may_sign: bool = True,
    basic: bool = True,
    odd_critical: bool = False,
    subject: Sequence[tuple[x509.ObjectIdentifier, str]] = (),
    serial: int | None = None,
    further: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Made:
    """A certificate; without an issuer it signs itself. What is asked is done, sensible or not."""
    the_key = the_key or key("p256", crc32(name.encode()) % 8)
    attributes = [*subject, *([(NameOID.COMMON_NAME, name)] if name else [])]
    dn = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    public = the_key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(dn)
        .issuer_name(issuer.certificate.subject if issuer else dn)
        .public_key(public)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    if issuer is not None:
        parent = issuer.key.public_key()
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(parent), critical=False)
    if basic:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=depth), critical=True)
    builder = builder.add_extension(_usage(ca=ca, may_sign=may_sign), critical=True)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_name, hosts))), critical=not attributes)
    if usages and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if issuers_at or ocsp_at:
        places = [(AuthorityInformationAccessOID.OCSP, url) for url in ocsp_at]
        places += [(AuthorityInformationAccessOID.CA_ISSUERS, url) for url in issuers_at]
        access = [x509.AccessDescription(how, x509.UniformResourceIdentifier(url)) for how, url in places]
        builder = builder.add_extension(x509.AuthorityInformationAccess(access), critical=False)
    if crl_at:
        points = [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in crl_at]
        builder = builder.add_extension(x509.CRLDistributionPoints(points), critical=False)
    if permitted or excluded:
        limits = x509.NameConstraints([_limit(it) for it in permitted] or None, [_limit(it) for it in excluded] or None)
        builder = builder.add_extension(limits, critical=True)
    if odd_critical:
        odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
        builder = builder.add_extension(odd, critical=True)
    for extension, critical in further:
        builder = builder.add_extension(extension, critical=critical)
    signer = issuer.key if issuer else the_key
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Made(certificate=builder.sign(signer, digest), key=the_key)


def whole(name: str, **words: Any) -> Made:
    """One whose DER does not end in what CFSSL takes for white space, and cuts off: one in 40 does."""
    while (it := made(name, **words)).der[-1] in SPACES:
        pass
    return it


def cut(name: str, **words: Any) -> Made:
    """One whose DER does end so."""
    while (it := made(name, **words)).der[-1] not in SPACES[:6]:
        pass
    return it


def _usage(*, ca: bool, may_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca and may_sign,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        if "://" in text:
            return x509.UniformResourceIdentifier(text)
        return x509.RFC822Name(text) if "@" in text else x509.DNSName(text)


def _limit(text: str) -> x509.GeneralName:
    kind, _, value = text.partition(":")
    match kind:
        case "ip":
            return x509.IPAddress(ip_network(value))
        case "mail":
            return x509.RFC822Name(value)
        case "uri":
            return x509.UniformResourceIdentifier(value)
        case _:
            return x509.DNSName(value)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        site.asked.append(f"{self.command} {self.path}")
        found = site.find(self.path, body)
        status = 404 if found is None else 200
        if isinstance(found, str):
            self.send_response(302)
            self.send_header("Location", found)
            self.end_headers()
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(found or b"")))
        self.end_headers()
        self.wfile.write(found or b"")

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@dataclass
class Site:
    """A web server's pages: bytes, an address to go to, or a function of the request's path and body."""

    port: int = 0
    pages: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def find(self, path: str, body: bytes) -> Any:
        if path in self.pages:
            page = self.pages[path]
            return page(path, body) if callable(page) else page
        for prefix, page in self.pages.items():
            if prefix.endswith("/") and path.startswith(prefix):
                return page(path.removeprefix(prefix), body) if callable(page) else page
        return None


@contextmanager
def serving() -> Iterator[Site]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    site = Site(port=server.server_address[1])
    server.site = site  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
