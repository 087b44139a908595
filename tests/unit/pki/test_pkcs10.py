"""Requests of other makers, as they come: what is odd and harmless is taken, damage is refused, nothing is lost."""

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki import der
from groundplane.pki.cfssl.csrinfo import request_info
from groundplane.pki.csr import see_request
from groundplane.pki.pkcs10 import (
    EXTENSION_REQUEST,
    CertificationRequest,
    alternative_names_in,
    basic_constraints_in,
    parse_pkcs10,
)

KEY = ec.generate_private_key(ec.SECP256R1())
SPKI = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
NOBODY = der.wrap(der.SEQUENCE, b"")
DNS = der.wrap(0x82, b"odd.example")
NAMES = der.wrap(der.SEQUENCE, DNS)


def extension(oid: str, value: bytes, *, flag: bytes = b"") -> bytes:
    return der.wrap(der.SEQUENCE, der.identifier(oid) + flag + der.wrap(der.OCTET_STRING, value))


def attribute(oid: str, *values: bytes) -> bytes:
    return der.wrap(der.SEQUENCE, der.identifier(oid) + der.wrap(der.SET, b"".join(values)))


def asking(*extensions: bytes) -> bytes:
    return attribute(EXTENSION_REQUEST, der.wrap(der.SEQUENCE, b"".join(extensions)))


def signed(attributes: bytes | None, *, version: int = 0, subject: bytes = NOBODY) -> bytes:
    last = b"" if attributes is None else der.wrap(0xA0, attributes)
    body = der.wrap(der.SEQUENCE, der.integer(version) + subject + SPKI + last)
    algorithm = der.wrap(der.SEQUENCE, der.identifier("1.2.840.10045.4.3.2"))
    return der.wrap(der.SEQUENCE, body + algorithm + der.bits(KEY.sign(body, ec.ECDSA(SHA256()))))


SECRET = attribute("1.2.840.113549.1.9.7", der.wrap(der.PRINTABLE, b"secret"))
WANTED = asking(extension("2.5.29.17", NAMES))


@pytest.mark.parametrize(
    "data",
    [
        signed(WANTED, version=2),
        signed(SECRET + WANTED),
        signed(WANTED + SECRET),
        signed(attribute("1.2.3") + WANTED),
        signed(WANTED + attribute(EXTENSION_REQUEST)),
        signed(WANTED + der.wrap(der.SEQUENCE, der.integer(5))),
        signed(WANTED + asking(extension("1.2.3", b"x"))),
    ],
    ids=["version", "before", "after", "empty attribute", "empty request", "no attribute", "two requests"],
)
def test_what_is_odd_and_harmless_is_taken(data: bytes) -> None:
    request = parse_pkcs10(data)
    assert request.is_signed()
    assert see_request(request).names.dns == ("odd.example",)


@pytest.mark.parametrize("attributes", [None, b""])
def test_a_request_may_ask_for_nothing(attributes: bytes | None) -> None:
    request = parse_pkcs10(signed(attributes))
    assert (request.extensions, request.attributes, see_request(request).extensions) == ((), (), ())
    assert request_info(request)["Attributes"] is None


@pytest.mark.parametrize(
    "data",
    [
        signed(WANTED) + b"\0",
        signed(WANTED + WANTED),
        signed(asking(extension("2.5.29.17", DNS))),
        signed(asking(extension("2.5.29.17", NAMES + b"\0"))),
        signed(asking(extension("2.5.29.17", der.wrap(der.SEQUENCE, der.wrap(0x82, b"\xff"))))),
        signed(asking(extension("2.5.29.17", der.wrap(der.SEQUENCE, der.wrap(0x87, b"12345"))))),
        signed(asking(der.wrap(der.SEQUENCE, der.identifier("1.2.3")))),
        signed(asking(extension("1.2.3", b"x", flag=der.integer(1)))),
        der.wrap(der.SEQUENCE, NOBODY),
        b"",
    ],
    ids=["rest", "twice", "no list", "more", "no text", "no address", "no value", "no flag", "empty", "nothing"],
)
def test_damage_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_pkcs10(data)


def test_its_extensions_are_kept_byte_for_byte() -> None:
    odd = [("2.5.29.15", b"\x03\x02\x00\x81"), ("2.5.29.32", b"garbage"), ("1.3.6.1.5.5.7.1.24", b"")]
    request = parse_pkcs10(signed(asking(*(extension(oid, value, flag=der.TRUE) for oid, value in odd))))
    assert [(each.oid, each.value, each.critical) for each in request.extensions] == [(*one, True) for one in odd]
    assert see_request(request).extensions == request.extensions


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"\x30\x00", (False, None)),
        (b"\x30\x03\x01\x01\xff", (True, None)),
        (b"\x30\x06\x01\x01\xff\x02\x01\x00", (True, 0)),
        (b"\x30\x06\x01\x01\x00\x02\x01\x05", (False, 5)),
        (b"\x30\x03\x02\x01\x03", (False, 3)),
    ],
)
def test_basic_constraints(value: bytes, found: tuple[bool, int | None]) -> None:
    assert basic_constraints_in(value) == found
    seen = see_request(parse_pkcs10(signed(asking(extension("2.5.29.19", value)))))
    assert (seen.wants_ca, seen.path_length) == (found[0], found[1] if found[0] else None)


@pytest.mark.parametrize("text", ["", "0500", "30020500", "300000", "3006020105020105"])
def test_bad_basic_constraints_make_a_bad_request(text: str) -> None:
    request = parse_pkcs10(signed(asking(extension("2.5.29.19", bytes.fromhex(text)))))
    with pytest.raises(Invalid, match="cannot be understood"):
        see_request(request)
    assert request_info(request)["Extensions"]  # shown all the same


def test_names_by_kind() -> None:
    parts = [(0x82, b"b"), (0x81, b"m@x"), (0x82, b""), (0x86, b"u:"), (0x87, bytes(16)), (0x87, bytes(4)), (0xA4, b"")]
    names = alternative_names_in(der.wrap(der.SEQUENCE, b"".join(der.wrap(tag, value) for tag, value in parts)))
    assert (names.dns, names.emails, names.uris) == (("b", ""), ("m@x",), ("u:",))
    assert list(map(str, names.ips)) == ["::", "0.0.0.0"]


@given(at=st.integers(0, 400), to=st.integers(0, 255))
def test_a_byte_that_changed_is_noticed_or_nothing_changed(at: int, to: int) -> None:
    data = bytearray(signed(SECRET + WANTED))
    at %= len(data)
    before, data[at] = data[at], to
    try:
        request: CertificationRequest = parse_pkcs10(bytes(data))
        good = request.is_signed()
    except (ValueError, UnsupportedAlgorithm):
        return
    assert not good or before == to
