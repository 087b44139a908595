"""Whether one certificate was signed by another: Go's rules for the signer, and Go's words for what is wrong."""

from itertools import pairwise

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from groundplane.pki.chain.link import Link

# By the identifier of the algorithm: the family of hash, the kind of key, Go's name of it.
ALGORITHMS = {
    "1.2.840.113549.1.1.2": ("MD", "RSA", "MD2-RSA"),
    "1.2.840.113549.1.1.4": ("MD", "RSA", "MD5-RSA"),
    "1.2.840.113549.1.1.5": ("SHA1", "RSA", "SHA1-RSA"),
    "1.2.840.113549.1.1.11": ("SHA2", "RSA", "SHA256-RSA"),
    "1.2.840.113549.1.1.12": ("SHA2", "RSA", "SHA384-RSA"),
    "1.2.840.113549.1.1.13": ("SHA2", "RSA", "SHA512-RSA"),
    "1.2.840.113549.1.1.10": ("", "RSA", "RSAPSS"),
    "1.2.840.10040.4.3": ("SHA1", "DSA", "DSA-SHA1"),
    "2.16.840.1.101.3.4.3.2": ("SHA2", "DSA", "DSA-SHA256"),
    "1.2.840.10045.4.1": ("SHA1", "ECDSA", "ECDSA-SHA1"),
    "1.2.840.10045.4.3.2": ("SHA2", "ECDSA", "ECDSA-SHA256"),
    "1.2.840.10045.4.3.3": ("SHA2", "ECDSA", "ECDSA-SHA384"),
    "1.2.840.10045.4.3.4": ("SHA2", "ECDSA", "ECDSA-SHA512"),
    "1.3.101.112": ("", "Ed25519", "Ed25519"),
}
_UNIMPLEMENTED = "x509: cannot verify signature: algorithm unimplemented"
# By the kind of key: its class, Go's article and name, and what Go says of a signature that is not its own.
_KINDS: dict[str, tuple[type, str, str]] = {
    "RSA": (rsa.RSAPublicKey, "an RSA", "crypto/rsa: verification error"),
    "ECDSA": (ec.EllipticCurvePublicKey, "an ECDSA", "x509: ECDSA verification failure"),
    "Ed25519": (ed25519.Ed25519PublicKey, "an Ed25519", "x509: Ed25519 verification failure"),
}
_CANNOT_SIGN = "x509: invalid signature: parent certificate cannot sign this kind of certificate"


def hash_family(it: Link) -> str:
    """`SHA1`, `SHA2`, `MD`, or empty for others."""
    return ALGORITHMS.get(it.certificate.signature_algorithm_oid.dotted_string, ("", "", ""))[0]


def trouble_with_signature(child: Link, parent: Link) -> str:
    """Why `parent` did not sign `child`, or empty if it did and may. Dates and names do not matter."""
    version_3 = parent.certificate.version.value == 2  # noqa: PLR2004 - X.509 counts its versions from 0
    if (version_3 and not parent.has_basic) or (parent.has_basic and not parent.is_ca) or not parent.may_sign:
        return _CANNOT_SIGN
    family, kind, name = ALGORITHMS.get(child.certificate.signature_algorithm_oid.dotted_string, ("", "", ""))
    if family in {"MD", "SHA1"}:
        return f"x509: cannot verify signature: insecure algorithm {name}"
    return _trouble_with_key(child, parent, kind) if kind in _KINDS else _UNIMPLEMENTED


def _trouble_with_key(child: Link, parent: Link, kind: str) -> str:
    try:
        key = parent.certificate.public_key()
        wanted, what, _ = _KINDS[kind]
        if not isinstance(key, wanted):
            return f"x509: signature algorithm specifies {what} public key, but have public key of type {_go_type(key)}"
        child.certificate.verify_directly_issued_by(parent.certificate)
    except (TypeError, UnsupportedAlgorithm):
        return _UNIMPLEMENTED
    except (ValueError, InvalidSignature):
        return _KINDS[kind][2]
    return ""


def is_self_signed(it: Link) -> bool:
    """Whether it is a CA's own certificate, signed with its own key."""
    return it.subject == it.issuer and not trouble_with_signature(it, it)


def is_row(links: "tuple[Link, ...]") -> bool:
    """Whether each one's signature is the next one's."""
    return all(not trouble_with_signature(child, parent) for child, parent in pairwise(links))


def _go_type(key: object) -> str:
    match key:
        case rsa.RSAPublicKey():
            return "*rsa.PublicKey"
        case ec.EllipticCurvePublicKey():
            return "*ecdsa.PublicKey"
        case ed25519.Ed25519PublicKey():
            return "ed25519.PublicKey"
        case _:
            return "*dsa.PublicKey"
