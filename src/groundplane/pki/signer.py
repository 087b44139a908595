"""Who holds the CA's key. `Signer` is the whole of what issuing needs of it, so that the key may be elsewhere."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Protocol, assert_never

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa

from groundplane.pki import der
from groundplane.pki.assemble import algorithm_of
from groundplane.pki.keys import PrivateKey, PublicKey, generate, spec_of
from groundplane.pki.model import KeySpec

_STRONG_RSA = 4096
_MEDIUM_RSA = 3072
_CURVE_HASHES: dict[int, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    256: hashes.SHA256(),
    384: hashes.SHA384(),
    521: hashes.SHA512(),
}


class Signer(Protocol):
    """A key that signs certificates.

    A key in memory signs here (`LocalSigner`). One in a security module or behind a service builds the same
    certificate and has the bytes signed there; `public_key` must then be asked for once and kept, since every
    certificate needs it.
    """

    @property
    def public_key(self) -> PublicKey:
        """What the certificate of the CA must be about."""

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """The certificate that `builder` describes, signed."""


class ByteSigner(ABC):
    """A key that signs bytes: certificates are made with it in less time (see `assemble`)."""

    @property
    @abstractmethod
    def public_key(self) -> PublicKey:
        """The public half."""

    @property
    @abstractmethod
    def digest_bits(self) -> int:
        """Of the SHA-2 digest that it signs; 0 for Ed25519 and ML-DSA, which bring their own."""

    @abstractmethod
    def sign_bytes(self, data: bytes) -> bytes:
        """The signature, as a certificate has it."""

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """The certificate of `builder`: put together under a key of the same kind, and then signed by this one."""
        spec = spec_of(self.public_key)
        if spec is None:
            raise ValueError("no key of its kind can be made")
        digest = next((one for one in _CURVE_HASHES.values() if one.digest_size * 8 == self.digest_bits), None)
        tbs = builder.sign(_stand_in(spec), digest).tbs_certificate_bytes
        algorithm = algorithm_of(self.public_key, self.digest_bits)
        return x509.load_der_x509_certificate(der.wrap(der.SEQUENCE, tbs + algorithm + der.bits(self.sign_bytes(tbs))))


class LocalSigner(ByteSigner):
    """A key in this process's memory; it has no useful `repr`, so that no log can show it."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self._public = key.public_key()
        self._digest = digest_for(self._public)
        self._sign = _signing(key, self._digest)

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._public

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """Sign with the digest that `digest_for` chooses."""
        return builder.sign(self._key, self._digest)

    @property
    def digest_bits(self) -> int:
        """Of the digest that `digest_for` chooses."""
        return 0 if self._digest is None else self._digest.digest_size * 8

    def sign_bytes(self, data: bytes) -> bytes:
        """Sign with that digest."""
        return self._sign(data)


@lru_cache(maxsize=8)
def _stand_in(spec: KeySpec) -> PrivateKey:
    return generate(spec)


Digest = hashes.SHA256 | hashes.SHA384 | hashes.SHA512


def _signing(key: PrivateKey, digest: Digest | None) -> Callable[[bytes], bytes]:
    """How `key` signs: found out once, not for every signature."""
    match key:
        case rsa.RSAPrivateKey():
            return partial(_sign_rsa, key, padding.PKCS1v15(), _given(digest))
        case ec.EllipticCurvePrivateKey():
            return partial(_sign_ec, key, ec.ECDSA(_given(digest)))
        case (
            ed25519.Ed25519PrivateKey()
            | mldsa.MLDSA44PrivateKey()
            | mldsa.MLDSA65PrivateKey()
            | mldsa.MLDSA87PrivateKey()
        ):
            return key.sign
        case _:
            assert_never(key)


def _sign_rsa(key: rsa.RSAPrivateKey, how: padding.PKCS1v15, digest: Digest, data: bytes) -> bytes:
    return key.sign(data, how, digest)


def _sign_ec(key: ec.EllipticCurvePrivateKey, how: ec.ECDSA, data: bytes) -> bytes:
    return key.sign(data, how)


def _given(digest: Digest | None) -> Digest:
    assert digest is not None
    return digest


def digest_for(key: PublicKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """CFSSL's choice: SHA-512 from RSA-4096 and for P-521, SHA-384 from RSA-3072 and for P-384, else SHA-256.

    None for Ed25519 and ML-DSA, which bring their own.
    """
    match key:
        case (
            ed25519.Ed25519PublicKey() | mldsa.MLDSA44PublicKey() | mldsa.MLDSA65PublicKey() | mldsa.MLDSA87PublicKey()
        ):
            return None
        case ec.EllipticCurvePublicKey():
            return _CURVE_HASHES.get(key.curve.key_size, hashes.SHA256())
        case rsa.RSAPublicKey() if key.key_size >= _STRONG_RSA:
            return hashes.SHA512()
        case rsa.RSAPublicKey() if key.key_size >= _MEDIUM_RSA:
            return hashes.SHA384()
        case _:
            return hashes.SHA256()
