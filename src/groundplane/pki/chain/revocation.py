"""Whether a certificate was revoked, by its issuer's CRLs and OCSP responders: only what the issuer signed counts.

An answer is one of three: good, revoked, or not found out. Which of the last is borne (soft-fail) or not (hard-fail) is
the caller's to say. CRLs and OCSP answers are kept until they say that newer ones are to be had.
"""

import base64
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from threading import Lock
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from groundplane.errors import GroundplaneError, Unavailable
from groundplane.pki.chain.fetch import Fetcher
from groundplane.pki.chain.link import Link, link_of
from groundplane.pki.chain.signature import trouble_with_signature
from groundplane.pki.pem import pem_blocks
from groundplane.pki.response import SignedResponse, load_response

K = TypeVar("K")
V = TypeVar("V")

_LONGEST_GET = 256  # RFC 6960, A.1, and CFSSL: longer requests are posted
_SKEW = timedelta(minutes=5)
_MOST_KEPT = 256
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)
_MOST_URLS = 8  # of a kind in one certificate; nobody needs more
_KEPT_FOR = timedelta(hours=1)  # where an answer does not say how long it is good


class Standing(Enum):
    """What is known of a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "not found out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found, by whom (`source`), and why it is so or is not known."""

    standing: Standing
    source: str = ""
    why: str = ""

    def __str__(self) -> str:
        about = " by ".join(filter(None, (self.standing.value, self.source)))
        return f"{about}: {self.why}" if self.why else about


