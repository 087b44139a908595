"""Whether a key made a signature: by numbers alone, so that a key which OpenSSL would not load has its answer too."""

from typing import TYPE_CHECKING

from groundplane.pki.lint import oids, read
from groundplane.pki.lint.parts import Key
from groundplane.pki.lint.read import Value

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

_RSA, _EC = "1.2.840.113549.1.1.", "1.2.840.10045.4."
_DIGESTS = {
    _RSA + "4": "MD5",
    _RSA + "5": "SHA1",
    _RSA + "11": "SHA256",
    _RSA + "12": "SHA384",
    _RSA + "13": "SHA512",
    _EC + "1": "SHA1",
    _EC + "3.2": "SHA256",
    _EC + "3.3": "SHA384",
    _EC + "3.4": "SHA512",
    "1.2.840.10040.4.3": "SHA1",
    "2.16.840.1.101.3.4.3.2": "SHA256",
    oids.ED25519: "",
}
# The three ways to write RSASSA-PSS: the same digest for the message and for MGF1, a salt as long as the digest.
PSS = {
    bytes.fromhex(
        f"304106092a864886f70d01010a3034a00f300d06096086480165030402{digest}0500a11c301a06092a864886f70d010108"
        f"300d06096086480165030402{digest}0500a2030201{salt}"
    ): name
    for digest, salt, name in (("01", "20", "SHA256"), ("02", "30", "SHA384"), ("03", "40", "SHA512"))
}


def signed_by_own_key(key: Key, algorithm: Value, *, signed: bytes, signature: bytes) -> bool:
    """Whether `key` made `signature`. What cannot be told is no."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes

    oid = read.dotted(algorithm.members[0].content)
    name = PSS.get(algorithm.whole) if oid == oids.RSA_PSS else _DIGESTS.get(oid)
    if name is None:
        return False
    digest = getattr(hashes, name)() if name else None
    try:
        _verify(key, digest, signed, signature, pss=oid == oids.RSA_PSS)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _verify(key: Key, digest: "HashAlgorithm | None", signed: bytes, signature: bytes, *, pss: bool) -> None:
    """Raises InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError."""
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa

    if key.oid == oids.ED25519 and digest is None:
        ed25519.Ed25519PublicKey.from_public_bytes(key.point).verify(signature, signed)
    elif digest is None:
        raise TypeError(key.oid)
    elif key.oid == oids.RSA:
        pad = padding.PSS(padding.MGF1(digest), digest.digest_size) if pss else padding.PKCS1v15()
        rsa.RSAPublicNumbers(key.exponent, key.modulus).public_key().verify(signature, signed, pad, digest)
    elif key.oid == oids.EC:
        curves: dict[str, ec.EllipticCurve] = {
            "P-224": ec.SECP224R1(),
            "P-256": ec.SECP256R1(),
            "P-384": ec.SECP384R1(),
            "P-521": ec.SECP521R1(),
        }
        point = ec.EllipticCurvePublicKey.from_encoded_point(curves[key.curve], key.point)
        point.verify(signature, signed, ec.ECDSA(digest))
    elif key.dsa is not None:
        p, q, g, y = key.dsa
        dsa.DSAPublicNumbers(y, dsa.DSAParameterNumbers(p, q, g)).public_key().verify(signature, signed, digest)
    else:
        raise TypeError(key.oid)
