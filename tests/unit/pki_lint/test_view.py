"""Any bytes are a certificate or are refused, soon; what is read is what stands there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki import der
from groundplane.pki.lint import domains, oids
from groundplane.pki.lint.model import Status
from groundplane.pki.lint.verdict import breaches, judge, worst
from groundplane.pki.lint.view import Unreadable, certificates_of, view
from tests.unit.pki_lint import made

BASES = (made.leaf(), made.intermediate(), made.root(), made.leaf(key=made.rsa_spki()))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_certificate_or_unreadable(data: bytes) -> None:
    try:
        judge(view(data))
    except Unreadable:
        pass  # refusing is an answer


@given(
    base=st.sampled_from(BASES),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_damaged_certificate_is_judged_or_unreadable(base: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(base)
    for place, octet in changes:
        data[place % len(data)] = octet
    try:
        judge(view(bytes(data)))
    except Unreadable:
        pass  # refusing is an answer


@given(
    kind=st.sampled_from(
        [
            value
            for name, value in vars(oids).items()
            if name[0] != "_" and isinstance(value, str) and value[0].isdigit()
        ]
    ),
    critical=st.booleans(),
    value=st.binary(max_size=40) | st.lists(st.binary(max_size=12), max_size=4).map(lambda parts: made.seq(*parts)),
)
def test_an_extension_of_any_bytes_is_judged_or_unreadable(kind: str, critical: bool, value: bytes) -> None:  # noqa: FBT001 - drawn
    try:
        judge(view(made.intermediate({kind: (critical, value)})))
    except Unreadable:
        pass  # refusing is an answer


@pytest.mark.timeout(20)
def test_a_certificate_of_monstrous_parts_takes_no_time() -> None:
    names = made.general_names(["a." * 30_000 + "com", *(f"h{n}.example.com" for n in range(5_000))])
    judge(view(made.leaf(san=names)))
    pairs = (made.seq(made.oid(f"1.2.{n}"), made.oid("1.3")) for n in range(10_000))
    judge(view(made.intermediate({oids.POLICY_MAPPINGS: (True, made.seq(*pairs))})))
    judge(view(made.leaf(key=made.rsa_spki((1 << 30_000) + 1))))
    with pytest.raises(Unreadable, match="numbers"):
        view(made.leaf(key=made.rsa_spki((1 << 100_000) + 1)))
    with pytest.raises(Unreadable, match="more than a certificate has"):
        view(bytes(2 << 20))


def test_a_file_has_one_certificate_in_der_or_many_in_pem() -> None:
    from base64 import encodebytes

    blocks = [b"-----BEGIN CERTIFICATE-----\n" + encodebytes(each) + b"-----END CERTIFICATE-----\n" for each in BASES]
    assert certificates_of(b"words\n" + b"more\n".join(blocks), source="f") == list(BASES)
    assert certificates_of(BASES[0], source="f") == [BASES[0]]
    for wrong in (b"", b"{}", b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----"):
        with pytest.raises(Unreadable):
            certificates_of(wrong, source="f")


def test_what_cryptography_hides_is_seen() -> None:
    seen = view(made.leaf(serial=der.integer(-5), version=2, outer=made.ECDSA_SHA1))
    assert (seen.serial_number, seen.version) == (-5, 2)
    assert seen.algorithm.whole != seen.outer_algorithm.whole


def test_only_its_own_key_makes_a_root() -> None:
    assert view(made.root()).is_root
    assert view(made.root(self_signed=False)).is_subordinate
    assert view(made.rsa_root(2048)).is_root


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("www.example.com", ("www", "example", "com")),
        ("a.b.example.co.uk", ("a.b", "example", "co.uk")),
        ("a.b.example.ck", ("a", "b", "example.ck")),
        ("x.www.ck", ("x", "www", "ck")),
        ("node.internal", ("", "node", "internal")),
        ("*.Example.COM", ("*", "example", "com")),
        ("", None),
        (".com", None),
    ],
)
def test_a_name_is_split_at_its_public_suffix(name: str, parts: tuple[str, str, str] | None) -> None:
    assert domains.split(name) == parts


@pytest.mark.parametrize("name", ["com", "co.uk", "internal", "example.ck"])
def test_a_public_suffix_has_no_parts(name: str) -> None:
    with pytest.raises(domains.IsSuffix):
        domains.split(name)


@pytest.mark.parametrize(
    ("host", "full"),
    [
        ("example.com", True),
        ("*.example.com", True),
        ("a.b", False),  # fewer than four characters
        ("localhost", False),
        ("localhost:8080", True),
        ("[2001:db8::1]:443", True),
        ("http://example.com/a", True),
        (".example.com", False),
        ("a b.com", False),
    ],
)
def test_what_zlint_takes_for_a_full_name(host: str, full: bool) -> None:  # noqa: FBT001 - the answer
    assert domains.is_host(host) is full


def test_a_level_lets_through_what_is_not_worse() -> None:
    found = judge(view(made.leaf({oids.SAN: None})), ignored_sources=["CABF_BR"])
    assert {it.source for it in found} >= {"RFC5280", "Mozilla"}
    assert worst(found) is Status.PASS
    assert not breaches(found, level=3)
    assert not breaches(judge(view(made.leaf({oids.SAN: None}))), level=6)
    errors = {it.name for it in breaches(judge(view(made.leaf({oids.SAN: None}))), level=5)}
    assert errors == {"e_ext_san_missing", "e_subject_common_name_not_exactly_from_san"}
