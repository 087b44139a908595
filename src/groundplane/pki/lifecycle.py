"""Whether a certificate that stands may stay, decided from what was seen and what is wanted; run it again and again.

A leaf is issued anew for any reason here. A root never is: everything it signed would die with it, so what differs
is refused, with the way out; only where there is nothing at all, or a key whose certificate a crash has kept from
being written, is one made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from groundplane.pki.model import (
    USAGES,
    CertificatePlan,
    SeenCertificate,
    SeenPair,
)
from groundplane.pki.wire.duration import render_duration

RENEW_AT_MOST = timedelta(days=30)
_NEW_ROOT = "or move both of its files away to begin with a new CA, which signs every certificate anew"


@dataclass(frozen=True, slots=True)
class Keep:
    """It may stay."""


@dataclass(frozen=True, slots=True)
class Issue:
    """It must be made, because of `reason`, a sentence without a full stop. `with_key`: keep the key that is there."""

    reason: str
    with_key: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """It is not as wanted, and must not be replaced: `reason`, and `hint` to mend it."""

    reason: str
    hint: str


def assess(
    existing: SeenPair | None, wanted: CertificatePlan, *, now: datetime, renew_before: timedelta | None = None
) -> Keep | Issue:
    """What to do about a leaf. `wanted` is the plan if it were issued now.

    It is renewed `renew_before` its end; by default 30 days, or a third of its life where that is less.
    """
    reason = next(_reasons(existing, wanted, now, renew_before), None)
    return Keep() if reason is None else Issue(reason)


def assess_root(existing: SeenPair | None, wanted: CertificatePlan, *, now: datetime) -> Keep | Issue | Refuse:
    """What to do about a root. A CA near its end is kept until its very end: it can sign until then."""
    if existing is None or not (existing.has_certificate or existing.has_key):
        return Issue("there is none yet")
    if not existing.has_certificate and len(existing.troubles) == 1:
        return Issue("its key is there, its certificate is not yet", with_key=True)
    reason = next(_reasons(existing, wanted, now, timedelta()), None)
    if reason is None:
        return Keep()
    if not existing.has_key:
        return Refuse(reason, f"put the key back, {_NEW_ROOT}")
    if existing.certificate is not None and existing.certificate.not_after <= now:
        return Refuse(reason, "move both of its files away to begin with a new CA, which signs every certificate anew")
    return Refuse(reason, f"change the request back, {_NEW_ROOT}")


def renewal_time(not_before: datetime, not_after: datetime, *, renew_before: timedelta | None = None) -> datetime:
    """When it is due: `renew_before` its end, or by default 30 days or a third of its life, whichever is less."""
    ahead = min(RENEW_AT_MOST, (not_after - not_before) / 3) if renew_before is None else renew_before
    return not_after - ahead


def _reasons(
    existing: SeenPair | None, wanted: CertificatePlan, now: datetime, renew_before: timedelta | None
) -> Iterator[str]:
    """Every reason against keeping it, the gravest first."""
    if existing is None:
        yield "there is none yet"
        return
    yield from existing.troubles
    seen = existing.certificate
    if seen is None:
        return
    if not existing.key_matches:
        yield "its key is not the one the certificate is about"
    if not existing.signed_by_issuer:
        yield f"it was not signed by this CA (it says: {seen.issuer})"
    yield from differences(seen, wanted)
    yield from _dates(seen, wanted, now, renew_before)


def _dates(
    seen: SeenCertificate, wanted: CertificatePlan, now: datetime, renew_before: timedelta | None
) -> Iterator[str]:
    if seen.not_after <= now:
        yield f"it ended on {seen.not_after:%F}"
    elif renewal_time(seen.not_before, seen.not_after, renew_before=renew_before) <= now and not wanted.pinned_end:
        yield f"it ends on {seen.not_after:%F}, in {render_duration(seen.not_after - now)}"
    if seen.not_before > now and not wanted.pinned_start:
        yield f"it begins on {seen.not_before:%F %T}, and it is only {now:%F %T} now"


def differences(seen: SeenCertificate, wanted: CertificatePlan) -> Iterator[str]:
    """How a certificate differs from what is wanted, in sentences; the dates count only by the lifetime they span."""
    if seen.subject != wanted.subject:
        yield f"its subject is {seen.subject}, and {wanted.subject} is wanted"
    have, want = set(seen.names.texts()), set(wanted.names.texts())
    if missing := sorted(want - have):
        yield f"it lacks the names {', '.join(missing)}"
    if surplus := sorted(have - want):
        yield f"it has the names {', '.join(surplus)}, which are not wanted"
    if seen.key != wanted.key:
        yield f"its key is {seen.key or 'of another kind'}, and {wanted.key} is wanted"
    have, want = set(_usage_words(seen)), set(_usage_words(wanted))
    if missing := sorted(want - have):
        yield f"it lacks the usages {', '.join(missing)}"
    if surplus := sorted(have - want):
        yield f"it has the usages {', '.join(surplus)}, which are not wanted"
    if (seen.is_ca, seen.path_length) != (wanted.is_ca, wanted.path_length):
        yield "it is a CA, and must not be one" if seen.is_ca and not wanted.is_ca else "its CA constraints are others"
    if _places(seen) != _places(wanted):
        yield "its OCSP, CRL or issuer addresses are not those of the profile"
    if seen.policies != wanted.policies:
        yield "its certificate policies are not those of the profile"
    yield from _span_differences(seen, wanted)


def _span_differences(seen: SeenCertificate, wanted: CertificatePlan) -> Iterator[str]:
    if wanted.pinned_end and seen.not_after != wanted.not_after:
        yield f"it ends on {seen.not_after:%F %T}, and {wanted.not_after:%F %T} is wanted"
    if not wanted.pinned_end and seen.lifetime != wanted.lifetime:
        yield f"its lifetime is {render_duration(seen.lifetime)}, and {render_duration(wanted.lifetime)} is wanted"
    if wanted.pinned_start and seen.not_before != wanted.not_before:
        yield f"it begins on {seen.not_before:%F %T}, and {wanted.not_before:%F %T} is wanted"


def _places(it: SeenCertificate | CertificatePlan) -> tuple[object, ...]:
    return it.issuer_urls, it.ocsp_url, it.crl_url, it.ocsp_no_check


def _usage_words(it: SeenCertificate | CertificatePlan) -> Iterator[str]:
    """CFSSL's words for its usages; an identifier that CFSSL has no word for stands for itself."""
    words = {usage: word for word, usage in reversed(list(USAGES.items()))}
    yield from (words[bit] for bit in it.key_usages)
    yield from (words.get(oid, oid) for oid in it.extended_usages)
