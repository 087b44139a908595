"""Requests signed by a CA from two files, or by the key that they are about."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from groundplane.errors import Invalid
from groundplane.pki.certificate import make_bytes, random_serial
from groundplane.pki.cfssl.errors import Code, Coded, Plain
from groundplane.pki.cfssl.generate import refuse_unwritable
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.material import parse_certificate, parse_csr, parse_key, pem_of_der, public_key_of
from groundplane.pki.csr import key_in, see_request
from groundplane.pki.keys import PrivateKey, is_public_key, public_bytes
from groundplane.pki.model import CertificateContent, Linting, Profile, RawExtension, SeenCertificate, SeenRequest
from groundplane.pki.name import Subject
from groundplane.pki.pkcs10 import CertificationRequest
from groundplane.pki.seen import same_key, see
from groundplane.pki.signer import ByteSigner, LocalSigner
from groundplane.pki.signing import Reason, SigningRefused, SigningRequest, plan_signing

_CODES = {
    Reason.NO_USAGES: (Code.NO_USAGES, ""),
    Reason.CA: (Code.REQUEST_REFUSED, ""),
    Reason.NAME: (Code.NAME_REFUSED, ""),
    Reason.EXTENSION: (Code.EXTENSION_REFUSED, ""),
    Reason.SERIAL: (Code.SERIAL_MISSING, ""),
}


class _Read:
    """A request whose signature is right; what it says is worked out when it is first asked for.

    Once both are known nothing else is kept: what a server remembers, its processor's caches have to hold.
    """

    def __init__(self, request: CertificationRequest) -> None:
        self._request: CertificationRequest | None = request
        self._seen: SeenRequest | None = None
        self._key = b""

    def seen(self) -> SeenRequest:
        """What it says. Raises Coded."""
        if self._seen is None:
            assert self._request is not None
            try:
                self._seen = see_request(self._request)
            except Invalid as odd:
                raise Coded(Code.CSR_PARSE) from odd
        return self._seen

    def key(self) -> bytes:
        """What it is about, as a SubjectPublicKeyInfo. Raises Coded."""
        if not self._key:
            assert self._request is not None
            self._key = key_in(self._request) or public_bytes(public_key_of(self._request))
        if self._seen is not None:
            self._request = None
        return self._key


@lru_cache(maxsize=256)
def _read(csr_pem: bytes) -> _Read:
    """Requests come again, byte for byte: at each renewal with the same key, at each retry. Raises Coded."""
    return _Read(parse_csr(csr_pem))


_LARGEST_REMEMBERED = 8192


@dataclass(slots=True, kw_only=True)
class Issuer:
    """Who signs: a key, and its certificate; None signs as a new root. `clock` says what time it is, in UTC.

    `capped`: what it signs ends with its own certificate at the latest, which CFSSL does not see to.

    What it needs to know of its own key and certificate it finds out once, and not before it signs.
    """

    key: PrivateKey | ByteSigner
    certificate: x509.Certificate | None
    clock: Callable[[], datetime]
    journal: Journal = field(repr=False)
    capped: bool = False
    _seen: SeenCertificate | None = field(default=None, init=False, repr=False)
    _signer: ByteSigner | None = field(default=None, init=False, repr=False)

    def sign(
        self,
        csr_pem: bytes,
        profile: Profile,
        *,
        hosts: tuple[str, ...] | None = None,
        subject: Subject | None = None,
        crl_url: str = "",
        serial: int | None = None,
        extensions: tuple[RawExtension, ...] = (),
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        return_precert: bool = False,
    ) -> str:
        """The certificate, in PEM. `serial` counts only where the profile wants the client's. Raises Coded.

        `return_precert`: it ends with the precertificate, which no log has heard of yet.
        """
        request = _read(csr_pem) if len(csr_pem) <= _LARGEST_REMEMBERED else _Read(parse_csr(csr_pem))
        if hosts is not None:
            refuse_unwritable(hosts, code=Code.CERTIFICATE_UNKNOWN)
        try:
            if self._seen is None and self.certificate is not None:
                self._seen = see(self.certificate, source="CA")
            asked = SigningRequest(
                csr=request.seen(),
                hosts=hosts,
                subject=subject,
                serial=serial,
                extensions=extensions,
                crl_url=crl_url,
                not_before=not_before,
                not_after=not_after,
            )
            content = plan_signing(asked, profile, now=self.clock(), issuer=self._seen)
            if self.capped and self._seen is not None and content.not_after > self._seen.not_after:
                content = replace(content, not_after=self._seen.not_after)
        except SigningRefused as refused:
            if refused.reason is Reason.KEY:
                raise Plain("x509: unsupported public key type: <nil>") from refused
            code, text = _CODES.get(refused.reason, (Code.POLICY, refused.happened))
            if refused.reason is Reason.CA:
                who = "policy" if not profile.ca_constraint.is_ca else "certificate"
                self.journal.error(f"local signer {who} disallows issuing CA certificate")
            raise Coded(code, text) from refused
        except Invalid as bad:
            raise Coded(Code.CSR_BAD, bad.happened) from bad
        _refuse_depth(content)
        number = serial if profile.client_serial and serial is not None else random_serial()
        if profile.ct_logs or return_precert:
            from groundplane.pki.ct import POISON

            poisoned = replace(content, extensions=(*content.extensions, POISON))
            self._lint(poisoned, profile.lint, request, number)
            precertificate = self._make(poisoned, request, number)
            if return_precert:
                return pem_of_der(precertificate)
            content = replace(content, extensions=(*content.extensions, self._logged(precertificate, profile.ct_logs)))
        self._lint(content, profile.lint, request, number)
        return pem_of_der(self._make(content, request, number))

    def _lint(self, content: CertificateContent, linting: Linting | None, request: "_Read", serial: int) -> None:
        """Asks the profile's rules before the key signs anything. Raises Plain, with how many it would break."""
        if linting is None:
            return
        from groundplane.pki.lint.before import examine, told
        from groundplane.pki.lint.view import Unreadable

        public_key = load_der_public_key(request.key())
        assert is_public_key(public_key)
        try:
            found = examine(content, linting, public_key=public_key, serial=serial, issuer=self.certificate)
        except Unreadable as bad:
            raise Coded(Code.CERTIFICATE_PARSE) from bad
        except Invalid as bad:
            raise Coded(Code.CERTIFICATE_UNKNOWN, bad.happened) from bad
        if found:
            self.journal.debug(f"pre-issuance linting: {told(found)}")
            raise Plain(f"pre-issuance linting found {len(found)} error results")

    def _logged(self, precertificate: bytes, logs: tuple[str, ...]) -> RawExtension:
        """What the logs say of it, as an extension. Raises Coded."""
        from groundplane.pki.ct import BadTimestamp, LogFailed
        from groundplane.pki.ct.embed import timestamps

        issuer = () if self.certificate is None else (self.certificate.public_bytes(Encoding.DER),)

        def tell(log: str) -> None:
            self.journal.info(f"submitting poisoned precertificate to {log}")

        try:
            return timestamps((precertificate, *issuer), logs, tell=tell)
        except LogFailed as bad:
            raise Coded(Code.LOG_SUBMISSION, str(bad)) from bad
        except BadTimestamp as bad:
            raise Coded(Code.TRANSPARENCY, str(bad)) from bad

    def _make(self, content: CertificateContent, request: "_Read", serial: int) -> bytes:
        try:
            made = make_bytes(
                content,
                key=request.key(),
                serial=serial,
                issuer=self.certificate,
                signer=self._signer or self._prove(),
            )
        except Invalid as bad:
            raise Coded(Code.CERTIFICATE_UNKNOWN, bad.happened) from bad
        self.journal.info(f"signed certificate with serial number {serial}")
        return made

    def _prove(self) -> ByteSigner:
        """The key as a signer, once it is known to be the certificate's. Raises Coded."""
        signer = self.key if isinstance(self.key, ByteSigner) else LocalSigner(self.key)
        if self.certificate is not None and not same_key(self.certificate, signer.public_key):
            raise Coded(Code.CERTIFICATE_UNKNOWN, "x509: provided PrivateKey doesn't match parent's PublicKey")
        self._signer = signer
        return signer


def _refuse_depth(content: CertificateContent) -> None:
    if content.is_ca and content.path_length is not None and content.path_length < 0:
        raise Coded(Code.CERTIFICATE_UNKNOWN, "x509: invalid MaxPathLen, must be greater or equal to -1")


def open_issuer(
    certificate: bytes,
    key: bytes,
    *,
    password: bytes,
    clock: Callable[[], datetime],
    journal: Journal,
    capped: bool = False,
) -> Issuer:
    """The CA of two files' contents. Raises Coded."""
    parsed = parse_certificate(certificate)
    opened = parse_key(key, password=password)
    return Issuer(key=opened, certificate=parsed, clock=clock, journal=journal, capped=capped)
