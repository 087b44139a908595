"""A PEM request and a profile become the content of a certificate, or a refusal: what `cfssl sign` would make.

Order of the checks is CFSSL's, since its callers see the first. The dates are the profile's, never cut to the
issuer's. The request's subject is put into CFSSL's order; hosts that are given, even none, replace its names.
Stricter than CFSSL in two things: copied extensions never touch those that are the CA's business (who it is, what its
key may do, whom it names), and a certificate does not end before it begins.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from groundplane.errors import Denied
from groundplane.pki.hosts import alternative_names
from groundplane.pki.model import (
    DELEGATION,
    NEVER_COPIED,
    CertificateContent,
    Profile,
    RawExtension,
    SeenCertificate,
    SeenRequest,
    extended_usages,
)
from groundplane.pki.name import (
    COMMON_NAME,
    COUNTRY,
    LOCALITY,
    OID,
    ORGANIZATION,
    ORGANIZATIONAL_UNIT,
    PROVINCE,
    SERIAL_NUMBER,
    AlternativeNames,
    Attribute,
    Subject,
)
from groundplane.pki.policy import BACKDATE, round_to_minute

_STREET, _POSTAL_CODE = OID("2.5.4.9"), OID("2.5.4.17")
ORDER = (
    *(COUNTRY, PROVINCE, LOCALITY, _STREET, _POSTAL_CODE, ORGANIZATION, ORGANIZATIONAL_UNIT, COMMON_NAME),
    SERIAL_NUMBER,
)
_LAST_ONE = frozenset({COMMON_NAME, SERIAL_NUMBER})


class Reason(Enum):
    """Why a request is not signed; CFSSL has a code for each."""

    NO_USAGES = auto()
    CA = auto()
    NAME = auto()
    EXTENSION = auto()
    SERIAL = auto()
    DATES = auto()
    KEY = auto()


class SigningRefused(Denied):
    """The profile or the issuer does not allow it."""

    def __init__(self, reason: Reason, happened: str, *, to: object) -> None:
        self.reason = reason
        super().__init__(happened, to=to, hint="ask for less, or use another profile")

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (self.reason, self.happened, str(self.to))


def _again(reason: Reason, happened: str, to: str) -> SigningRefused:
    return SigningRefused(reason, happened, to=to)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRequest:
    """A request, and what is said beside it. `hosts` None: the request's own names. `subject`: see `_override`.

    `not_before` and `not_after`: instead of the profile's dates.
    """

    csr: SeenRequest
    hosts: tuple[str, ...] | None = None
    subject: Subject | None = None
    serial: int | None = None
    extensions: tuple[RawExtension, ...] = field(default=())
    crl_url: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None


def plan_signing(
    request: SigningRequest, profile: Profile, *, now: datetime, issuer: SeenCertificate | None
) -> CertificateContent:
    """The content; `issuer` None for a root that signs itself. Raises SigningRefused, Invalid for a bad host."""
    csr = _only_allowed(request.csr, profile)
    if csr.wants_ca:
        _check_ca(csr, profile, issuer)
    names = csr.names if request.hosts is None else alternative_names(request.hosts, source="hosts", strict=False)
    subject = ordered(csr.subject)
    if request.subject is not None:
        subject = _override(subject, request.subject)
    _check_names(subject, names, profile)
    if profile.client_serial and request.serial is None:
        raise SigningRefused(Reason.SERIAL, "the request must bring its serial number", to=profile.at)
    for extension in request.extensions:
        if extension.oid not in profile.allowed_extensions:
            raise SigningRefused(Reason.EXTENSION, f"the extension {extension.oid} is not allowed", to=profile.at)
    if not profile.usages:
        raise SigningRefused(Reason.NO_USAGES, "there is no key usage to sign with", to=profile.at)
    start, end = _dates(request, profile, now)
    constraint = profile.ca_constraint
    copied = [e for e in csr.extensions if e.oid not in NEVER_COPIED] if profile.copy_extensions else _delegation(csr)
    return CertificateContent(
        subject=subject,
        names=AlternativeNames(ips=names.ips) if constraint.is_ca else names,
        key_usages=profile.key_usages,
        extended_usages=extended_usages(profile.usages),
        not_before=start,
        not_after=end,
        is_ca=constraint.is_ca,
        path_length=constraint.path_length if constraint.is_ca else None,
        issuer_urls=profile.issuer_urls,
        ocsp_url=profile.ocsp_url,
        crl_url=request.crl_url or profile.crl_url,
        ocsp_no_check=profile.ocsp_no_check,
        policies=profile.policies,
        name_constraints=profile.name_constraints if constraint.is_ca else None,
        extensions=(*copied, *request.extensions),
        pinned_start=(request.not_before or profile.not_before) is not None,
        pinned_end=(request.not_after or profile.not_after) is not None,
    )


def ordered(subject: Subject) -> Subject:
    """The subject in CFSSL's order, one RDN for all values of a type; types it does not know follow, one by one."""
    found: dict[OID, tuple[Attribute, ...]] = {}
    others: list[tuple[Attribute, ...]] = []
    for rdn in subject.rdns:
        for attribute in rdn:
            if attribute.oid in _LAST_ONE:  # of these Go keeps the last
                found[attribute.oid] = (attribute,)
            elif attribute.oid in ORDER:
                found[attribute.oid] = (*found.get(attribute.oid, ()), attribute)
            else:
                others.append((attribute,))
    for oid in _LAST_ONE:
        if oid in found and not found[oid][0].value:
            del found[oid]  # no name at all, to Go
    return Subject((*(found[oid] for oid in ORDER if oid in found), *others))


