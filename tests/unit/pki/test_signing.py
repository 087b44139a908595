from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki.model import (
    NEVER_COPIED,
    CAConstraint,
    CertificateContent,
    Profile,
    RawExtension,
    SeenRequest,
)
from groundplane.pki.name import (
    COMMON_NAME,
    COUNTRY,
    EMAIL_ADDRESS,
    OID,
    ORGANIZATION,
    SERIAL_NUMBER,
    AlternativeNames,
    Attribute,
    Subject,
)
from groundplane.pki.signing import ORDER, Reason, SigningRefused, SigningRequest, ordered, plan_signing
from tests.unit.pki.samples import NOW, issuer


def name(*attributes: tuple[OID, str]) -> Subject:
    return Subject(tuple((Attribute(oid=oid, value=value),) for oid, value in attributes))


PROFILE = Profile(name="p", expiry=timedelta(hours=1), usages=("signing",))
CSR = SeenRequest(subject=name((COMMON_NAME, "x"), (COUNTRY, "US")), names=AlternativeNames(dns=("a.com",)))
TLS_FEATURE = RawExtension(oid=OID("1.3.6.1.5.5.7.1.24"), value=b"0\x03\x02\x01\x05")


def plan(
    request: SigningRequest | None = None, profile: Profile = PROFILE, *, room: int | None = None
) -> CertificateContent:
    return plan_signing(request or SigningRequest(csr=CSR), profile, now=NOW, issuer=issuer(path_length=room))


def refused(request: SigningRequest | None = None, profile: Profile = PROFILE, *, room: int | None = None) -> Reason:
    with pytest.raises(SigningRefused) as error:
        plan(request, profile, room=room)
    return error.value.reason


def test_the_subject_is_put_into_cfssl_s_order_and_further_attributes_follow() -> None:
    odd = name((EMAIL_ADDRESS, "a@b"), (COMMON_NAME, "x"), (ORGANIZATION, "o"), (COUNTRY, "US"))
    assert str(ordered(odd)) == "C=US, O=o, CN=x, emailAddress=a@b"


def test_without_hosts_the_request_s_names_stay_and_hosts_even_none_replace_them() -> None:
    assert plan().names == CSR.names
    assert plan(SigningRequest(csr=CSR, hosts=())).names == AlternativeNames()
    assert plan(SigningRequest(csr=CSR, hosts=("10.0.0.1",))).names.ips == (ip_address("10.0.0.1"),)


def test_a_subject_beside_the_request_replaces_what_it_has_and_drops_what_cfssl_has_no_field_for() -> None:
    csr = replace(CSR, subject=name((COUNTRY, "US"), (COMMON_NAME, "x"), (EMAIL_ADDRESS, "a@b")))
    content = plan(SigningRequest(csr=csr, subject=name((COMMON_NAME, "new"))))
    assert str(content.subject) == "C=US, CN=new"


def test_a_request_for_a_ca_needs_a_profile_and_an_issuer_that_make_cas() -> None:
    wanted = SigningRequest(csr=replace(CSR, wants_ca=True, path_length=1))
    maker = replace(PROFILE, ca_constraint=CAConstraint(is_ca=True, path_length=0))
    assert refused(wanted) is Reason.CA
    assert refused(wanted, maker, room=0) is Reason.CA
    assert refused(wanted, maker, room=1) is Reason.CA
    assert plan(wanted, maker, room=2).path_length == 0


def test_extensions_are_copied_only_if_the_profile_says_so_and_never_the_ca_s_own() -> None:
    harmful = [RawExtension(oid=oid, value=b"\x30\x00") for oid in sorted(NEVER_COPIED)]
    wanted = SigningRequest(csr=replace(CSR, extensions=(TLS_FEATURE, *harmful)))
    assert plan(wanted).extensions == ()
    assert plan(wanted, replace(PROFILE, copy_extensions=True)).extensions == (TLS_FEATURE,)


def test_extensions_beside_the_request_must_be_allowed() -> None:
    wanted = SigningRequest(csr=CSR, extensions=(TLS_FEATURE,))
    assert refused(wanted) is Reason.EXTENSION
    assert plan(wanted, replace(PROFILE, allowed_extensions=(TLS_FEATURE.oid,))).extensions == (TLS_FEATURE,)


def test_of_a_request_only_the_whitelisted_fields_count() -> None:
    profile = replace(PROFILE, request_fields=frozenset({"PublicKey", "DNSNames"}))
    content = plan(profile=profile)
    assert (content.subject, content.names.dns) == (Subject(), ("a.com",))
    assert refused(profile=replace(PROFILE, request_fields=frozenset({"Subject"}))) is Reason.KEY


def test_names_serial_numbers_usages_and_dates_are_the_profile_s_to_refuse() -> None:
    assert refused(profile=replace(PROFILE, name_whitelist="^b")) is Reason.NAME
    assert refused(profile=replace(PROFILE, client_serial=True)) is Reason.SERIAL
    assert refused(profile=replace(PROFILE, usages=())) is Reason.NO_USAGES
    assert refused(profile=replace(PROFILE, not_before=NOW, not_after=NOW - timedelta(days=1))) is Reason.DATES
    assert refused(profile=replace(PROFILE, expiry=timedelta(days=9000 * 365))) is Reason.DATES


def test_a_ca_keeps_of_its_names_the_addresses() -> None:
    maker = replace(PROFILE, ca_constraint=CAConstraint(is_ca=True))
    content = plan(SigningRequest(csr=CSR, hosts=("a.com", "::1")), maker)
    assert content.names == AlternativeNames(ips=(ip_address("::1"),))


@given(said=st.lists(st.tuples(st.sampled_from([*ORDER, EMAIL_ADDRESS]), st.sampled_from(["a", "b", "c"])), max_size=9))
def test_each_type_has_its_place_and_all_its_values_but_of_two_the_last_one_counts(said: list[tuple[OID, str]]) -> None:
    kept = [
        (oid, {value for kind, value in said if kind == oid})
        for oid in ORDER
        if oid not in {COMMON_NAME, SERIAL_NUMBER}
    ]
    found = {rdn[0].oid: {attribute.value for attribute in rdn} for rdn in ordered(name(*said)).rdns}
    assert [(oid, found.get(oid, set())) for oid, _ in kept] == kept
    for oid in (COMMON_NAME, SERIAL_NUMBER):
        assert found.get(oid, set()) == set([value for kind, value in said if kind == oid][-1:])
    places = [(*ORDER, EMAIL_ADDRESS).index(rdn[0].oid) for rdn in ordered(name(*said)).rdns]
    assert places == sorted(places)
