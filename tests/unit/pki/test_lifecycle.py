"""A leaf is made again for a reason that can be read; a root is never replaced."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki.lifecycle import Issue, Keep, Refuse, assess, assess_root, renewal_time
from groundplane.pki.model import (
    P256,
    CertificatePlan,
    KeyUsage,
    SeenCertificate,
    SeenPair,
)
from groundplane.pki.name import (
    COMMON_NAME,
    OID,
    AlternativeNames,
    Attribute,
    Subject,
)
from groundplane.pki.policy import plan_certificate, plan_root
from tests.unit.pki.samples import CA, NOW, issuer, policy, request


def wanted(now: datetime = NOW) -> CertificatePlan:
    return plan_certificate(request(), policy().profile("etcd"), now=now, issuer=issuer())


def as_seen(plan: CertificatePlan) -> SeenCertificate:
    """What is read back from a certificate that was made by `plan`."""
    shared = {field.name for field in fields(SeenCertificate)} & {field.name for field in fields(CertificatePlan)}
    issued_by = plan.subject if plan.is_ca else issuer().subject
    return SeenCertificate(issuer=issued_by, serial=1, **{name: getattr(plan, name) for name in shared})


def pair(seen: SeenCertificate) -> SeenPair:
    return SeenPair(certificate=seen, has_certificate=True, has_key=True, key_matches=True, signed_by_issuer=True)


def reason(existing: SeenPair | None, now: datetime = NOW) -> str:
    answer = assess(existing, wanted(now), now=now)
    assert isinstance(answer, Issue)
    return answer.reason


def test_what_is_as_wanted_stays() -> None:
    assert assess(pair(as_seen(wanted())), wanted(), now=NOW) == Keep()


@given(hours=st.integers(0, 8760 - 31 * 24))
def test_it_stays_until_it_is_due(hours: int) -> None:
    later = NOW + timedelta(hours=hours)
    assert assess(pair(as_seen(wanted())), wanted(later), now=later) == Keep()


def test_what_is_missing_is_made() -> None:
    assert reason(None) == "there is none yet"
    assert reason(SeenPair(troubles=("there is no key x",))) == "there is no key x"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda seen: replace(seen, subject=Subject()), "its subject is (empty), and C=CN, ST=HangZhou"),
        (lambda seen: replace(seen, names=AlternativeNames()), "it lacks the names 127.0.0.1, 192.168.153.129"),
        (
            lambda seen: replace(seen, names=replace(seen.names, dns=("old",))),
            "it has the names old, which are not wanted",
        ),
        (lambda seen: replace(seen, key=P256), "its key is ecdsa-256, and rsa-2048 is wanted"),
        (lambda seen: replace(seen, key=None), "its key is of another kind, and rsa-2048 is wanted"),
        (
            lambda seen: replace(seen, key_usages=frozenset({KeyUsage.CRL_SIGN})),
            "it lacks the usages key encipherment",
        ),
        (lambda seen: replace(seen, extended_usages=()), "it lacks the usages client auth, server auth"),
        (
            lambda seen: replace(seen, extended_usages=(*seen.extended_usages, OID("1.2.3"))),
            "it has the usages 1.2.3, which are not wanted",
        ),
        (lambda seen: replace(seen, is_ca=True), "it is a CA, and must not be one"),
        (
            lambda seen: replace(seen, not_after=NOW + timedelta(days=100)),
            "its lifetime is 100 days, and 365 days is wanted",
        ),
        (
            lambda seen: replace(seen, crl_url="http://c"),
            "its OCSP, CRL or issuer addresses are not those of the profile",
        ),
    ],
)
def test_what_differs_from_the_request_is_made_again(
    change: Callable[[SeenCertificate], SeenCertificate], told: str
) -> None:
    assert reason(pair(change(as_seen(wanted())))).startswith(told)


def test_a_foreign_key_or_signature_is_seen() -> None:
    good = pair(as_seen(wanted()))
    assert reason(replace(good, key_matches=False)) == "its key is not the one the certificate is about"
    assert reason(replace(good, signed_by_issuer=False)).startswith("it was not signed by this CA (it says: C=CN")


def test_it_is_renewed_thirty_days_before_its_end() -> None:
    seen = as_seen(wanted())
    late = seen.not_after - timedelta(days=30)
    assert reason(pair(seen), late) == f"it ends on {seen.not_after:%F}, in 30 days"
    assert assess(pair(seen), wanted(late), now=late - timedelta(seconds=1)) == Keep()
    assert assess(pair(seen), wanted(late), now=late, renew_before=timedelta(days=1)) == Keep()
    assert reason(pair(seen), seen.not_after) == f"it ended on {seen.not_after:%F}"


def test_a_short_one_is_renewed_when_a_third_of_its_life_is_left() -> None:
    assert renewal_time(NOW, NOW + timedelta(hours=3)) == NOW + timedelta(hours=2)


def test_a_clock_set_back_is_seen() -> None:
    assert "it is only 2025" in reason(pair(as_seen(wanted())), NOW - timedelta(days=365))


def test_the_order_of_names_does_not_matter() -> None:
    seen = as_seen(wanted())
    turned = replace(seen, names=replace(seen.names, ips=seen.names.ips[::-1]))
    assert assess(pair(turned), wanted(), now=NOW) == Keep()


def root() -> CertificatePlan:
    return plan_root(request(CA), now=NOW)


def test_a_root_is_made_where_there_is_nothing() -> None:
    assert assess_root(None, root(), now=NOW) == Issue("there is none yet")
    assert assess_root(SeenPair(troubles=("no certificate", "no key")), root(), now=NOW) == Issue("there is none yet")


def test_a_root_whose_key_outlived_a_crash_is_made_with_that_key() -> None:
    answer = assess_root(SeenPair(has_key=True, troubles=("there is no certificate x",)), root(), now=NOW)
    assert isinstance(answer, Issue)
    assert answer.with_key


def test_a_root_as_wanted_stays_to_its_last_day() -> None:
    seen = as_seen(root())
    assert assess_root(pair(seen), root(), now=seen.not_after - timedelta(seconds=1)) == Keep()


@pytest.mark.parametrize(
    "existing",
    [
        replace(pair(as_seen(root())), has_key=False, troubles=("there is no key x",)),
        replace(pair(as_seen(root())), key_matches=False),
        replace(pair(as_seen(root())), troubles=("x: the key is encrypted",)),
        SeenPair(has_key=True, has_certificate=True, troubles=("x: no certificate in it",)),
        SeenPair(has_key=True, troubles=("there is no certificate x", "x: the key is encrypted")),
        pair(replace(as_seen(root()), subject=Subject(((Attribute(oid=COMMON_NAME, value="other"),),)))),
        pair(replace(as_seen(root()), not_before=NOW - timedelta(days=9), not_after=NOW)),
    ],
)
def test_a_root_that_is_not_as_wanted_is_never_replaced(existing: SeenPair) -> None:
    answer = assess_root(existing, root(), now=NOW)
    assert isinstance(answer, Refuse)
    assert "a new CA, which signs every certificate anew" in answer.hint
