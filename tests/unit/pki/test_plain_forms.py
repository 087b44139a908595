"""What is read straight from its bytes, because that takes less time, is what `cryptography` reads in it."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA224, SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.name import _ASN1Type
from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki import der
from groundplane.pki.csr import key_in, load_csr, make_csr, see_request
from groundplane.pki.dn import plain_subject, subject_of
from groundplane.pki.keys import PrivateKey, generate, is_plain_p256, is_public_key, public_bytes, spec_of
from groundplane.pki.model import P256, KeyAlgorithm, KeySpec
from groundplane.pki.name import OID, AlternativeNames, Attribute, Subject
from groundplane.pki.pkcs10 import parse_pkcs10

KEY = ec.generate_private_key(ec.SECP256R1())
OTHERS: list[PrivateKey] = [
    rsa.generate_private_key(65537, 2048),
    ec.generate_private_key(ec.SECP384R1()),
    ec.generate_private_key(ec.SECP521R1()),
    ed25519.Ed25519PrivateKey.generate(),
]
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "plain")])

attributes = st.builds(
    lambda oid, value, kind: x509.NameAttribute(x509.ObjectIdentifier(oid), value, kind, _validate=False),
    oid=st.sampled_from([*(f"2.5.4.{number}" for number in range(3, 20)), "1.2.840.113549.1.9.1", "2.5.4.129"]),
    value=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60) | st.text("ab'(/", max_size=200),
    kind=st.sampled_from([_ASN1Type.PrintableString, _ASN1Type.UTF8String, _ASN1Type.IA5String]),
)
names = st.lists(st.lists(attributes, min_size=1, max_size=2, unique_by=str), max_size=4).map(
    lambda rdns: x509.Name([x509.RelativeDistinguishedName(rdn) for rdn in rdns])
)


def subject_words(name: x509.Name) -> Subject:
    """What `cryptography` reads."""
    return Subject(
        tuple(
            tuple(Attribute(oid=OID(each.oid.dotted_string), value=str(each.value)) for each in rdn)
            for rdn in name.rdns
        )
    )


@given(name=names)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_plain_subject_has_the_words_that_any_other_has(name: x509.Name) -> None:
    read = plain_subject(name.public_bytes())
    assert read is None or read == subject_words(name)
    try:
        assert subject_of(name.public_bytes()) == subject_words(name)
    except ValueError:  # a printable string that is none: what is read here is what others can read
        assert read is None


@pytest.mark.parametrize("kind", [_ASN1Type.PrintableString, _ASN1Type.UTF8String])
def test_the_usual_subject_is_a_plain_one(kind: _ASN1Type) -> None:
    said = [("2.5.4.6", "US"), ("2.5.4.10", "Org, Inc."), ("2.5.4.3", "a.example.com")]
    name = x509.Name([x509.NameAttribute(x509.ObjectIdentifier(oid), value, kind) for oid, value in said])
    assert plain_subject(name.public_bytes()) == Subject(
        tuple((Attribute(oid=OID(oid), value=value),) for oid, value in said)
    )


@given(data=st.binary(max_size=40))
def test_what_is_no_name_is_no_plain_one_or_a_value_error(data: bytes) -> None:
    try:
        read = plain_subject(data)
    except ValueError:
        return
    assert read is None or len(data) >= 2


@given(size=st.integers(0, 30), claimed=st.integers(0, 255))
def test_a_length_that_lies_is_not_believed(size: int, claimed: int) -> None:
    value = b"\x06\x03\x55\x04\x03\x13" + bytes((claimed,)) + b"a" * size
    read = plain_subject(der.wrap(der.SEQUENCE, der.wrap(der.SET, der.wrap(der.SEQUENCE, value))))
    assert read is None or claimed == size


@pytest.mark.parametrize("key", [KEY, *OTHERS])
def test_a_key_as_it_stands_is_the_key_as_it_would_be_written(
    key: PrivateKey,
) -> None:
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    made = x509.CertificateSigningRequestBuilder(NAME).sign(key, digest)
    request = parse_pkcs10(made.public_bytes(Encoding.DER))
    assert (key_in(request) == public_bytes(key.public_key())) is (key is KEY)
    assert see_request(request).key == spec_of(key.public_key())


def test_a_point_that_is_written_short_is_not_the_usual_one() -> None:
    short = KEY.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    algorithm, _ = der.parts(public_bytes(KEY.public_key()))
    assert not is_plain_p256(der.wrap(der.SEQUENCE, algorithm + der.bits(short)))


@pytest.mark.parametrize("digest", [SHA224(), SHA256(), SHA384(), SHA512()])
def test_a_signature_is_the_key_s_or_it_is_not(digest: SHA224 | SHA256 | SHA384 | SHA512) -> None:
    for key in (KEY, OTHERS[0]):
        assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        good = x509.CertificateSigningRequestBuilder(NAME).sign(key, digest).public_bytes(Encoding.DER)
        assert parse_pkcs10(good).is_signed()
        assert not parse_pkcs10(good[:-1] + bytes((good[-1] ^ 1,))).is_signed()


def test_a_signature_s_algorithm_must_be_the_key_s() -> None:
    request = x509.CertificateSigningRequestBuilder(NAME).sign(OTHERS[0], SHA256()).public_bytes(Encoding.DER)
    signed, _, signature = der.parts(request)
    claimed = der.wrap(der.SEQUENCE, der.identifier("1.2.840.10045.4.3.2"))
    odd = parse_pkcs10(der.wrap(der.SEQUENCE, signed + claimed + signature))
    assert not odd.is_signed()


def test_kinds_of_keys_are_told_by_their_classes() -> None:
    assert [spec_of(key.public_key()) for key in (KEY, *OTHERS)] == [
        P256,
        KeySpec(algorithm=KeyAlgorithm.RSA, size=2048),
        KeySpec(algorithm=KeyAlgorithm.ECDSA, size=384),
        KeySpec(algorithm=KeyAlgorithm.ECDSA, size=521),
        KeySpec(algorithm=KeyAlgorithm.ED25519, size=256),
    ]
    for size in (44, 65, 87):
        spec = KeySpec(algorithm=KeyAlgorithm.ML_DSA, size=size)
        assert spec_of(generate(spec).public_key()) == spec
    unusual = (ec.generate_private_key(ec.SECP256K1()).public_key(), rsa.generate_private_key(65537, 1024).public_key())
    assert [spec_of(key) for key in (*unusual, object())] == [None] * 3
    assert [is_public_key(key) for key in (KEY.public_key(), *unusual, KEY, object())] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_several_kinds_of_names_in_a_request_keep_their_order() -> None:
    names = AlternativeNames(dns=("b.example", "a.example"), emails=("x@y.example",), uris=("spiffe://a/b",))
    request = load_csr(make_csr(KEY, subject=Subject(), names=names), source="request")
    assert see_request(request).names == names


@given(instant=st.datetimes(datetime(1950, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_date_is_written_as_strftime_writes_it(instant: datetime) -> None:
    form = "%y%m%d%H%M%SZ" if instant.year < 2050 else "%Y%m%d%H%M%SZ"
    assert der.content(der.time(instant)) == instant.strftime(form).encode()