@dataclass(slots=True, kw_only=True)
class Revocations:
    """Asks and remembers. `lists` are at hand and looked at first; without a fetcher nobody is asked."""

    fetcher: Fetcher | None
    lists: tuple[x509.CertificateRevocationList, ...] = ()
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _crls: dict[str, x509.CertificateRevocationList] = field(default_factory=dict)
    _answers: dict[tuple[str, bytes], tuple[Finding, datetime]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def check(self, it: Link, issuer: Link) -> Finding:
        """Lists at hand, then responders, then CRLs: the first that knows, says it."""
        troubles: list[str] = []
        for crl in self.lists:
            if crl.issuer.public_bytes() == issuer.subject:
                finding = self._by_list(it, issuer, crl)
                if finding.standing is not Standing.UNKNOWN:
                    return finding
                troubles.append(f"a list at hand: {finding.why}")
        if self.fetcher is None:
            return Finding(standing=Standing.UNKNOWN, why="; ".join(troubles) or "nobody was asked")
        for url in it.ocsp_urls[:_MOST_URLS]:
            finding = self.by_ocsp(it, issuer, url)
            if finding.standing is not Standing.UNKNOWN:
                return finding
            troubles.append(f"{url}: {finding.why}")
        for url in it.crl_urls[:_MOST_URLS]:
            if not url.lower().startswith(("http://", "https://")):
                continue
            finding = self.by_crl(it, issuer, url)
            if finding.standing is not Standing.UNKNOWN:
                return finding
            troubles.append(f"{url}: {finding.why}")
        why = "; ".join(troubles) or "it names neither a responder nor a list"
        return Finding(standing=Standing.UNKNOWN, why=why)

    def by_crl(self, it: Link, issuer: Link | None, url: str) -> Finding:
        """By the list at `url`. Without an issuer its signature goes unchecked: that is for CFSSL's mkbundle."""
        try:
            crl = self._crl(url)
            _check_crl(crl, it, issuer, self.clock())
            return _listed(it, crl, url)
        except GroundplaneError as bad:
            return _unknown(url, bad.happened)
        except _UNREADABLE as bad:
            return _unknown(url, f"its list cannot be used: {bad}")

    def _by_list(self, it: Link, issuer: Link, crl: x509.CertificateRevocationList) -> Finding:
        try:
            _check_crl(crl, it, issuer, self.clock())
            return _listed(it, crl, "a list at hand")
        except _UNREADABLE as bad:
            return _unknown("", str(bad))

    def by_ocsp(self, it: Link, issuer: Link, url: str) -> Finding:
        """By the responder at `url`."""
        now = self.clock()
        place = (url, it.der)
        with self._lock:
            kept = self._answers.get(place)
        if kept is not None and kept[1] > now:
            return kept[0]
        try:
            request = (
                ocsp.OCSPRequestBuilder()
                .add_certificate(it.certificate, issuer.certificate, hashes.SHA1())  # noqa: S303 - names, not signs
                .build()
                .public_bytes(Encoding.DER)
            )
            response = load_response(self._asked(url, request))
            finding, until = _judged(response, it, issuer, url, now)
        except GroundplaneError as bad:
            return _unknown(url, bad.happened)
        except _UNREADABLE as bad:
            return _unknown(url, f"its answer cannot be read: {bad}")
        if finding.standing is not Standing.UNKNOWN:
            with self._lock:
                _make_room(self._answers)
                self._answers[place] = (finding, until)
        return finding

    def _asked(self, url: str, request: bytes) -> bytes:
        if len(request) > _LONGEST_GET and self.fetcher is not None:
            return self.fetcher.post(url, request, kind="application/ocsp-request")
        text = urllib.parse.quote(base64.b64encode(request), safe="")
        return self._fetch(f"{url.rstrip('/')}/{text}")

    def _fetch(self, url: str) -> bytes:
        if self.fetcher is None:
            raise Unavailable("nobody may be asked", to=url)
        return self.fetcher.get(url)

    def _crl(self, url: str) -> x509.CertificateRevocationList:
        """The list, kept until it says that there is a newer one. Raises ValueError, GroundplaneError."""
        with self._lock:
            crl = self._crls.get(url)
        if crl is None or _is_stale(crl, self.clock()):
            crl = load_crl(self._fetch(url))
            with self._lock:
                _make_room(self._crls)
                self._crls[url] = crl
        return crl


def load_crl(data: bytes) -> x509.CertificateRevocationList:
    """A list in DER or PEM. Raises ValueError."""
    block = next(pem_blocks(data), None) if data.lstrip().startswith(b"-----") else None
    return x509.load_der_x509_crl(data if block is None else block.content)


def _is_stale(crl: x509.CertificateRevocationList, now: datetime) -> bool:
    if crl.last_update_utc > now + _SKEW:
        return True
    return crl.next_update_utc is not None and crl.next_update_utc < now


def _listed(it: Link, crl: x509.CertificateRevocationList, source: str) -> Finding:
    entry = crl.get_revoked_certificate_by_serial_number(it.certificate.serial_number)
    if entry is None:
        return Finding(standing=Standing.GOOD, source=source)
    return Finding(standing=Standing.REVOKED, source=source, why=f"on {entry.revocation_date_utc:%F}")


def _check_crl(crl: x509.CertificateRevocationList, it: Link, issuer: Link | None, now: datetime) -> None:
    """Raises ValueError, TypeError unless the list is new, `issuer`'s if one is given, and for all like `it`."""
    if _is_stale(crl, now):
        raise ValueError("it is out of date")
    if issuer is not None:
        _check_signature(crl, issuer)
    for extension in crl.extensions:
        value = extension.value
        if isinstance(value, x509.DeltaCRLIndicator):
            raise ValueError("it lists changes only")  # noqa: TRY004 - of the list, not of a type
        if isinstance(value, x509.IssuingDistributionPoint):
            others = value.only_contains_user_certs if it.is_ca else value.only_contains_ca_certs
            if others or value.indirect_crl or value.only_some_reasons or value.only_contains_attribute_certs:
                raise ValueError("it is not for certificates of this kind")
        elif extension.critical:
            raise ValueError(f"it has an extension that nobody here understands ({extension.oid.dotted_string})")


def _check_signature(crl: x509.CertificateRevocationList, issuer: Link) -> None:
    if crl.issuer.public_bytes() != issuer.subject:
        raise ValueError("another CA issued it")
    key = issuer.certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise TypeError("its issuer's key is of another kind")
    if not crl.is_signature_valid(key):
        raise ValueError("its signature is wrong")


def _judged(found: SignedResponse, it: Link, issuer: Link, url: str, now: datetime) -> tuple[Finding, datetime]:
    """What the answer says, and until when. Raises ValueError for one that cannot be believed."""
    response = found.parsed
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise ValueError(f"it says {response.response_status.name.lower().replace('_', ' ')}")
    single = next((each for each in response.responses if _is_about(each, it, issuer)), None)
    if single is None:
        raise ValueError("it is about another certificate")
    _check_response(found, issuer, now)
    until = single.next_update_utc
    if single.this_update_utc > now + _SKEW or (until is not None and until < now):
        raise ValueError("it is out of date")
    standing = {
        ocsp.OCSPCertStatus.GOOD: Standing.GOOD,
        ocsp.OCSPCertStatus.REVOKED: Standing.REVOKED,
        ocsp.OCSPCertStatus.UNKNOWN: Standing.UNKNOWN,
    }[single.certificate_status]
    why = ""
    if standing is Standing.REVOKED and single.revocation_time_utc is not None:
        reason = single.revocation_reason
        why = f"on {single.revocation_time_utc:%F}" + (f", {reason.value}" if reason is not None else "")
    elif standing is Standing.UNKNOWN:
        why = "the responder does not know the certificate"
    return Finding(standing=standing, source=url, why=why), until or now + _KEPT_FOR


def _is_about(single: ocsp.OCSPSingleResponse, it: Link, issuer: Link) -> bool:
    """Whether it names the same serial number, issuer and issuer's key as our question would."""
    if single.serial_number != it.certificate.serial_number:
        return False
    wanted = (
        ocsp.OCSPRequestBuilder().add_certificate(it.certificate, issuer.certificate, single.hash_algorithm).build()
    )
    return (wanted.issuer_name_hash, wanted.issuer_key_hash) == (single.issuer_name_hash, single.issuer_key_hash)


def _check_response(response: SignedResponse, issuer: Link, now: datetime) -> None:
    """The issuer signed it, or one whom the issuer gave that very task. Raises ValueError."""
    if _has_signed(issuer.certificate, response):
        return
    for each in response.parsed.certificates:
        delegate = link_of(each)
        entrusted = ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string in delegate.usages
        alive = delegate.not_before <= now <= delegate.not_after
        if entrusted and alive and delegate.issuer == issuer.subject:
            signed = not trouble_with_signature(delegate, issuer)
            if signed and _has_signed(delegate.certificate, response):
                return
    raise ValueError("nobody who may has signed it")


def _has_signed(signer: x509.Certificate, response: SignedResponse) -> bool:
    return not isinstance(response.parsed.signature_hash_algorithm, hashes.SHA1) and response.is_by(signer)


def _make_room(kept: dict[K, V]) -> None:
    """The oldest goes when there are too many."""
    while len(kept) >= _MOST_KEPT:
        kept.pop(next(iter(kept)))


def _unknown(url: str, why: str) -> Finding:
    return Finding(standing=Standing.UNKNOWN, source=url, why=why)