def _override(subject: Subject, wanted: Subject) -> Subject:
    """Each type that `wanted` has replaces the request's; further attributes are dropped, as in CFSSL."""
    given = {attribute.oid for rdn in wanted.rdns for attribute in rdn}
    kept = [a for rdn in subject.rdns for a in rdn if a.oid not in given and a.oid in ORDER]
    new = [a for rdn in wanted.rdns for a in rdn if a.oid in ORDER]
    return ordered(Subject(((*kept, *new),)))


def _only_allowed(csr: SeenRequest, profile: Profile) -> SeenRequest:
    """CFSSL's CSRWhitelist: of the request, only what the profile names."""
    if profile.request_fields is None:
        return csr
    if "PublicKey" not in profile.request_fields:
        raise SigningRefused(Reason.KEY, "its CSRWhitelist leaves out the public key", to=profile.at)

    def kept(name: str) -> bool:
        assert profile.request_fields is not None
        return name in profile.request_fields

    return replace(
        csr,
        subject=csr.subject if kept("Subject") else Subject(),
        names=AlternativeNames(
            dns=csr.names.dns if kept("DNSNames") else (),
            emails=csr.names.emails if kept("EmailAddresses") else (),
            ips=csr.names.ips if kept("IPAddresses") else (),
            uris=csr.names.uris if kept("URIs") else (),
        ),
        extensions=(),
        wants_ca=False,
    )


def _check_ca(csr: SeenRequest, profile: Profile, issuer: SeenCertificate | None) -> None:
    if not profile.ca_constraint.is_ca:
        raise SigningRefused(Reason.CA, "the profile makes no CAs", to=profile.at)
    room = None if issuer is None else issuer.path_length
    if room is None:
        return
    wanted = csr.path_length
    if room == 0 or (wanted is not None and wanted >= room):
        raise SigningRefused(Reason.CA, f"the issuer allows {room} CAs below it", to=profile.at)


def _check_names(subject: Subject, names: AlternativeNames, profile: Profile) -> None:
    if profile.name_rules and (refused := profile.name_rules.refused(names, subject.common_name)) is not None:
        raise SigningRefused(Reason.NAME, f"the name {refused!r} is not allowed", to=profile.at)
    if not profile.name_whitelist:
        return
    allowed = re.compile(profile.name_whitelist)
    common: Iterable[str] = filter(None, [subject.common_name])
    for name in (*common, *names.dns, *names.emails, *names.uris):
        if not allowed.search(name):
            raise SigningRefused(Reason.NAME, f"the name {name!r} is not allowed", to=profile.at)


def _delegation(csr: SeenRequest) -> list[RawExtension]:
    """A request that may delegate its TLS sessions says so itself."""
    return [DELEGATION] if any(extension.oid == DELEGATION.oid for extension in csr.extensions) else []


def _dates(request: SigningRequest, profile: Profile, now: datetime) -> tuple[datetime, datetime]:
    backdate = profile.backdate or BACKDATE  # none at all is the usual one too, in CFSSL
    start = request.not_before or profile.not_before or round_to_minute(now) - backdate
    try:
        end = request.not_after or profile.not_after or (start + (profile.expiry or timedelta())).replace(microsecond=0)
    except OverflowError as late:
        raise SigningRefused(Reason.DATES, "it would be valid beyond the year 9999", to=profile.at) from late
    if end < start:
        raise SigningRefused(Reason.DATES, "it would end before it begins", to=profile.at)
    return start, end


def subject_override(common_name: str, serial_number: str, names: Iterable[tuple[OID, str]]) -> Subject:
    """The subject that is said beside a request: what is not empty of it."""
    given = [*names, (COMMON_NAME, common_name), (SERIAL_NUMBER, serial_number)]
    return Subject(tuple((Attribute(oid=oid, value=value),) for oid, value in given if value))
