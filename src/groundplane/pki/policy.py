"""Request and profile become the plan of a certificate, or a refusal. CFSSL's rules, but for what it does wrong.

Dates: not_before is now rounded half up to the minute, less the backdate (5 minutes); not_after is that plus the
expiry, cut to the issuer's, since nobody believes a certificate for longer (CFSSL does not cut it). The subject's order
is C, ST, L, O, OU, CN, serialNumber, then further attributes; all values of one type share one RDN. A CA certificate
keeps of its hosts only the IP addresses.
Refused where CFSSL goes on: a usage that RFC 5280 leaves undefined, a CA below an issuer that may have none, and what
`fitness` says.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from groundplane.errors import Denied, Invalid, Unimplemented
from groundplane.pki.fitness import refuse_irregular
from groundplane.pki.hosts import alternative_names
from groundplane.pki.model import (
    DELEGATION,
    NEVER_COPIED,
    P256,
    CertificateName,
    CertificatePlan,
    CertificateRequest,
    KeyUsage,
    Profile,
    SeenCertificate,
    SigningPolicy,
)
from groundplane.pki.name import (
    COMMON_NAME,
    COUNTRY,
    EMAIL_ADDRESS,
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

ROOT_EXPIRY = timedelta(hours=43800)  # CFSSL's: five years
BACKDATE = timedelta(minutes=5)  # CFSSL's: clocks of other hosts may be behind
ONE_YEAR = timedelta(hours=8760)  # for clients, where the default profile is remote and has no expiry
CLIENT_USAGES = ("digital signature", "client auth")
_MINUTE = timedelta(minutes=1)


def check_request(request: CertificateRequest, *, now: datetime) -> None:
    """Whether a certificate can be made of it by some profile, or with a `ca` section a root. Raises Invalid."""
    if request.ca is not None:
        plan_root(request, now=now)
    elif not subject_of(request).rdns and not request.hosts:
        raise Invalid("a certificate needs a name", to=request.source, hint='add a "CN", or "hosts"')


def plan_root(request: CertificateRequest, *, now: datetime) -> CertificatePlan:
    """What `cfssl gencert -initca` would make. Raises Invalid, for one without a subject."""
    section = request.ca
    _check_extensions(request, {extension.oid for extension in request.extensions})
    if not request.common_name and (not request.names or not all(map(_says_something, request.names))):
        raise Invalid("a root needs a subject", to=request.source, hint='add a "CN", or C, ST, L, O or OU to each name')
    start = round_to_minute(now) - (BACKDATE if section is None or section.backdate is None else section.backdate)
    expiry = ROOT_EXPIRY if section is None or section.expiry is None else section.expiry
    end = _add(start, expiry, at=request.source)
    _check_alive(end, now, at=f"{request.source}: ca")
    plan = CertificatePlan(
        subject=subject_of(request),
        names=AlternativeNames(ips=alternative_names(request.hosts, source=request.source).ips),
        key=request.key,
        key_usages=frozenset({KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN}),
        extended_usages=(),
        not_before=start,
        not_after=end,
        is_ca=True,
        path_length=None if section is None else section.path_length,
        crl_url=request.crl_url,
        extensions=request.extensions,
    )
    refuse_irregular(plan, at=request.source)
    return plan


def plan_certificate(
    request: CertificateRequest, profile: Profile, *, now: datetime, issuer: SeenCertificate
) -> CertificatePlan:
    """What `cfssl gencert -ca … -profile …` would make.

    Raises Invalid for a request or profile that cannot be signed, Denied for a name that the profile does not allow,
    Unimplemented for what is not built.
    """
    refuse_remote(profile)
    _refuse_unfit(profile)
    if request.ca is not None:
        raise Invalid("a ca section is for a root only", to=f"{request.source}: ca", hint="remove it, or make a root")
    if request.crl_url:
        raise Invalid("a crl_url is for a root only", to=f"{request.source}: crl_url", hint="put it in the profile")
    if not profile.usages:
        hint = "choose a profile, or give this one usages"
        raise Invalid("there is no key usage to sign with", to=profile.at, hint=hint)
    key_usages = profile.key_usages
    if key_usages & {KeyUsage.ENCIPHER_ONLY, KeyUsage.DECIPHER_ONLY} and KeyUsage.KEY_AGREEMENT not in key_usages:
        happened = '"encipher only" and "decipher only" mean nothing without "key agreement" (RFC 5280, 4.2.1.3)'
        raise Invalid(happened, to=f"{profile.at}.usages", hint='add "key agreement"')
    subject, names = subject_of(request), alternative_names(request.hosts, source=request.source)
    _check_allowed(subject.common_name, names, profile)
    is_ca = profile.ca_constraint.is_ca
    if is_ca:
        _check_depth(profile, issuer)
        names = AlternativeNames(ips=names.ips)
    allowed = {e.oid for e in request.extensions} if profile.copy_extensions else set(profile.allowed_extensions)
    _check_extensions(request, allowed | {DELEGATION.oid})
    start = profile.not_before or round_to_minute(now) - (BACKDATE if profile.backdate is None else profile.backdate)
    end = profile.not_after or _add(start, profile.expiry or timedelta(), at=profile.at)
    _check_alive(end, now, at=profile.at)
    capped = profile.not_after is None and end > issuer.not_after
    if capped:
        end = issuer.not_after
        _check_alive(end, now, at="the CA")
    if end <= start:
        raise Invalid(
            f"it would end ({end:%F %T}) before it begins ({start:%F %T})", to=profile.at, hint="mend its dates"
        )
    plan = CertificatePlan(
        subject=subject,
        names=names,
        key=request.key,
        key_usages=key_usages,
        extended_usages=profile.extended_usages,
        not_before=start,
        not_after=end,
        is_ca=is_ca,
        path_length=profile.ca_constraint.path_length if is_ca else None,
        issuer_urls=profile.issuer_urls,
        ocsp_url=profile.ocsp_url,
        crl_url=profile.crl_url,
        ocsp_no_check=profile.ocsp_no_check,
        policies=profile.policies,
        name_constraints=profile.name_constraints if is_ca else None,
        extensions=request.extensions,
        pinned_start=profile.not_before is not None,
        pinned_end=profile.not_after is not None or capped,
    )
    refuse_irregular(plan, at=request.source, profile=f"{profile.at}.usages")
    return plan


def tls_profile(profile: Profile) -> Profile:
    """`profile` with "digital signature" added, where its certificates are for TLS and lack it.

    TLS 1.3 and every ECDHE suite sign with the certificate's key, and RFC 8446, 4.4.2.2 wants the bit for that. Many
    CFSSL policies have "key encipherment" alone. Go does not look, so etcd's members take such a certificate from
    each other; BoringSSL does (gRPC's Python client, Envoy), and refuses it with KEY_USAGE_BIT_INCORRECT.
    """
    for_tls = {"server auth", "client auth"} & set(profile.usages)
    if not for_tls or not profile.key_usages or KeyUsage.DIGITAL_SIGNATURE in profile.key_usages:
        return profile
    return replace(profile, usages=("digital signature", *profile.usages))


def client_profile(policy: SigningPolicy) -> Profile:
    """Our own profile for the daemons' client certificates: the policy's default lifetime, TLS clients only."""
    default = policy.default
    return Profile(
        name="client",
        expiry=default.expiry or ONE_YEAR,
        usages=CLIENT_USAGES,
        backdate=default.backdate,
        issuer_urls=default.issuer_urls,
        ocsp_url=default.ocsp_url,
        crl_url=default.crl_url,
        at=f"{policy.source}: signing.default, as the profile of clients",
    )


def client_request(common_name: str, *, organization: str = "groundplane") -> CertificateRequest:
    """A request for a client certificate with a P-256 key and no host names: what it is, its subject says."""
    name = CertificateName(organization=organization)
    return CertificateRequest(common_name=common_name, names=(name,), key=P256, source=common_name)


def subject_of(request: CertificateRequest) -> Subject:
    """The distinguished name in CFSSL's order."""
    names = request.names
    extra = [attribute for name in names for attribute in (*name.oids, Attribute(oid=EMAIL_ADDRESS, value=name.email))]
    extra = [attribute for attribute in extra if attribute.value]
    given = {attribute.oid for attribute in extra}  # one of these replaces the standard attribute of its type
    standard: tuple[tuple[OID, Iterable[str]], ...] = (
        (COUNTRY, [name.country for name in names]),
        (PROVINCE, [name.province for name in names]),
        (LOCALITY, [name.locality for name in names]),
        (ORGANIZATION, [name.organization for name in names]),
        (ORGANIZATIONAL_UNIT, [name.organizational_unit for name in names]),
        (COMMON_NAME, [request.common_name]),
        (SERIAL_NUMBER, [request.serial_number]),
    )
    rdns = [
        tuple(Attribute(oid=oid, value=value) for value in values if value)
        for oid, values in standard
        if oid not in given
    ]
    return Subject((*rdns, *((attribute,) for attribute in extra)))


def _check_alive(end: datetime, now: datetime, *, at: str) -> None:
    """The backdate counts as life: one of five minutes has none left of it (CFSSL issues it all the same)."""
    if end <= now:
        happened = f"it would have ended already, on {end:%F %T}"
        raise Invalid(happened, to=at, hint="give it a later end, a longer expiry or a shorter backdate")


def _says_something(name: CertificateName) -> bool:
    return any((name.country, name.province, name.locality, name.organization, name.organizational_unit))


def _check_allowed(common_name: str, names: AlternativeNames, profile: Profile) -> None:
    if profile.name_rules and (refused := profile.name_rules.refused(names, common_name)) is not None:
        hint = "ask for another name, or change the profile's names"
        raise Denied(f"the profile does not allow the name {refused!r}", to=profile.at, hint=hint)
    if not profile.name_whitelist:
        return
    allowed = re.compile(profile.name_whitelist)
    for name in (*filter(None, [common_name]), *names.dns, *names.emails, *names.uris):
        if not allowed.search(name):
            hint = "ask for another name, or change the profile's name_whitelist"
            raise Denied(f"the profile does not allow the name {name!r}", to=profile.at, hint=hint)


def _check_extensions(request: CertificateRequest, allowed: set[OID]) -> None:
    """What CFSSL leaves out in silence is refused."""
    for extension in request.extensions:
        if extension.oid in NEVER_COPIED:
            hint = "remove it: the profile and the hosts decide that"
            raise Denied(f"the extension {extension.oid} is the CA's business", to=request.source, hint=hint)
        if extension.oid not in allowed:
            hint = "add it to the profile's allowed_extensions, or set copy_extensions"
            raise Denied(f"the profile does not allow the extension {extension.oid}", to=request.source, hint=hint)


def _check_depth(profile: Profile, issuer: SeenCertificate) -> None:
    room, wanted = issuer.path_length, profile.ca_constraint.path_length
    if room is not None and (room == 0 or (wanted is not None and wanted >= room)):
        happened = f"its issuer ({issuer.subject}) allows {room} CAs below it, so none with path length {wanted}"
        raise Invalid(happened, to=profile.at, hint="lower max_path_len, or use another issuer")


def refuse_remote(profile: Profile) -> None:
    """Raises Invalid for a profile that another server signs by: what is made here would not be what it says."""
    if profile.remote is not None:
        happened = f"{profile.remote.address} signs by this profile, and nobody here"
        raise Invalid(happened, to=profile.at, hint="choose another profile, or remove its remote")


def _refuse_unfit(profile: Profile) -> None:
    """Raises Unimplemented for what of the profile is about requests that come as PEM (see `signing`)."""
    asked = (
        ("CSRWhitelist", profile.request_fields is not None),
        ("ClientProvidesSerialNumbers", profile.client_serial),
    )
    if fields := [name for name, given in asked if given]:
        happened = f"this is about requests that come as PEM: {', '.join(fields)}"
        raise Unimplemented(happened, to=profile.at, hint="sign a request (pki gencsr, pki sign), or remove it")


def round_to_minute(now: datetime) -> datetime:
    """To the minute, half up, as Go's Time.Round does."""
    down = now.replace(second=0, microsecond=0)
    return down + _MINUTE if now - down >= _MINUTE / 2 else down


def _add(start: datetime, span: timedelta, *, at: str) -> datetime:
    try:
        return (start + span).replace(microsecond=0)
    except OverflowError as late:
        raise Invalid("it would be valid beyond the year 9999", to=at, hint="shorten its expiry") from late
