"""OCSP responses as they come (RFC 6960, 4.2): parsed, with the bytes that were signed, and by whom.

Responders of the old kind write the version that DER leaves out because it is the usual one. They are understood.
"""

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import ocsp

from groundplane.pki import der

_VERSION_1 = der.wrap(0xA0, der.integer(0))
_BYTES = 0xA0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedResponse:
    """`signed` is what the signature covers, byte for byte; nothing if the response is an error."""

    parsed: ocsp.OCSPResponse
    signed: bytes = field(repr=False)

    def is_by(self, certificate: x509.Certificate) -> bool:
        """Whether the key of `certificate` signed it; what MD5 signed, nobody did.

        Raises ValueError, UnsupportedAlgorithm for a key or a digest that is not known.
        """
        digest, signature = self.parsed.signature_hash_algorithm, self.parsed.signature
        try:
            match certificate.public_key():
                case rsa.RSAPublicKey() as key if digest is not None:
                    key.verify(signature, self.signed, padding.PKCS1v15(), digest)
                case ec.EllipticCurvePublicKey() as key if digest is not None:
                    key.verify(signature, self.signed, ec.ECDSA(digest))
                case ed25519.Ed25519PublicKey() as key:
                    key.verify(signature, self.signed)
                case _:
                    return False
        except InvalidSignature:
            return False
        return not isinstance(digest, hashes.MD5)


def load_response(data: bytes) -> SignedResponse:
    """Raises ValueError."""
    try:
        parsed = ocsp.load_der_ocsp_response(data)
        signed = parsed.tbs_response_bytes if parsed.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL else b""
    except ValueError as odd:
        return _with_version(data, odd)
    return SignedResponse(parsed=parsed, signed=signed)


def _with_version(data: bytes, odd: ValueError) -> SignedResponse:
    """The same with its version taken out; `odd` if it has none."""
    status, *outer = der.parts(data)
    if len(outer) != 1 or outer[0][0] != _BYTES:
        raise odd
    kind, octets = der.parts(der.content(outer[0]))
    signed, *rest = der.parts(der.content(octets))
    fields = list(der.parts(signed))
    if fields[:1] != [_VERSION_1]:
        raise odd
    basic = der.wrap(der.SEQUENCE, der.wrap(der.SEQUENCE, b"".join(fields[1:])) + b"".join(rest))
    inner = der.wrap(_BYTES, der.wrap(der.SEQUENCE, kind + der.wrap(der.OCTET_STRING, basic)))
    parsed = ocsp.load_der_ocsp_response(der.wrap(der.SEQUENCE, status + inner))
    return SignedResponse(parsed=parsed, signed=signed)
