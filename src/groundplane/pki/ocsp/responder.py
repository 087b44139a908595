"""Who answers for an issuer: the issuer's own key, or one that a certificate of the issuer's delegates to.

`Responder.sign` makes an answer as CFSSL does: the responder by name, its certificate only if it is not the issuer,
SHA-256 with RSA, the curve's digest with ECDSA; and Ed25519, which CFSSL's cannot. Several certificates and a nonce fit
into one answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from groundplane.errors import Invalid
from groundplane.pki import assemble, der
from groundplane.pki.extensions import extension_in, extensions_of
from groundplane.pki.keys import PrivateKey, PublicKey, public_bytes
from groundplane.pki.ocsp.identity import id_of, name_octets
from groundplane.pki.ocsp.model import CertificateID, CertificateStatus, Digest, Single
from groundplane.pki.ocsp.request import encode_id, nonce_extensions
from groundplane.pki.seen import is_signed_by
from groundplane.pki.signer import ByteSigner, LocalSigner

_BASIC = der.identifier("1.3.6.1.5.5.7.48.1.1")
_SUCCESSFUL = b"\x0a\x01\x00"
_ANSWER, _BY_NAME, _CERTIFICATES, _EXTENSIONS = 0xA0, 0xA1, 0xA0, 0xA1
_GOOD, _REVOKED, _UNKNOWN = 0x80, 0xA1, 0x82
_NEXT_UPDATE, _REASON, _ENUMERATED = 0xA0, 0xA0, 0x0A


class AnswerKey(LocalSigner):
    """A key in memory that signs answers: with RSA, SHA-256 whatever its size, as CFSSL's do."""

    def __init__(self, key: PrivateKey) -> None:
        super().__init__(key)
        if isinstance(key, rsa.RSAPrivateKey):
            self._digest = hashes.SHA256()


def algorithm_of(key: ByteSigner) -> bytes:
    """The AlgorithmIdentifier of what this key signs."""
    return assemble.algorithm_of(key.public_key, key.digest_bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """Answers for `issuer`, in the name of `certificate`, whose key is `key`."""

    issuer: x509.Certificate
    certificate: x509.Certificate
    key: ByteSigner = field(repr=False)
    _ids: dict[Digest, CertificateID] = field(default_factory=dict, init=False, repr=False)

    def id_of(self, serial: int, digest: Digest) -> CertificateID:
        """What the issuer's certificate of this number is called."""
        known = self._ids.get(digest)
        if known is None:
            known = self._ids[digest] = id_of(0, self.issuer, digest)
        return CertificateID(digest, known.name_hash, known.key_hash, serial)

    def speaks_for(self, asked: CertificateID) -> bool:
        """Whether that certificate is the issuer's, if anybody's."""
        return asked == self.id_of(asked.serial, asked.digest)

    def sign(self, singles: Sequence[Single], *, produced_at: datetime, nonce: bytes | None = None) -> bytes:
        """An answer in DER; `nonce` is the content of the request's extension."""
        parts = [
            der.wrap(_BY_NAME, name_octets(self.certificate)),
            _time(produced_at),
            _sequence(*map(_single, singles)),
        ]
        if nonce is not None:
            parts.append(der.wrap(_EXTENSIONS, nonce_extensions(nonce)))
        data = _sequence(*parts)
        basic = [data, algorithm_of(self.key), der.bits(self.key.sign_bytes(data))]
        if self.certificate != self.issuer:
            basic.append(der.wrap(_CERTIFICATES, _sequence(self.certificate.public_bytes(Encoding.DER))))
        content = der.wrap(der.OCTET_STRING, _sequence(*basic))
        return _sequence(_SUCCESSFUL, der.wrap(_ANSWER, _sequence(_BASIC, content)))


def open_responder(issuer: x509.Certificate, certificate: x509.Certificate, key: ByteSigner) -> Responder:
    """A responder that clients will believe. Raises Invalid for one that they must not.

    The delegate must be the issuer's own, and made for it ("ocsp signing" among its usages); its dates are the
    operator's business, since a server outlives them.
    """
    theirs = certificate.public_key()
    if not isinstance(theirs, PublicKey) or public_bytes(theirs) != public_bytes(key.public_key):
        hint = "give the two that belong together"
        raise Invalid("the key is not that of the certificate", to="responder", hint=hint)
    if certificate == issuer:
        return Responder(issuer=issuer, certificate=certificate, key=key)
    if not is_signed_by(certificate, issuer):
        raise Invalid("its certificate is not from the CA it answers for", to="responder", hint="sign it with that CA")
    try:
        usages = extension_in(extensions_of(certificate), x509.ExtendedKeyUsage)
    except ValueError:
        usages = None
    if usages is None or ExtendedKeyUsageOID.OCSP_SIGNING not in usages:
        hint = 'sign it with a profile that has the usage "ocsp signing"'
        raise Invalid("its certificate does not allow OCSP signing", to="responder", hint=hint)
    return Responder(issuer=issuer, certificate=certificate, key=key)


def _single(one: Single) -> bytes:
    standing = one.standing
    match standing.status:
        case CertificateStatus.GOOD:
            status = der.wrap(_GOOD, b"")
        case CertificateStatus.UNKNOWN:
            status = der.wrap(_UNKNOWN, b"")
        case CertificateStatus.REVOKED:
            reason = bytes((_ENUMERATED, 1, standing.reason))
            status = _time(standing.revoked_at or one.this_update)
            status = der.wrap(_REVOKED, status + (der.wrap(_REASON, reason) if standing.reason else b""))
        case _:
            assert_never(standing.status)
    end = b"" if one.next_update is None else der.wrap(_NEXT_UPDATE, _time(one.next_update))
    return _sequence(encode_id(one.id), status, _time(one.this_update), end)


def _time(instant: datetime) -> bytes:
    """GeneralizedTime in whole seconds, whatever the year; `instant` is in UTC."""
    return der.wrap(der.GENERALIZED_TIME, f"{instant.year:04}{instant:%m%d%H%M%S}Z".encode())


def _sequence(*members: bytes) -> bytes:
    return der.wrap(der.SEQUENCE, b"".join(members))
