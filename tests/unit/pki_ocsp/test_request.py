import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki.ocsp.identity import id_of
from groundplane.pki.ocsp.model import MAX_ASKED, MAX_REQUEST_BYTES, CertificateID, Digest
from groundplane.pki.ocsp.request import make_request, parse_request
from tests.unit.pki_ocsp.samples import ca, leaf

IDS = st.builds(
    CertificateID,
    st.sampled_from(Digest),
    st.binary(max_size=64),
    st.binary(max_size=64),
    st.integers(min_value=-(2**200), max_value=2**200),
)
HASHES = {Digest.SHA1: hashes.SHA1(), Digest.SHA256: hashes.SHA256(), Digest.SHA512: hashes.SHA512()}


@pytest.mark.parametrize("digest", HASHES)
def test_another_librarys_request_is_read_with_its_nonce(digest: Digest) -> None:
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf().certificate, ca().certificate, HASHES[digest])
    data = builder.add_extension(x509.OCSPNonce(b"n" * 16), critical=False).build().public_bytes(Encoding.DER)
    found = parse_request(data)
    assert found.asked == (id_of(leaf().certificate.serial_number, ca().certificate, digest),)
    assert found.nonce == b"\x04\x10" + b"n" * 16


def test_our_request_is_read_by_another_library() -> None:
    asked = id_of(leaf().certificate.serial_number, ca().certificate, Digest.SHA256)
    read = ocsp.load_der_ocsp_request(make_request([asked], nonce=b"once"))
    assert (read.serial_number, read.issuer_name_hash, read.issuer_key_hash) == (
        asked.serial,
        asked.name_hash,
        asked.key_hash,
    )
    assert read.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"once"


@given(st.lists(IDS, min_size=1, max_size=MAX_ASKED), st.none() | st.binary(min_size=1, max_size=32))
def test_what_is_written_is_read_again(asked: list[CertificateID], nonce: bytes | None) -> None:
    found = parse_request(make_request(asked, nonce=nonce))
    assert found.asked == tuple(asked)
    assert (found.nonce is None) == (nonce is None)
    assert nonce is None or found.nonce == bytes((4, len(nonce))) + nonce


@given(st.binary(max_size=300))
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        assert parse_request(data).asked
    except Invalid:
        pass  # the other thing that may happen


@given(st.data())
def test_a_damaged_request_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(make_request([id_of(5, ca().certificate)] * 2, nonce=b"0123456789abcdef"))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    try:
        assert parse_request(bytes(whole[:cut])).asked
    except Invalid:
        pass  # the other thing that may happen


def test_a_requestor_and_a_signature_are_passed_over() -> None:
    plain = make_request([id_of(5, ca().certificate)])
    # version 0 said aloud, a requestor's name, and a signature behind
    inner = plain[4 if plain[1] & 0x80 else 2 :]
    inner = inner[4 if inner[1] & 0x80 else 2 :]
    prefix = bytes.fromhex("a003020100") + bytes.fromhex("a104820278 79".replace(" ", ""))
    content = prefix + inner
    tbs = (
        b"\x30" + bytes((len(content),)) + content
        if len(content) < 128
        else b"\x30\x81" + bytes((len(content),)) + content
    )
    tail = bytes.fromhex("a0023000")
    body = tbs + tail
    whole = b"\x30\x81" + bytes((len(body),)) + body if len(body) > 127 else b"\x30" + bytes((len(body),)) + body
    assert parse_request(whole).first.serial == 5


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cut off"),
        (b"\x30\x00", "no request"),
        (b"\x30\x02\x30\x00", "no list"),
        (b"\x30\x04\x30\x02\x30\x00", "nothing"),
        (b"\x30\x80\x00\x00", "length"),
        (b"\x30\x81\x01\x00", "too many octets"),
        (b"\x30\x85\x01\x00\x00\x00\x00", "impossible length"),
        (b"\x3f\x81\x01\x00", "several octets"),
        (make_request([CertificateID(Digest.SHA1, b"", b"", 5)]) + b"\x00", "more follows"),
        (make_request([CertificateID(Digest.SHA1, b"", b"", 5)] * (MAX_ASKED + 1)), "more than 32"),
        (make_request([CertificateID(Digest.SHA1, b"", b"", 1 << 1100)]), "huge number"),
        (make_request([CertificateID(Digest.SHA1, b"", b"", 5)], nonce=b"x" * 200), "huge nonce"),
        (make_request([CertificateID(Digest.SHA1, b"x" * MAX_REQUEST_BYTES, b"", 5)]), "more than 65536"),
        (make_request([CertificateID(Digest.SHA1, b"", b"", 5)]).replace(b"\x2b\x0e", b"\x2b\x0f"), "unknown digest"),
    ],
)
def test_what_is_no_request_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        parse_request(data)
