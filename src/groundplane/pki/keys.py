"""Private keys: make them, and read and write them as CFSSL does.

RSA is written as PKCS#1 (`RSA PRIVATE KEY`), elliptic curves as SEC1 (`EC PRIVATE KEY`), Ed25519 and ML-DSA as PKCS#8
(`PRIVATE KEY`: CFSSL's label `Ed25519 PRIVATE KEY` is read, but OpenSSL knows no such thing, so it is not written).
Nothing here says a key in an error, and nothing writes a file.
"""

from functools import lru_cache
from typing import TypeGuard, assert_never

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa

from groundplane.errors import Invalid
from groundplane.pki.model import KeyAlgorithm, KeySpec

MLDSAPrivateKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
MLDSAPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | MLDSAPrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | MLDSAPublicKey

_EXPONENT = 65537
_PLAIN_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")  # an uncompressed point follows
P256_POINT = 65  # octets; the first of them is the last of those above
_PLAIN_P256_SIZE = len(_PLAIN_P256) - 1 + P256_POINT
_PROBE = b"groundplane: is this key whole?"
_CURVES: dict[int, type[ec.EllipticCurve]] = {256: ec.SECP256R1, 384: ec.SECP384R1, 521: ec.SECP521R1}
_CURVE_NAMES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_ML_DSA: dict[int, type[MLDSAPrivateKey]] = {
    44: mldsa.MLDSA44PrivateKey,
    65: mldsa.MLDSA65PrivateKey,
    87: mldsa.MLDSA87PrivateKey,
}
_ML_DSA_PUBLIC: dict[int, type[MLDSAPublicKey]] = {
    44: mldsa.MLDSA44PublicKey,
    65: mldsa.MLDSA65PublicKey,
    87: mldsa.MLDSA87PublicKey,
}
_CFSSL_ED25519 = b"Ed25519 PRIVATE KEY-----"


def generate(spec: KeySpec) -> PrivateKey:
    """A new key. RSA of 4096 bits takes 0.1 to 2 s: see `race.generate_fast`."""
    match spec.algorithm:
        case KeyAlgorithm.RSA:
            return rsa.generate_private_key(public_exponent=_EXPONENT, key_size=spec.size)
        case KeyAlgorithm.ECDSA:
            return ec.generate_private_key(_CURVES[spec.size]())
        case KeyAlgorithm.ED25519:
            return ed25519.Ed25519PrivateKey.generate()
        case KeyAlgorithm.ML_DSA:
            return _ML_DSA[spec.size].generate()
        case _:
            assert_never(spec.algorithm)


@lru_cache(maxsize=64)
def _is_public(kind: type) -> bool:
    return issubclass(kind, PublicKey)


def is_public_key(key: object) -> TypeGuard[PublicKey]:
    """Whether it is of a kind that is known here; asked of each class once, since they are abstract and slow to ask."""
    kind: type = type(key)
    return _is_public(kind)


def spec_of(key: object) -> KeySpec | None:
    """Its kind and size, or None for one that CFSSL could not make (a small RSA key, another curve)."""
    curve = getattr(key, "curve", None)
    kind: type = type(key)
    return _spec(kind, getattr(key, "key_size", 0), "" if curve is None else curve.name)


@lru_cache(maxsize=64)
def _spec(kind: type, size: int, curve: str) -> KeySpec | None:
    try:
        if issubclass(kind, rsa.RSAPublicKey):
            return KeySpec(algorithm=KeyAlgorithm.RSA, size=size)
        if issubclass(kind, ec.EllipticCurvePublicKey):
            return KeySpec(algorithm=KeyAlgorithm.ECDSA, size=size) if curve in _CURVE_NAMES else None
        if issubclass(kind, ed25519.Ed25519PublicKey):
            return KeySpec(algorithm=KeyAlgorithm.ED25519, size=256)
    except Invalid:
        return None  # outside the sizes that KeySpec allows
    parameters = next((size for size, known in _ML_DSA_PUBLIC.items() if issubclass(kind, known)), None)
    # None of these is another algorithm, which x509 can read all the same.
    return None if parameters is None else KeySpec(algorithm=KeyAlgorithm.ML_DSA, size=parameters)


def dump_key(key: PrivateKey) -> bytes:
    """The key as PEM, unencrypted: the caller writes it 0600."""
    if isinstance(key, ed25519.Ed25519PrivateKey | MLDSAPrivateKey):
        form = serialization.PrivateFormat.PKCS8
    else:
        form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def load_key(pem: bytes, *, source: str) -> PrivateKey:
    """The key in `pem`; `source` is its name in errors. Raises Invalid for no key, an encrypted or broken one.

    OpenSSL's own check of an RSA key proves its primes again, 0.3 s for 4096 bits; that is for keys from strangers. The
    operator's own files are checked for damage only: the numbers fit together, and a signature verifies, in 5 ms.
    """
    plain = pem.replace(_CFSSL_ED25519, b"PRIVATE KEY-----")
    try:
        key = serialization.load_pem_private_key(plain, password=None, unsafe_skip_rsa_key_validation=True)
    except TypeError as encrypted:
        raise Invalid("the key is encrypted", to=source, hint="decrypt it first (`openssl pkey`)") from encrypted
    except (ValueError, UnsupportedAlgorithm) as bad:
        raise Invalid("there is no private key in it that can be read", to=source, hint="give a PEM file") from bad
    if not isinstance(key, PrivateKey):
        raise Invalid("the key is neither RSA, ECDSA, Ed25519 nor ML-DSA", to=source, hint="make one of these")
    try:
        _prove(key)
    except (ValueError, InvalidSignature, InternalError, UnsupportedAlgorithm) as broken:
        raise Invalid("the key is broken: its parts do not fit together", to=source, hint="restore it") from broken
    return key


def _prove(key: PrivateKey) -> None:
    match key:
        case rsa.RSAPrivateKey():
            _prove_numbers(key.private_numbers())
            signature = key.sign(_PROBE, padding.PKCS1v15(), hashes.SHA256())
            key.public_key().verify(signature, _PROBE, padding.PKCS1v15(), hashes.SHA256())
        case ec.EllipticCurvePrivateKey():
            signature = key.sign(_PROBE, ec.ECDSA(hashes.SHA256()))
            key.public_key().verify(signature, _PROBE, ec.ECDSA(hashes.SHA256()))
        case (
            ed25519.Ed25519PrivateKey()
            | mldsa.MLDSA44PrivateKey()
            | mldsa.MLDSA65PrivateKey()
            | mldsa.MLDSA87PrivateKey()
        ):
            key.public_key().verify(key.sign(_PROBE), _PROBE)
        case _:
            assert_never(key)


def _prove_numbers(them: rsa.RSAPrivateNumbers) -> None:
    """RFC 8017, 3.2. OpenSSL signs around a damaged number; Go, so etcd, refuses the key."""
    p, q, d, e = them.p, them.q, them.d, them.public_numbers.e
    fits = p > 1 < q and p * q == them.public_numbers.n
    fits = fits and all(d * e % (prime - 1) == 1 for prime in (p, q))
    if not fits or (them.dmp1, them.dmq1, them.iqmp * q % p) != (d % (p - 1), d % (q - 1), 1):
        raise ValueError


def is_plain_p256(der: bytes) -> bool:
    """Whether this SubjectPublicKeyInfo, if its point is one, is what `public_bytes` makes of the P-256 key in it."""
    return len(der) == _PLAIN_P256_SIZE and der.startswith(_PLAIN_P256)


def public_bytes(key: PublicKey) -> bytes:
    """The SubjectPublicKeyInfo in DER: equal for equal keys."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
