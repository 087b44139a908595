"""OCSP answers as `cfssl ocspsign` makes them, and the words that its callers use for revocations."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509

from groundplane.errors import Invalid
from groundplane.pki.cfssl.errors import Code, Coded, Plain
from groundplane.pki.cfssl.gotext import quote
from groundplane.pki.cfssl.material import parse_certificate, parse_key
from groundplane.pki.chain.link import link_of
from groundplane.pki.chain.signature import trouble_with_signature
from groundplane.pki.ocsp.identity import issuer_octets, name_octets
from groundplane.pki.ocsp.model import CertificateStatus, Digest, Single, Standing
from groundplane.pki.ocsp.responder import AnswerKey, Responder

_STATUSES = {status.value: status for status in CertificateStatus}
_DIGESTS = {"": Digest.SHA1, "SHA1": Digest.SHA1, **{digest.name: digest for digest in Digest}}
_REASONS = {
    "unspecified": 0,
    "keycompromise": 1,
    "cacompromise": 2,
    "affiliationchanged": 3,
    "superseded": 4,
    "cessationofoperation": 5,
    "certificatehold": 6,
    "removefromcrl": 8,
    "privilegewithdrawn": 9,
    "aacompromise": 10,
}
_LAST_REASON = 10
_INTEGER = re.compile(r"[+-]?[0-9]+")
_MOST_DIGITS = 100


def reason_of(text: str) -> int:
    """A reason by name, in any letter case, or number; none is 0. Raises Coded, or Plain for what is neither.

    CFSSL refuses the numbers 0 and 10, and with 0 its own default; here they are what they say.
    """
    if not text:
        return 0
    found = _REASONS.get(text.lower())
    if found is not None:
        return found
    if not _INTEGER.fullmatch(text):
        raise Plain(f"strconv.Atoi: parsing {quote(text)}: invalid syntax")
    if len(text) > _MOST_DIGITS or abs(int(text)) >= 1 << 63:
        raise Plain(f"strconv.Atoi: parsing {quote(text)}: value out of range")
    if not 0 <= int(text) <= _LAST_REASON:
        raise Coded(Code.REVOCATION_STATUS)
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspSigner:
    """Signs answers about the certificates of one issuer. `clock` says what time it is, in UTC."""

    responder: Responder
    interval: timedelta
    clock: Callable[[], datetime] = field(repr=False)

    def sign(
        self,
        certificate: bytes,
        *,
        status: str = "good",
        reason: int = 0,
        revoked_at: datetime | None = None,
        issuer_hash: str = "",
    ) -> bytes:
        """An answer in DER about a certificate in PEM; revoked just now unless it is said when. Raises CfsslError."""
        return self.sign_about(
            parse_certificate(certificate),
            status=status,
            reason=reason,
            revoked_at=revoked_at,
            issuer_hash=issuer_hash,
        )

    def sign_about(
        self,
        certificate: x509.Certificate,
        *,
        status: str,
        reason: int = 0,
        revoked_at: datetime | None = None,
        issuer_hash: str = "",
    ) -> bytes:
        """The same about a certificate that is read already. Raises CfsslError."""
        self._check(certificate)
        now = self.clock()
        found = _STATUSES.get(status)
        if found is None:
            raise Coded(Code.REVOCATION_STATUS)
        digest = _DIGESTS.get(issuer_hash)
        if digest is None:
            raise Plain("unsupported issuer hash algorithm")
        if found is CertificateStatus.REVOKED:
            if not 0 <= reason <= _LAST_REASON:
                raise Coded(Code.REVOCATION_STATUS)
            standing = Standing(status=found, revoked_at=revoked_at or now, reason=reason)
        else:
            standing = Standing(status=found)
        start = now.replace(minute=0, second=0, microsecond=0)
        try:
            end = start + self.interval
        except OverflowError as late:
            raise Plain("asn1: structure error: cannot represent time as GeneralizedTime") from late
        single = Single(
            id=self.responder.id_of(certificate.serial_number, digest),
            standing=standing,
            this_update=start,
            next_update=end,
        )
        return self.responder.sign([single], produced_at=now.replace(second=0, microsecond=0))

    def _check(self, certificate: x509.Certificate) -> None:
        issuer = self.responder.issuer
        try:
            if issuer_octets(certificate) != name_octets(issuer):
                raise Coded(Code.NOT_ITS_ISSUER)
            trouble = trouble_with_signature(link_of(certificate), link_of(issuer))
        except Invalid as odd:
            raise Coded(Code.CERTIFICATE_PARSE, odd.happened) from odd
        if trouble:
            raise Coded(Code.REVOCATION_STATUS, trouble)


def open_ocsp_signer(
    issuer: bytes,
    responder: bytes,
    key: bytes,
    *,
    interval: timedelta,
    clock: Callable[[], datetime],
    password: bytes = b"",
) -> OcspSigner:
    """A signer from three PEM files' contents. Raises CfsslError.

    As in CFSSL, nothing is said here of a key that is not the responder's or of a responder that nobody entrusted.
    """
    ours = parse_certificate(issuer)
    theirs = parse_certificate(responder)
    return OcspSigner(
        responder=Responder(issuer=ours, certificate=theirs, key=AnswerKey(parse_key(key, password=password))),
        interval=interval,
        clock=clock,
    )
