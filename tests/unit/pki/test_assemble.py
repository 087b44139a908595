"""Both ways to make a certificate, by hand and with cryptography's builder, make the same one."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki import der
from groundplane.pki.certificate import build, make
from groundplane.pki.keys import PrivateKey, generate
from groundplane.pki.model import (
    P256,
    USAGES,
    CertificateContent,
    CertificatePolicy,
    KeyAlgorithm,
    KeySpec,
    KeyUsage,
    RawExtension,
)
from groundplane.pki.name import OID, AlternativeNames, Attribute, Subject
from groundplane.pki.signer import LocalSigner

NOW = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)
KEYS: list[PrivateKey] = [
    generate(P256),
    generate(KeySpec(algorithm=KeyAlgorithm.RSA, size=2048)),
    generate(KeySpec(algorithm=KeyAlgorithm.ED25519, size=256)),
    generate(KeySpec(algorithm=KeyAlgorithm.ECDSA, size=384)),
    generate(KeySpec(algorithm=KeyAlgorithm.ECDSA, size=521)),
]
OIDS = [OID(oid) for oid in ("2.5.4.3", "2.5.4.6", "2.5.4.10", "1.2.840.113549.1.9.1", "2.999.123456789.0")]
EXTENDED = [usage for usage in USAGES.values() if not isinstance(usage, KeyUsage)]
URL = st.sampled_from(["", "http://ca.example.com/x", "http://e/1?2"])

attributes = st.builds(
    Attribute,
    oid=st.sampled_from(OIDS),
    value=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9),
)
subjects = st.lists(st.lists(attributes, min_size=1, max_size=3).map(tuple), max_size=4).map(tuple).map(Subject)
names = st.builds(
    AlternativeNames,
    dns=st.lists(st.text("abc.*-_ ", max_size=200), max_size=3).map(tuple),
    emails=st.lists(st.sampled_from(["a@b.c", "x@y"]), max_size=2).map(tuple),
    ips=st.lists(st.sampled_from([ip_address("10.0.0.1"), ip_address("fe80::1")]), max_size=2).map(tuple),
    uris=st.lists(st.sampled_from(["spiffe://a/b", "/c"]), max_size=2).map(tuple),
)
contents = st.builds(
    CertificateContent,
    subject=subjects,
    names=names,
    key_usages=st.frozensets(st.sampled_from(list(KeyUsage))),
    extended_usages=st.lists(st.sampled_from(EXTENDED), max_size=3).map(tuple),
    not_before=st.sampled_from([NOW, NOW.replace(year=2049), datetime(1950, 1, 1, tzinfo=UTC)]),
    not_after=st.sampled_from(
        [NOW.replace(year=2049) + timedelta(days=n) for n in (0, 365)] + [NOW.replace(year=9999)]
    ),
    is_ca=st.just(True),
    path_length=st.sampled_from([None, 0, 3]),
    issuer_urls=st.lists(URL.filter(bool), max_size=2).map(tuple),
    ocsp_url=URL,
    crl_url=URL,
    ocsp_no_check=st.booleans(),
    policies=st.sampled_from([(), (CertificatePolicy(oid=OID("1.2.3"), qualifiers=(("id-qt-unotice", "é"),)),)]),
    extensions=st.lists(
        st.builds(
            RawExtension,
            oid=st.sampled_from([OID("1.3.6.1.4.1.44363.44"), OID("2.5.29.37"), OID("1.2.3.4")]),
            critical=st.booleans(),
            value=st.binary(max_size=200),
        ),
        max_size=3,
    ).map(tuple),
)


@settings(max_examples=200, deadline=None)
@given(
    content=contents, serial=st.integers(1, 2**159 - 1), key=st.sampled_from(KEYS), ca=st.sampled_from([None, *KEYS])
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_both_ways_make_the_same_certificate(
    content: CertificateContent, serial: int, key: PrivateKey, ca: PrivateKey | None
) -> None:
    signer = LocalSigner(ca or key)
    issuer = None if ca is None else _root(ca)
    public = key.public_key()
    ours = make(content, public_key=public, serial=serial, issuer=issuer, signer=signer)
    theirs = build(content, public_key=public, serial=serial, issuer=issuer, signer=signer)
    assert ours.tbs_certificate_bytes == theirs.tbs_certificate_bytes
    assert ours.signature_algorithm_oid == theirs.signature_algorithm_oid
    if issuer is not None or ours.subject == ours.issuer:
        ours.verify_directly_issued_by(issuer or ours)


@pytest.mark.parametrize("serial", [0, -1, 2**160])
def test_a_serial_number_that_nobody_can_read_is_refused(serial: int) -> None:
    content = CertificateContent(
        subject=Subject(),
        names=AlternativeNames(),
        key_usages=frozenset(),
        extended_usages=(),
        not_before=NOW,
        not_after=NOW + timedelta(days=1),
    )
    with pytest.raises(Invalid):
        make(content, public_key=KEYS[0].public_key(), serial=serial, issuer=None, signer=LocalSigner(KEYS[0]))


@given(number=st.integers(-(2**200), 2**200))
def test_an_integer_is_as_short_as_it_can_be(number: int) -> None:
    octets = der.content(der.integer(number))
    assert int.from_bytes(octets, signed=True) == number
    assert len(octets) == 1 or not (octets[0] == 0 and octets[1] < 0x80)


@given(data=st.binary(max_size=40))
def test_taking_apart_what_is_no_der_raises_nothing_but_value_errors(data: bytes) -> None:
    try:
        assert sum(map(len, der.parts(data))) <= len(data)
    except ValueError:
        pass


def _root(key: PrivateKey) -> x509.Certificate:
    if key not in _ROOTS:
        content = CertificateContent(
            subject=Subject(((Attribute(oid=OID("2.5.4.3"), value="root"),),)),
            names=AlternativeNames(),
            key_usages=frozenset({KeyUsage.KEY_CERT_SIGN}),
            extended_usages=(),
            not_before=NOW,
            not_after=NOW + timedelta(days=9999),
            is_ca=True,
        )
        _ROOTS[key] = make(content, public_key=key.public_key(), serial=1, issuer=None, signer=LocalSigner(key))
    return _ROOTS[key]


_ROOTS: dict[PrivateKey, x509.Certificate] = {}
