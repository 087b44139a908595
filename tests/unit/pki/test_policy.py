"""The plan of a certificate follows CFSSL's rules, and refuses what CFSSL gets wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Denied, Invalid, Unimplemented
from groundplane.pki.model import (
    P256,
    USAGES,
    CAConstraint,
    CertificatePlan,
    CertificateRequest,
    KeyUsage,
    Profile,
)
from groundplane.pki.name import OID
from groundplane.pki.policy import client_profile, client_request, plan_certificate, plan_root, tls_profile
from tests.unit.pki.samples import CA, ETCD, HOSTS, NOW, issuer, policy, request

LEAF = Profile(name="leaf", expiry=timedelta(hours=1), usages=("server auth",))


def plan(what: CertificateRequest | None = None, profile: Profile = LEAF, *, now: datetime = NOW) -> CertificatePlan:
    return plan_certificate(what or request(), profile, now=now, issuer=issuer())


def test_a_root_is_as_cfssl_makes_it() -> None:
    root = plan_root(request({**CA, "hosts": ["ca.example", "10.0.0.1"]}), now=NOW)
    assert str(root.subject) == "C=CN, ST=HangZhou, L=HangZhou, O=DevOps, OU=line1, CN=kubernetes-ca"
    assert root.key_usages == {KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN}
    assert (root.is_ca, root.path_length, root.extended_usages) == (True, None, ())
    assert root.not_before == datetime(2026, 3, 4, 10, 15, tzinfo=UTC)
    assert root.lifetime == timedelta(hours=876000)
    assert root.names.texts() == ("10.0.0.1",)


def test_a_root_lives_five_years_unless_told() -> None:
    assert plan_root(request({"CN": "x"}), now=NOW).lifetime == timedelta(days=5 * 365)


@pytest.mark.parametrize("document", [{}, {"names": [{"E": "a@b"}]}, {"names": [{"O": "x"}, {}]}])
def test_a_root_without_a_subject_is_refused(document: object) -> None:
    with pytest.raises(Invalid, match="a root needs a subject"):
        plan_root(request(document), now=NOW)


def test_a_member_s_certificate_serves_and_calls_under_every_address() -> None:
    etcd = plan(profile=policy().profile("etcd"))
    assert etcd.names.ips == tuple(map(ip_address, HOSTS))
    assert etcd.key_usages == {KeyUsage.KEY_ENCIPHERMENT}
    assert etcd.extended_usages == (USAGES["server auth"], USAGES["client auth"])
    assert (etcd.is_ca, etcd.path_length, etcd.lifetime) == (False, None, timedelta(days=365))


@pytest.mark.parametrize(("second", "minute"), [(0, 20), (29, 20), (30, 21), (59, 21)])
def test_it_begins_five_minutes_before_the_nearest_minute(second: int, minute: int) -> None:
    found = plan(now=NOW.replace(second=second, microsecond=0)).not_before
    assert found == NOW.replace(minute=minute - 5, second=0, microsecond=0)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - naive by contract
def test_it_is_always_valid_now_and_to_the_minute(now: datetime) -> None:
    found = plan(now=now)
    assert found.not_before < now < found.not_after
    assert (found.not_before.second, found.not_before.microsecond) == (0, 0)
    assert found.lifetime == timedelta(hours=1)


def test_dates_of_the_profile_are_taken_as_they_are() -> None:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    found = plan(profile=replace(LEAF, not_before=start, not_after=end))
    assert (found.not_before, found.not_after, found.pinned_start, found.pinned_end) == (start, end, True, True)


def test_an_end_before_the_beginning_is_refused() -> None:
    with pytest.raises(Invalid, match="it would end"):
        plan(profile=replace(LEAF, not_before=NOW + timedelta(days=2), not_after=NOW + timedelta(days=1)))


def test_a_life_that_the_backdate_eats_is_refused() -> None:
    with pytest.raises(Invalid, match="it would have ended already"):
        plan(profile=replace(LEAF, expiry=timedelta(minutes=5)))
    with pytest.raises(Invalid, match="it would have ended already"):
        plan_root(request({"CN": "x", "ca": {"expiry": "5m"}}), now=NOW)


def test_a_life_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(Invalid, match="beyond the year 9999"):
        plan(now=datetime(9999, 12, 31, 23, 59, tzinfo=UTC))


def test_values_of_one_type_share_an_rdn_and_further_attributes_follow() -> None:
    names = [{"O": "b", "E": "a@b"}, {"O": "a", "OID": {"2.5.4.9": "Street 1", "2.5.4.11": "own"}, "OU": "lost"}]
    found = plan(request({"CN": "x", "serialnumber": "7", "names": names}))
    assert str(found.subject) == "O=a + O=b, CN=x, serialNumber=7, emailAddress=a@b, 2.5.4.9=Street 1, OU=own"


@pytest.mark.parametrize(
    ("what", "profile", "told"),
    [
        (request(CA), LEAF, "a ca section is for a root only"),
        (request(), replace(LEAF, usages=()), "there is no key usage to sign with"),
        (request(), replace(LEAF, usages=("encipher only",)), 'without "key agreement"'),
        (request({**ETCD, "crl_url": "http://c"}), LEAF, "a crl_url is for a root only"),
    ],
)
def test_what_cannot_be_signed_is_refused(what: CertificateRequest, profile: Profile, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        plan(what, profile)


def test_what_is_not_built_is_said() -> None:
    with pytest.raises(Unimplemented, match="ClientProvidesSerialNumbers"):
        plan(profile=replace(LEAF, client_serial=True))


MUST_STAPLE = {"Id": [1, 3, 6, 1, 5, 5, 7, 1, 24], "Value": "MAMCAQU="}


def test_extensions_are_asked_for_and_allowed_or_denied() -> None:
    asking = request({**ETCD, "extensions": [MUST_STAPLE], "delegation_enabled": True})
    with pytest.raises(Denied, match="does not allow the extension"):
        plan(asking)
    for allowing in (
        replace(LEAF, copy_extensions=True),
        replace(LEAF, allowed_extensions=(OID("1.3.6.1.5.5.7.1.24"),)),
    ):
        delegation, staple = plan(asking, allowing).extensions
        assert (staple.value, delegation.oid) == (b"0\x03\x02\x01\x05", "1.3.6.1.4.1.44363.44")
    ca = {"Id": [2, 5, 29, 19], "Critical": True, "Value": "MAMBAf8="}
    with pytest.raises(Denied, match="CA's business"):
        plan(request({**ETCD, "extensions": [ca]}), replace(LEAF, copy_extensions=True))
    assert plan_root(request({"CN": "x", "extensions": [MUST_STAPLE]}), now=NOW).extensions == (staple,)


@pytest.mark.parametrize(
    "extension",
    [{}, {"Id": [1, 2]}, {"Id": ["1"], "Value": ""}, {"Id": [1], "Value": ""}, {"Id": [1, 2], "Value": "!"}],
)
def test_an_extension_that_is_none_is_refused(extension: object) -> None:
    with pytest.raises(Invalid):
        request({"CN": "x", "extensions": [extension]})


def test_a_name_outside_the_whitelist_is_denied() -> None:
    allowing = replace(LEAF, name_whitelist=r"^etcd|\.example$")
    assert plan(request({"CN": "etcd", "hosts": ["a.example", "10.0.0.1"]}), allowing).names.dns == ("a.example",)
    with pytest.raises(Denied, match=r"'b\.test'"):
        plan(request({"CN": "etcd", "hosts": ["b.test"]}), allowing)


@pytest.mark.parametrize(
    ("room", "wanted", "fits"), [(None, None, True), (1, 0, True), (1, 1, False), (0, None, False)]
)
def test_a_ca_below_a_ca_needs_room(room: int | None, wanted: int | None, *, fits: bool) -> None:
    profile = replace(LEAF, usages=("cert sign",), ca_constraint=CAConstraint(is_ca=True, path_length=wanted))
    if fits:
        found = plan_certificate(request(), profile, now=NOW, issuer=issuer(path_length=room))
        assert (found.is_ca, found.path_length) == (True, wanted)
    else:
        with pytest.raises(Invalid, match="CAs below it"):
            plan_certificate(request(), profile, now=NOW, issuer=issuer(path_length=room))


def test_a_certificate_for_tls_may_sign() -> None:
    etcd = policy().profile("etcd")
    assert tls_profile(etcd).key_usages == {KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_ENCIPHERMENT}
    assert tls_profile(etcd).extended_usages == etcd.extended_usages
    assert tls_profile(tls_profile(etcd)) == tls_profile(etcd)
    mail = replace(LEAF, usages=("email protection", "key encipherment"))
    assert tls_profile(mail) is mail
    assert tls_profile(LEAF) is LEAF  # without the extension, every use is allowed


def test_a_client_may_only_call_and_lives_as_long_as_the_default_says() -> None:
    config = {"signing": {"default": {"expiry": "48h", "name_whitelist": "^x$", "ca_constraint": {"is_ca": True}}}}
    found = plan(client_request("groundplane-agent-etcd1"), client_profile(policy(config)))
    assert str(found.subject) == "O=groundplane, CN=groundplane-agent-etcd1"
    assert (found.key, found.key_usages, found.is_ca) == (P256, frozenset({KeyUsage.DIGITAL_SIGNATURE}), False)
    assert (found.extended_usages, found.lifetime) == ((USAGES["client auth"],), timedelta(hours=48))
    assert found.names.texts() == ()
