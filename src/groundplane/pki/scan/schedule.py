"""TLS 1.3's keys, as far as a client needs them to read the server's first flight (RFC 8446, 7.1 and 5.2).

Nothing is ever sent with these: once the certificates are read, the connection is dropped.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from groundplane.pki.scan.flight import BadFlight
from groundplane.pki.scan.registry import P256, P384, P521, X448, X25519

Aead = AESGCM | AESCCM | ChaCha20Poly1305
_IV = 12
_SHORT_TAG = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    digest: str
    key_length: int
    make: Callable[[bytes], Aead]


_KINDS = {
    0x1301: _Kind(digest="sha256", key_length=16, make=AESGCM),
    0x1302: _Kind(digest="sha384", key_length=32, make=AESGCM),
    0x1303: _Kind(digest="sha256", key_length=32, make=ChaCha20Poly1305),
    0x1304: _Kind(digest="sha256", key_length=16, make=AESCCM),
    0x1305: _Kind(digest="sha256", key_length=16, make=lambda key: AESCCM(key, tag_length=_SHORT_TAG)),
}
_CURVES: dict[int, Callable[[], ec.EllipticCurve]] = {P256: ec.SECP256R1, P384: ec.SECP384R1, P521: ec.SECP521R1}
SHAREABLE = (X25519, P256, P384, P521, X448)
_Private = x25519.X25519PrivateKey | x448.X448PrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Share:
    """Our half of a key exchange."""

    group: int
    _key: _Private = field(repr=False)

    @property
    def public(self) -> bytes:
        """What the hello carries."""
        public = self._key.public_key()
        if isinstance(public, ec.EllipticCurvePublicKey):
            return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return public.public_bytes(Encoding.Raw, PublicFormat.Raw)

    def secret(self, theirs: bytes) -> bytes:
        """What both know. Raises BadFlight for a share that is none."""
        try:
            match self._key:
                case x25519.X25519PrivateKey():
                    return self._key.exchange(x25519.X25519PublicKey.from_public_bytes(theirs))
                case x448.X448PrivateKey():
                    return self._key.exchange(x448.X448PublicKey.from_public_bytes(theirs))
                case ec.EllipticCurvePrivateKey() as key:
                    point = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, theirs)
                    return key.exchange(ec.ECDH(), point)
        except ValueError as bad:
            raise BadFlight("the server's key share is none") from bad


def make_share(group: int) -> Share:
    """A new key of one of SHAREABLE."""
    if group == X25519:
        return Share(group, x25519.X25519PrivateKey.generate())
    if group == X448:
        return Share(group, x448.X448PrivateKey.generate())
    return Share(group, ec.generate_private_key(_CURVES[group]()))


class Opener:
    """Opens the records of a server's flight, in order."""

    def __init__(self, *, suite: int, secret: bytes, hellos: bytes) -> None:
        """`hellos`: both hellos, as they were said. Raises BadFlight for a suite that was not offered."""
        if (kind := _KINDS.get(suite)) is None:
            raise BadFlight("server chose an unconfigured cipher suite")
        traffic = _server_secret(kind.digest, secret, hashlib.new(kind.digest, hellos).digest())
        self._aead = kind.make(_expand(kind.digest, traffic, "key", b"", kind.key_length))
        self._iv = int.from_bytes(_expand(kind.digest, traffic, "iv", b"", _IV))
        self._next = 0

    def __call__(self, header: bytes, content: bytes) -> tuple[int, bytes]:
        """The kind and the content of what is in a record. Raises BadFlight."""
        nonce = (self._iv ^ self._next).to_bytes(_IV)
        self._next += 1
        try:
            opened = self._aead.decrypt(nonce, content, header)
        except (InvalidTag, ValueError) as bad:
            raise BadFlight("a record cannot be decrypted") from bad
        inner = opened.rstrip(b"\x00")
        if not inner:
            raise BadFlight("a record has no kind")
        return inner[-1], inner[:-1]


def _server_secret(digest: str, shared: bytes, transcript: bytes) -> bytes:
    size = hashlib.new(digest).digest_size
    nothing = hashlib.new(digest).digest()
    early = _extract(digest, bytes(size), bytes(size))
    handshake = _extract(digest, _expand(digest, early, "derived", nothing, size), shared)
    return _expand(digest, handshake, "s hs traffic", transcript, size)


def _extract(digest: str, salt: bytes, material: bytes) -> bytes:
    return hmac.digest(salt, material, digest)


def _expand(digest: str, secret: bytes, label: str, context: bytes, length: int) -> bytes:
    full = b"tls13 " + label.encode()
    info = length.to_bytes(2) + bytes((len(full),)) + full + bytes((len(context),)) + context
    made, block, count = b"", b"", 0
    while len(made) < length:
        count += 1
        block = hmac.digest(secret, block + info + bytes((count,)), digest)
        made += block
    return made[:length]
