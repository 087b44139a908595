"""Names are allowed kind by kind, and a CA's constraints are in its certificate for everybody to check."""

import json
from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Denied, Invalid
from groundplane.pki import Authority
from groundplane.pki.model import CertificateRequest, Profile
from groundplane.pki.name import AlternativeNames
from groundplane.pki.namerules import NameRules, NameSpaces
from groundplane.pki.seen import load_certificate
from tests.unit.pki.samples import NOW, policy, quick_ca, request


def profile_with(**fields: object) -> Profile:
    profile = {"expiry": "8760h", "usages": ["server auth"], **fields}
    return policy({"signing": {"default": {"expiry": "1h"}, "profiles": {"p": profile}}}).profile("p")


@pytest.mark.parametrize(
    ("pattern", "name", "held"),
    [
        ("a.com", "A.com.", True),
        ("a.com", "b.a.com", False),
        ("*.a.com", "b.a.com", True),
        ("*.a.com", "c.b.a.com", False),
        ("*.a.com", "a.com", False),
        ("*.a.com", ".a.com", False),
        ("*.a.com", "*.a.com", True),
        ("a.com", "*.a.com", False),
        (".a.com", "c.b.a.com", True),
        (".a.com", "a.com", False),
        (".a.com", "xa.com", False),
    ],
)
def test_dns_patterns(pattern: str, name: str, held: bool) -> None:  # noqa: FBT001 - a table
    assert bool(NameSpaces(dns=(pattern,)).holds(AlternativeNames(dns=(name,)))) is held


def test_every_kind_has_its_patterns() -> None:
    spaces = NameSpaces(
        emails=("@a.com", "root@b.com"), networks=(ip_network("10.0.0.0/8"),), uris=("spiffe://td/*", "urn:**")
    )
    names = AlternativeNames(
        emails=("x@A.com", "x@b.com", "root@b.com"),
        ips=(ip_address("10.1.2.3"), ip_address("11.0.0.1"), ip_address("::1")),
        uris=("spiffe://td/ns", "spiffe://td/ns/x", "urn:a/b"),
    )
    assert spaces.holds(names) == ("x@A.com", "root@b.com", "10.1.2.3", "spiffe://td/ns", "urn:a/b")


def test_what_is_not_allowed_is_refused_whatever_kind_and_deny_wins() -> None:
    rules = NameRules(allow=NameSpaces(dns=(".a.com",)), deny=NameSpaces(dns=("secret.a.com",)))
    assert rules.refused(AlternativeNames(dns=("x.a.com",)), "x.a.com") is None
    assert rules.refused(AlternativeNames(dns=("x.a.com", "secret.a.com")), "") == "secret.a.com"
    assert rules.refused(AlternativeNames(ips=(ip_address("10.0.0.1"),)), "") == "10.0.0.1"
    assert rules.refused(AlternativeNames(dns=("x.a.com",)), "bank.com") == "bank.com"
    assert NameRules(deny=NameSpaces(dns=("b",))).refused(AlternativeNames(dns=("a",)), "c") is None


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_pattern_or_name_breaks_it(pattern: str, name: str) -> None:
    spaces = NameSpaces(dns=(pattern,), emails=(pattern,), uris=(pattern,))
    names = AlternativeNames(dns=(name,), emails=(name,), uris=(name,))
    assert set(spaces.holds(names)) <= {name}


@pytest.fixture(scope="module")
def authority() -> Authority:
    made, _ = Authority.create_root(quick_ca(), now=NOW)
    return made


def small(document: dict[str, object]) -> CertificateRequest:
    return request({"key": {"algo": "ecdsa", "size": 256}, **document})


def test_a_profile_says_which_names(authority: Authority) -> None:
    profile = profile_with(names={"allow": {"dns": [".a.com"], "ip": ["10.0.0.0/8"]}})
    authority.issue(small({"CN": "x.a.com", "hosts": ["x.a.com", "10.0.0.1"]}), profile, now=NOW)
    with pytest.raises(Denied, match=r"'b\.com'"):
        authority.issue(small({"CN": "x.a.com", "hosts": ["b.com"]}), profile, now=NOW)


def test_a_ca_is_constrained_in_its_certificate(authority: Authority) -> None:
    constraints = {"permitted": {"dns": ["a.com"], "ip": ["10.0.0.0/8"]}, "excluded": {"email": ["b.com"]}}
    profile = profile_with(usages=["cert sign"], ca_constraint={"is_ca": True}, name_constraints=constraints)
    made = authority.issue(small({"CN": "below"}), profile, now=NOW)
    found = load_certificate(made.certificate_pem, source="x").extensions.get_extension_for_class(x509.NameConstraints)
    assert found.critical
    assert found.value.permitted_subtrees == [x509.DNSName("a.com"), x509.IPAddress(ip_network("10.0.0.0/8"))]
    assert found.value.excluded_subtrees == [x509.RFC822Name("b.com")]


@pytest.mark.parametrize(
    "fields",
    [
        {"names": {"alow": {}}},
        {"names": {"allow": {"ip": ["10.0.0.1/8"]}}},
        {"names": {"allow": {"dns": [""]}}},
        {"name_constraints": {}},
        {"name_constraints": {"permitted": {"dns": ["*.a.com"]}}},
        {"usages": ["1.x"]},
    ],
)
def test_bad_rules_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        profile_with(**fields)


def test_usages_may_be_identifiers_unless_cfssl_reads_them(authority: Authority) -> None:
    profile = profile_with(usages=["server auth", "1.3.6.1.4.1.311.20.2.2"])
    made = authority.issue(small({"CN": "x"}), profile, now=NOW)
    assert made.seen.extended_usages[1] == "1.3.6.1.4.1.311.20.2.2"
    text = {"signing": {"default": {"expiry": "1h", "usages": ["any", "1.2.3"]}}}
    assert policy(json.loads(json.dumps(text)), strict=False).default.usages == ("any",)


def test_a_leaf_ends_with_its_ca_at_the_latest() -> None:
    authority, root = Authority.create_root(small({"CN": "short", "ca": {"expiry": "100h"}}), now=NOW)
    made = authority.issue(small({"CN": "x"}), profile_with(), now=NOW)
    assert made.seen.not_after == root.seen.not_after
    plan = authority.plan(small({"CN": "x"}), profile_with(), now=NOW + timedelta(hours=1))
    assert (plan.not_after, plan.pinned_end) == (root.seen.not_after, True)  # so that it is not renewed for its end
