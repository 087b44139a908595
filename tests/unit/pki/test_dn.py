"""Names of other makers: every kind of string, attributes in their order, and certificates whose names are odd."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki import der
from groundplane.pki.cfssl.certinfo import certificate_info
from groundplane.pki.cfssl.goname import short, slashed
from groundplane.pki.chain.link import link_of
from groundplane.pki.dn import attributes_of, names_in, one_by_one, subject_of
from groundplane.pki.load import certificate_of_der
from groundplane.pki.seen import see

ORGANIZATION, COMMON_NAME, MAIL = "2.5.4.10", "2.5.4.3", "1.2.840.113549.1.9.1"


def attribute(oid: str, tag: int, value: bytes) -> bytes:
    return der.wrap(der.SEQUENCE, der.identifier(oid) + der.wrap(tag, value))


def name(*rdns: bytes) -> bytes:
    return der.wrap(der.SEQUENCE, b"".join(der.wrap(der.SET, rdn) for rdn in rdns))


@pytest.mark.parametrize(
    ("tag", "value", "text"),
    [
        (der.UTF8, "né".encode(), "né"),
        (der.PRINTABLE, b"a*b&c", "a*b&c"),
        (0x12, b"12 3", "12 3"),
        (0x14, b"n\xe9", "né"),
        (0x14, "né".encode(), "né"),
        (0x16, b"a@b.c", "a@b.c"),
        (0x1A, b"v", "v"),
        (0x1C, "né".encode("utf-32-be"), "né"),
        (0x1E, "né".encode("utf-16-be"), "né"),
        (0x1E, b"\0a\0\0", "a"),
        (0x03, b"\0\xff", "00ff"),
        (der.UTF8, b"", ""),
    ],
)
def test_every_kind_of_string_is_read(tag: int, value: bytes, text: str) -> None:
    ((found,),) = attributes_of(name(attribute(ORGANIZATION, tag, value)))
    assert (found.oid, found.value) == (ORGANIZATION, text)


@pytest.mark.parametrize(
    ("tag", "value"), [(der.PRINTABLE, b"a@b"), (der.UTF8, b"\xff"), (0x16, b"\xe9"), (0x1E, b"\0"), (0x1E, b"\xd8\0")]
)
def test_what_is_not_of_its_kind_is_refused(tag: int, value: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        attributes_of(name(attribute(ORGANIZATION, tag, value)))


def test_order_and_repetition_are_kept_where_they_are_asked_for() -> None:
    both = attribute(COMMON_NAME, der.UTF8, b"b") + attribute(COMMON_NAME, der.UTF8, b"a")
    data = name(both, attribute(COMMON_NAME, der.UTF8, b"b"))
    assert [each.value for rdn in attributes_of(data) for each in rdn] == ["b", "a", "b"]
    assert [rdn[0].value for rdn in one_by_one(data).rdns] == ["b", "a", "b"]
    assert [[each.value for each in rdn] for rdn in subject_of(data).rdns] == [["a", "b"], ["b"]]


@given(data=st.binary(max_size=60))
def test_whatever_it_is_it_is_a_name_or_a_value_error(data: bytes) -> None:
    for read in (attributes_of, one_by_one, subject_of):
        try:
            read(data)
        except ValueError:
            continue


def odd_certificate(subject: bytes) -> x509.Certificate:
    """One that names itself so, signed by anybody."""
    start = datetime.now(UTC).replace(microsecond=0)
    key = ec.generate_private_key(ec.SECP256R1())
    plain = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder(plain, plain, key.public_key(), 5, start, start + timedelta(hours=1))
    signed, *rest = der.parts(builder.sign(key, SHA256()).public_bytes(Encoding.DER))
    fields = list(der.parts(signed))
    fields[3] = fields[5] = subject
    return certificate_of_der(der.wrap(der.SEQUENCE, der.wrap(der.SEQUENCE, b"".join(fields)) + b"".join(rest)))


def test_a_certificate_with_an_odd_name_is_read_all_the_same() -> None:
    twice = attribute(ORGANIZATION, 0x14, b"Caf\xe9") + attribute(ORGANIZATION, 0x14, b"Caf\xe9")
    subject = name(twice, attribute(MAIL, 0x16, b"a@b.c"), attribute(COMMON_NAME, 0x14, b"R\xe9seau"))
    it = odd_certificate(subject)
    with pytest.raises(ValueError, match="parsing"):
        _ = it.subject
    assert names_in(it) == (subject, subject)
    assert see(it).subject.common_name == "Réseau"
    link = link_of(it)
    assert (link.subject, link.common_name, link.title) == (subject, "Réseau", "Réseau")
    assert short(subject) == "CN=Réseau,O=Café+O=Café,1.2.840.113549.1.9.1=#0c056140622e63"
    assert slashed(subject) == "/Organization=Café/Organization=Café/=a@b.c/CommonName=Réseau"
    assert certificate_info(it)["subject"]["organization"] == "Café,Café"
