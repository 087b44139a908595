"""CFSSL's signing policy is read verbatim, and what is wrong in it is named by place, with the mend."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki.model import USAGES, KeyUsage, Linting, Remote
from groundplane.pki.policy import refuse_remote
from groundplane.pki.wire import parse_policy
from tests.unit.pki.samples import CONFIG, policy


def profile_with(**fields: object) -> dict[str, object]:
    profile = {"expiry": "1h", "usages": ["server auth"], **fields}
    return {"signing": {"default": {"expiry": "8760h"}, "profiles": {"etcd": profile}}}


def refusal(document: object) -> str:
    with pytest.raises(Invalid) as caught:
        policy(document)
    return str(caught.value)


def test_a_cluster_s_policy_is_read_as_it_stands() -> None:
    found = policy()
    etcd = found.profile("etcd")
    assert set(found.profiles) == {"etcd", "node"}
    assert (etcd.expiry, etcd.usages) == (timedelta(days=365), ("server auth", "client auth", "key encipherment"))
    assert etcd.key_usages == {KeyUsage.KEY_ENCIPHERMENT}
    assert etcd.extended_usages == (USAGES["server auth"], USAGES["client auth"])
    assert found.profile("") is found.default
    assert found.default.usages == ()


def test_without_a_default_cfssl_s_own_default_holds() -> None:
    default = policy({"signing": {}}).default
    assert default.expiry == timedelta(hours=8760)
    assert default.usages == ("signing", "key encipherment", "server auth", "client auth")


def test_an_unknown_profile_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(
        Invalid, match=r"ca-config\.json: signing\.profiles: there is no profile 'etdc'; did you mean 'etcd'"
    ):
        policy().profile("etdc")


def test_an_unknown_field_is_refused_with_the_nearest_one() -> None:
    told = refusal({"signing": {"default": {"expirey": "1h"}}})
    assert told == "ca-config.json: signing.default.expirey: unknown field; did you mean 'expiry'?"


def test_an_unknown_usage_is_refused_with_its_place_and_the_nearest_one() -> None:
    told = refusal(profile_with(usages=["server auth", "client-auth"]))
    assert (
        told
        == "ca-config.json: signing.profiles.etcd.usages[1]: unknown usage 'client-auth'; did you mean 'client auth'?"
    )


def test_a_syntax_error_is_named_by_line_and_column() -> None:
    with pytest.raises(Invalid, match=r"^ca-config\.json:3:3: this is not JSON: .*; remove the comma before it$"):
        parse_policy(b'{\n  "signing": {},\n  }', source="ca-config.json")


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, 'there is no "signing" field'),
        ([], "an object is wanted here, not an array"),
        ({"signing": {"default": {}}}, 'signing.default: there is no "expiry"'),
        (profile_with(usages=[]), "signing.profiles.etcd: this profile has no usages"),
        (profile_with(expiry="1y"), "unknown unit 'y' in duration '1y'; write 8760h"),
        (profile_with(expiry="-1h"), "a lifetime must be more than nothing"),
        (profile_with(expiry=8760), "a string is wanted here, not a number"),
        (profile_with(backdate="-5m"), "cannot be backdated into the future"),
        (profile_with(not_after="2030-02-31T00:00:00Z"), "is not a date a certificate can have"),
        (profile_with(not_before="2030-01-01T00:00:00Z", not_after="2029-01-01T00:00:00Z"), "not after not_before"),
        (profile_with(auth_key="k"), "'k' is not in auth_keys"),
        (profile_with(name_whitelist="("), "this is not a regular expression"),
        (profile_with(ca_constraint={"is_ca": 1}), "ca_constraint.is_ca: true or false is wanted here, not a number"),
        (profile_with(ca_constraint={"max_path_len": True}), "a whole number is wanted here"),
        (profile_with(crl_url="http://a b/"), "characters that a URL cannot have"),
    ],
)
def test_what_is_wrong_is_refused(document: object, told: str) -> None:
    assert told in refusal(document)


def test_a_field_given_twice_is_refused() -> None:
    with pytest.raises(Invalid, match="signing: given twice"):
        parse_policy(b'{"signing": {}, "signing": {}}', source="ca-config.json")


def test_field_names_match_in_any_letter_case_and_null_leaves_the_default() -> None:
    found = parse_policy(b'{"Signing": {"DEFAULT": {"Expiry": "2h", "usages": null}}}', source="p")
    assert found.default.expiry == timedelta(hours=2)


def test_without_strictness_unknown_things_are_ignored_as_cfssl_does() -> None:
    document = {"signing": {"default": {"expiry": "1h", "usages": ["server auth", "nonsense"], "colour": "red"}}}
    assert policy(document, strict=False).default.usages == ("server auth",)


def test_addresses_are_inherited_from_the_default_and_nothing_else_is() -> None:
    document = profile_with()
    document["signing"]["default"] |= {"crl_url": "http://c/", "ocsp_url": "http://o/", "backdate": "1h"}  # type: ignore[index]
    etcd = policy(document).profile("etcd")
    assert (etcd.crl_url, etcd.ocsp_url, etcd.backdate) == ("http://c/", "http://o/", None)


def test_dates_are_read_in_any_zone() -> None:
    etcd = policy(profile_with(not_after="2030-01-01T01:00:00+01:00")).profile("etcd")
    assert etcd.not_after == datetime(2030, 1, 1, tzinfo=UTC)


def test_transparency_logs_are_remembered_with_the_profile() -> None:
    found = policy(profile_with(ct_log_servers=["http://ct/"])).profile("etcd")
    assert found.remote is None
    assert found.ct_logs == ("http://ct/",)


@pytest.mark.parametrize(("written", "level"), [(1, 1), (3, 3), (7, 7), ("warn", 5), ("NA", 1), ("fatal", 7)])
def test_the_level_of_lints_is_a_number_or_its_word(written: object, level: int) -> None:
    found = policy(
        profile_with(
            lint_error_level=written,
            ignored_lints=[" e_ext_san_missing", "e_crl_has_next_update"],
            ignored_lint_sources=["Mozilla "],
        )
    ).profile("etcd")
    ignored = frozenset({"e_ext_san_missing", "e_crl_has_next_update"})
    assert found.lint == Linting(level=level, ignored=ignored, ignored_sources=frozenset({"Mozilla"}))


@pytest.mark.parametrize("written", [0, "reserved"])
def test_level_0_asks_no_rule(written: object) -> None:
    assert (
        policy(profile_with(lint_error_level=written, ignored_lints=["e_ext_san_missing"])).profile("etcd").lint is None
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"lint_error_level": 8}, "8 is no level"),
        ({"lint_error_level": -1}, "-1 is no level"),
        ({"lint_error_level": True}, "a whole number is wanted"),
        ({"lint_error_level": "warning"}, "did you mean 'warn'"),
        ({"ignored_lints": ["e_ext_san_mising"]}, "e_ext_san_missing"),
        ({"ignored_lint_sources": ["RFC528"]}, "RFC5280"),
        ({"ignored_lint_sources": ["RFC3279"]}, "unknown source"),
    ],
)
def test_an_unknown_lint_source_or_level_is_refused_with_the_nearest(fields: dict[str, object], words: str) -> None:
    with pytest.raises(Invalid, match=re.escape(words)):
        policy(profile_with(**fields))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=200))
def test_only_invalid_escapes_for_any_bytes(data: bytes) -> None:
    try:
        parse_policy(data, source="p")
    except Invalid:
        pass  # refusing is an answer


@given(
    field=st.sampled_from(["usages", "expiry", "backdate", "not_before", "not_after", "ca_constraint", "issuer_urls"])
    | st.sampled_from(["ocsp_url", "crl_url", "ocsp_no_check", "auth_key", "remote", "Policies", "lint_error_level"]),
    value=JSON,
    strict=st.booleans(),
)
def test_only_invalid_escapes_for_any_field(field: str, value: object, *, strict: bool) -> None:
    try:
        policy(profile_with(**{field: value}), strict=strict)
    except Invalid:
        pass  # refusing is an answer


@given(st.data())
def test_only_invalid_escapes_for_a_damaged_file(data: st.DataObject) -> None:
    text = json.dumps(CONFIG).encode()
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(at, min(len(text), at + 5)))
    try:
        parse_policy(text[:at] + data.draw(st.binary(max_size=5)) + text[cut:], source="p")
    except Invalid:
        pass  # refusing is an answer


def test_a_profile_for_another_server_says_which_and_never_its_key() -> None:
    document = profile_with(auth_remote={"remote": "r", "auth_key": "k"})
    document |= {"remotes": {"r": "ca.example:8888"}, "auth_keys": {"k": {"type": "standard", "key": "00ff"}}}
    remote = policy(document).profile("etcd").remote
    assert remote == Remote(address="ca.example:8888", auth_key="00ff")
    assert "00ff" not in repr(remote)
    with pytest.raises(Invalid, match=r"ca\.example:8888 signs by this profile"):
        refuse_remote(policy(document).profile("etcd"))
    refuse_remote(policy(document).profile(""))
    document["signing"]["profiles"]["etcd"]["auth_remote"]["auth_key"] = "K"  # type: ignore[index]
    assert refusal(document).endswith("auth_remote.auth_key: 'K' is not in auth_keys; did you mean 'k'?")
    del document["signing"]["profiles"]["etcd"]["auth_remote"]["remote"]  # type: ignore[index]
    assert 'there is no "remote"' in refusal(document)
