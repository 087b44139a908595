"""Java's own key store, version 2, as Java before 9 makes it: big-endian records, closed by a salted SHA-1.

A key is hidden under a stream of SHA-1 digests of the password; that is no more than obscuring by now, and the format's
way. Write PKCS#12 for any Java that can read it. Entries of secret keys (JCEKS) are not known to it.
"""

import hashlib
import hmac
import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from groundplane.errors import Invalid
from groundplane.pki import der
from groundplane.pki.keys import PrivateKey
from groundplane.pki.keystore.bundle import Contents, check
from groundplane.pki.load import certificate_of_der

MAGIC = b"\xfe\xed\xfe\xed"
_VERSION = 2
_KEY, _TRUSTED = 1, 2
_DIGEST = 20  # bytes of SHA-1, and of the salt
_PEPPER = b"Mighty Aphrodite"
_PROTECTOR = der.identifier("1.3.6.1.4.1.42.2.17.1.1")
_NULL = b"\x05\x00"
_X509 = "X.509"
_MOST = 10_000  # entries, and certificates of a chain


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A key with its chain, or a trusted certificate alone."""

    alias: str
    made: datetime
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey | None = field(default=None, repr=False)


def write(contents: Contents, *, password: bytes, alias: str, now: datetime) -> bytes:
    """The file: the key under `alias`, every trusted certificate under a numbered name. Raises Invalid."""
    check(contents, alias)
    entries = []
    if contents.key is not None:
        entries.append(Entry(alias=alias, made=now, chain=contents.chain, key=contents.key))
    for number, one in enumerate(contents.trusted, 1):
        name = alias if contents.key is None and len(contents.trusted) == 1 else f"{alias}-{number}"
        entries.append(Entry(alias=name, made=now, chain=(one,)))
    return dump(entries, password=password)


def dump(entries: list[Entry], *, password: bytes) -> bytes:
    """A file of these entries."""
    secret = _characters(password)
    body = MAGIC + struct.pack(">II", _VERSION, len(entries)) + b"".join(_entry(one, secret) for one in entries)
    return body + _seal(secret, body)


def read(data: bytes, *, password: bytes, source: str) -> Contents:
    """The first key with its chain, and all trusted certificates. Raises Invalid."""
    entries = load(data, password=password, source=source)
    own = next((one for one in entries if one.key is not None), None)
    trusted = tuple(one.chain[0] for one in entries if one.key is None and one.chain)
    if own is None:
        return Contents(trusted=trusted, alias=entries[0].alias if entries else "")
    return Contents(key=own.key, chain=own.chain, trusted=trusted, alias=own.alias)


def load(data: bytes, *, password: bytes, source: str) -> list[Entry]:
    """All entries. Raises Invalid: no such file, the wrong password, damage."""
    secret = _characters(password)
    body, seal = data[:-_DIGEST], data[-_DIGEST:]
    if not body.startswith(MAGIC):
        raise Invalid("this is no JKS file", to=source, hint="PKCS#12 is read too")
    if not hmac.compare_digest(_seal(secret, body), seal):
        raise Invalid("the password is wrong, or the file is damaged", to=source, hint="try another")
    try:
        return list(_entries(_Reader(body[len(MAGIC) :]), secret))
    except (ValueError, struct.error, IndexError, UnsupportedAlgorithm) as bad:
        raise Invalid(f"the file is damaged: {bad}", to=source) from bad


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self._data) - self._at:
            raise ValueError("it ends too early")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, form: str) -> int:
        (found,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return int(found)

    def text(self) -> str:
        return self.take(self.number(">H")).decode(errors="replace")  # Java has its own UTF-8 beyond the BMP

    def block(self) -> bytes:
        return self.take(self.number(">I"))


def _entries(reader: _Reader, secret: bytes) -> Iterator[Entry]:
    version, count = reader.number(">I"), reader.number(">I")
    if version != _VERSION or count > _MOST:
        raise ValueError(f"version {version} with {count} entries is not known")
    for _ in range(count):
        tag, alias, moment = reader.number(">I"), reader.text(), reader.number(">q")
        made = datetime.fromtimestamp(min(max(moment, 0), 2**47) / 1000, UTC)
        if tag == _TRUSTED:
            yield Entry(alias=alias, made=made, chain=(_certificate(reader),))
        elif tag == _KEY:
            key = _uncover(reader.block(), secret)
            chain = tuple(_certificate(reader) for _ in range(min(reader.number(">I"), _MOST)))
            yield Entry(alias=alias, made=made, chain=chain, key=key)
        else:
            raise ValueError(f"an entry of kind {tag} is not known")


def _entry(entry: Entry, secret: bytes) -> bytes:
    tag = _TRUSTED if entry.key is None else _KEY
    head = struct.pack(">I", tag) + _text(entry.alias.lower()) + struct.pack(">q", int(entry.made.timestamp() * 1000))
    if entry.key is None:
        return head + _encoded(entry.chain[0])
    chain = b"".join(map(_encoded, entry.chain))
    return head + _block(_cover(entry.key, secret)) + struct.pack(">I", len(entry.chain)) + chain


def _cover(key: PrivateKey, secret: bytes) -> bytes:
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt = secrets.token_bytes(_DIGEST)
    hidden = salt + _stream(plain, secret, salt) + hashlib.sha1(secret + plain).digest()  # noqa: S324 - the format's
    return der.wrap(der.SEQUENCE, der.wrap(der.SEQUENCE, _PROTECTOR + _NULL) + der.wrap(der.OCTET_STRING, hidden))


def _uncover(data: bytes, secret: bytes) -> PrivateKey:
    algorithm, octets = der.parts(data)
    if der.content(algorithm) not in {_PROTECTOR + _NULL, _PROTECTOR}:  # Java's updates of 2026 leave the NULL out
        raise ValueError("a key is protected in a way that is not JKS's")
    hidden = der.content(octets)
    salt, body, check = hidden[:_DIGEST], hidden[_DIGEST:-_DIGEST], hidden[-_DIGEST:]
    plain = _stream(body, secret, salt)
    if not hmac.compare_digest(hashlib.sha1(secret + plain).digest(), check):  # noqa: S324 - the format's
        raise ValueError("a key has another password than the file")
    key = load_der_private_key(plain, None)
    if not isinstance(key, PrivateKey):
        raise ValueError("a key is neither RSA, ECDSA nor Ed25519")  # noqa: TRY004 - it is damage, to the caller
    return key


def _stream(data: bytes, secret: bytes, salt: bytes) -> bytes:
    found, digest = bytearray(), salt
    for start in range(0, len(data), _DIGEST):
        digest = hashlib.sha1(secret + digest).digest()  # noqa: S324 - the format's
        found += bytes(one ^ other for one, other in zip(data[start : start + _DIGEST], digest, strict=False))
    return bytes(found)


def _seal(secret: bytes, body: bytes) -> bytes:
    return hashlib.sha1(secret + _PEPPER + body).digest()  # noqa: S324 - the format's


def _characters(password: bytes) -> bytes:
    """As Java has them."""
    return password.decode(errors="surrogateescape").encode("utf-16-be", errors="surrogatepass")


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def _block(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _encoded(certificate: x509.Certificate) -> bytes:
    return _text(_X509) + _block(certificate.public_bytes(Encoding.DER))


def _certificate(reader: _Reader) -> x509.Certificate:
    kind = reader.text()
    if kind != _X509:
        raise ValueError(f"a certificate of kind {kind!r} is not known")
    return certificate_of_der(reader.block())
