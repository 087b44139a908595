"""Extensions of other makers: one that is odd hides neither the others nor itself; what decides has to be right."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki import der
from groundplane.pki.chain.link import link_of
from groundplane.pki.extensions import authority_key_octets, extension_in, extensions_of, raw_extensions
from groundplane.pki.name import OID
from groundplane.pki.renewal.reissue import reissue
from groundplane.pki.seen import see
from groundplane.pki.signer import LocalSigner

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "odd")])
START = datetime.now(UTC).replace(microsecond=0)
DNS = der.wrap(0x82, b"odd.example")
NOTICE = der.wrap(der.SEQUENCE, der.wrap(0x1A, b"100 \xff"))  # a VisibleString with what no display shows
POLICIES = der.wrap(
    der.SEQUENCE,
    der.wrap(
        der.SEQUENCE,
        der.identifier("1.2.3.4")
        + der.wrap(der.SEQUENCE, der.wrap(der.SEQUENCE, der.identifier("1.3.6.1.5.5.7.2.2") + NOTICE)),
    ),
)
ODD = {
    ExtensionOID.CERTIFICATE_POLICIES: POLICIES,
    ExtensionOID.BASIC_CONSTRAINTS: der.wrap(der.SEQUENCE, der.integer(0)),
    ExtensionOID.KEY_USAGE: bytes.fromhex("03020081"),
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: der.wrap(der.SEQUENCE, der.wrap(0x80, b"key") + der.wrap(0xA1, DNS)),
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME: der.wrap(
        der.SEQUENCE, der.wrap(0xA3, b"") + DNS + der.wrap(0xA5, b"") + der.wrap(0x87, bytes(4))
    ),
    ExtensionOID.TLS_FEATURE: b"garbage",
}
DECISIVE = {
    ExtensionOID.EXTENDED_KEY_USAGE: b"garbage",
    ExtensionOID.NAME_CONSTRAINTS: b"\x30\x01",
    ExtensionOID.BASIC_CONSTRAINTS: der.wrap(der.SEQUENCE, der.TRUE + der.wrap(der.UTF8, b"one")),
    ExtensionOID.KEY_USAGE: b"\x03\x02\x09\x80",
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME: der.wrap(der.SEQUENCE, der.wrap(0x87, bytes(5))),
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: b"\x30\x05",
    ExtensionOID.CERTIFICATE_POLICIES: b"\x30\x03\x30\x01\x06",
}


def certificate(extensions: dict[x509.ObjectIdentifier, bytes]) -> x509.Certificate:
    builder = x509.CertificateBuilder(NAME, NAME, KEY.public_key(), 5, START, START + timedelta(hours=1))
    for oid, value in extensions.items():
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=oid == ExtensionOID.KEY_USAGE)
    made = builder.sign(KEY, SHA256())
    return x509.load_der_x509_certificate(made.public_bytes(Encoding.DER))


def test_odd_ones_are_read_as_far_as_they_go() -> None:
    it = certificate(ODD)
    with pytest.raises(ValueError, match="parsing"):
        _ = it.extensions
    seen = see(it)
    assert [policy.oid for policy in seen.policies] == ["1.2.3.4"]
    assert (seen.is_ca, seen.path_length) == (False, None)
    assert [usage.name for usage in seen.key_usages] == ["DIGITAL_SIGNATURE"]
    assert (seen.names.dns, list(map(str, seen.names.ips))) == (("odd.example",), ["0.0.0.0"])
    assert authority_key_octets(it) == b"key"
    assert link_of(it).names == link_of(certificate({**ODD, ExtensionOID.TLS_FEATURE: b"\x30\x00"})).names
    found = extensions_of(it)
    assert [(each.oid, each.critical) for each in found] == [(oid, oid == ExtensionOID.KEY_USAGE) for oid in ODD]
    assert extension_in(found, x509.NameConstraints) is None


@pytest.mark.parametrize("oid", ODD, ids=lambda oid: oid._name)
def test_each_alone_is_read_too(oid: x509.ObjectIdentifier) -> None:
    it = certificate({oid: ODD[oid]})
    assert [(each.oid, each.value) for each in raw_extensions(it)] == [(oid.dotted_string, ODD[oid])]
    assert [each.oid for each in extensions_of(it)] == [oid]


@pytest.mark.parametrize("oid", DECISIVE, ids=lambda oid: oid._name)
def test_damage_in_what_decides_is_refused(oid: x509.ObjectIdentifier) -> None:
    it = certificate({oid: DECISIVE[oid]})
    with pytest.raises(ValueError, match=r"."):
        extensions_of(it)
    for read in (see, link_of):
        with pytest.raises(Invalid, match="cannot be understood"):
            read(it)


def test_an_extension_that_stands_twice_is_refused_beside_an_odd_one_too() -> None:
    """Else one reader would take it for a CA, and another not."""
    first, second = (der.wrap(der.SEQUENCE, flag) for flag in (b"", der.TRUE))
    twice = {ExtensionOID.TLS_FEATURE: b"garbage", ExtensionOID.BASIC_CONSTRAINTS: first}
    plain = certificate({**twice, x509.ObjectIdentifier("2.5.29.99"): second})
    one, other = (der.identifier(f"2.5.29.{number}") for number in (19, 99))
    it = x509.load_der_x509_certificate(plain.public_bytes(Encoding.DER).replace(other, one))
    assert [each.oid for each in raw_extensions(it)].count(OID("2.5.29.19")) == 2
    for read in (see, link_of):
        with pytest.raises(Invalid, match="cannot be understood"):
            read(it)


def test_a_renewed_certificate_has_them_byte_for_byte() -> None:
    old = certificate({oid: ODD[oid] for oid in (ExtensionOID.CERTIFICATE_POLICIES, ExtensionOID.TLS_FEATURE)})
    again = reissue(old, public_key=KEY.public_key(), issuer=None, signer=LocalSigner(KEY), now=START)
    kept = {each.oid: each.value for each in raw_extensions(again.certificate)}
    assert kept[OID("2.5.29.32")] == POLICIES
    assert kept[OID("1.3.6.1.5.5.7.1.24")] == b"garbage"


@given(oid=st.sampled_from([*ODD, *DECISIVE]), value=st.binary(max_size=60))
def test_whatever_is_in_one_is_a_refusal_at_most(oid: x509.ObjectIdentifier, value: bytes) -> None:
    it = certificate({oid: value})
    try:
        assert [each.oid for each in extensions_of(it)] == [oid]
    except ValueError:
        with pytest.raises(Invalid):
            see(it)
