"""What strict verifiers refuse is not issued: about nobody, half a CA, longer than a name may be; and not warned of."""

import json
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.cli.main import main
from groundplane.errors import Invalid
from groundplane.pki import Authority
from groundplane.pki.fitness import LONGEST, refuse_irregular, usage_trouble, value_trouble
from groundplane.pki.model import CertificateContent, KeyUsage
from groundplane.pki.name import COMMON_NAME, COUNTRY, AlternativeNames, Attribute, Subject
from groundplane.pki.wire import parse_policy
from tests.unit.pki.samples import policy, quick_ca, request

NOW = datetime.now(UTC)
CONTENT = CertificateContent(
    subject=Subject(((Attribute(oid=COMMON_NAME, value="x"),),)),
    names=AlternativeNames(),
    key_usages=frozenset({KeyUsage.DIGITAL_SIGNATURE}),
    extended_usages=(),
    not_before=NOW,
    not_after=NOW,
)
CA = replace(CONTENT, is_ca=True, key_usages=frozenset({KeyUsage.KEY_CERT_SIGN}))


def profile(**fields: object) -> dict[str, object]:
    return {"signing": {"default": {"expiry": "1h", "usages": ["server auth"]}, "profiles": {"p": fields}}}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (replace(CONTENT, subject=Subject()), "a certificate needs a name"),
        (replace(CA, subject=Subject(), names=AlternativeNames(dns=("a.com",))), "a CA needs a subject"),
        (replace(CA, key_usages=frozenset()), 'a CA without the usage "cert sign"'),
        (replace(CA, is_ca=False), '"cert sign" is for CAs only'),
        (
            replace(CONTENT, subject=Subject(((Attribute(oid=COMMON_NAME, value="x" * 65),),))),
            "65 characters are more than the 64 of a certificate's CN",
        ),
    ],
)
def test_what_is_irregular_is_refused(content: CertificateContent, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        refuse_irregular(content, at="r")
    assert told in str(refused.value)


def test_the_regular_passes() -> None:
    for content in (CONTENT, CA, replace(CONTENT, subject=Subject(), names=AlternativeNames(dns=("a.com",)))):
        refuse_irregular(content, at="r")


@given(st.sampled_from(sorted(LONGEST)), st.integers(0, 300))
def test_a_value_may_be_as_long_as_its_bound(oid: str, length: int) -> None:
    bound = next(most for each, most in LONGEST.items() if each == oid)
    assert bool(value_trouble(next(each for each in LONGEST if each == oid), "é" * length)) is (length > bound)


@pytest.mark.parametrize(("text", "fits"), [("US", True), ("us", True), ("", True), ("USA", False), ("U", False)])
def test_a_country_has_two_letters(text: str, *, fits: bool) -> None:
    assert bool(value_trouble(COUNTRY, text)) is not fits


@given(st.sets(st.sampled_from(KeyUsage)), st.booleans())
def test_cas_sign_certificates_and_nobody_else_does(usages: set[KeyUsage], is_ca: bool) -> None:  # noqa: FBT001 - drawn
    trouble, mend = usage_trouble(frozenset(usages), is_ca=is_ca)
    assert bool(trouble) is bool(mend) is (is_ca is not (KeyUsage.KEY_CERT_SIGN in usages))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"usages": ["server auth"], "ca_constraint": {"is_ca": True}},
            'p.usages: a CA without the usage "cert sign" signs nothing that is believed; add "cert sign" to',
        ),
        ({"usages": ["cert sign"]}, 'p.usages: "cert sign" is for CAs only; add "ca_constraint"'),
        (
            {"usages": ["cert sign"], "ca_constraint": {"is_ca": True, "max_path_len": 0}},
            'ca_constraint.max_path_len: 0 alone is no limit: such a CA may have any number of CAs below it; add "max_',
        ),
        (
            {"usages": ["cert sign"], "ca_constraint": {"is_ca": True, "max_path_len": 0, "max_path_len_zero": False}},
            "0 alone is no limit",
        ),
    ],
)
def test_a_profile_that_makes_such_certificates_is_refused_and_cfssl_s_programs_go_on(
    fields: dict[str, object], told: str
) -> None:
    document = profile(expiry="1h", **fields)
    with pytest.raises(Invalid) as refused:
        policy(document)
    assert told in str(refused.value)
    parse_policy(json.dumps(document).encode(), source="p", strict=False)


@pytest.mark.parametrize(
    "constraint",
    [
        {"is_ca": False, "max_path_len": 0, "max_path_len_zero": False},
        {"is_ca": False, "max_path_len": 0},
    ],
)
def test_go_s_zero_values_of_a_profile_without_a_ca_are_taken(constraint: dict[str, object]) -> None:
    found = policy(profile(expiry="1h", usages=["server auth"], ca_constraint=constraint))
    assert found.profile("p").ca_constraint.path_length is None


def test_a_long_name_is_refused_where_it_stands_and_cfssl_s_programs_go_on() -> None:
    for document, place in (
        ({"CN": "x" * 65}, "CN"),
        ({"names": [{"C": "USA"}]}, "names[0].C"),
        ({"CN": "x", "names": [{"OID": {"2.5.4.10": "x" * 65}}]}, 'names[0].OID["2.5.4.10"]'),
        ({"serialnumber": "7" * 65}, "serialnumber"),
    ):
        with pytest.raises(Invalid) as refused:
            request(document)
        assert str(refused.value).startswith(f"csr.json: {place}: ")
        request(document, strict=False)


def test_a_certificate_about_nobody_is_not_issued() -> None:
    authority, _ = Authority.create_root(quick_ca(), now=NOW)
    with pytest.raises(Invalid, match="a certificate needs a name"):
        authority.issue(request({}), policy().profile("etcd"), now=NOW)


def test_what_the_commands_refuse_they_do_not_warn_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "csr.json").write_text(json.dumps({"CN": "x" * 65, "names": [{"C": "USA"}]}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["pki", "gencert", "--initca", str(tmp_path / "csr.json")]) == 3
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
