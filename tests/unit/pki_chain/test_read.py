import base64
import time

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, pkcs12
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.errors import GroundplaneError
from groundplane.pki.chain.read import Unreadable, read_every_pem, read_material, read_one, read_pem
from groundplane.pki.pem import pem_blocks
from tests.unit.pki_chain.workshop import cut, made

ROOT = made("root", ca=True)
LEAF = made("leaf.example", issuer=ROOT, hosts=("leaf.example",))


def test_certificates_come_in_the_files_order_with_text_between() -> None:
    found = read_pem(b"before\n" + LEAF.pem + b"between\n" + ROOT.pem + b"\n \n", source="x")
    assert [it.title for it in found] == ["leaf.example", "root"]


@pytest.mark.parametrize(("data", "found"), [(LEAF.pem + b"x", False), (b"text", False), (b"", False)])
def test_what_is_no_certificate_is_told_from_what_is_broken(data: bytes, *, found: bool) -> None:
    with pytest.raises(Unreadable) as bad:
        read_material(data, source="x")
    assert bad.value.found is found
    broken = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
    with pytest.raises(Unreadable) as bad:
        read_material(broken, source="x")
    assert bad.value.found


def test_der_and_key_stores_are_read() -> None:
    assert read_one(LEAF.der, source="x").title == "leaf.example"
    for lock, password in ((BestAvailableEncryption(b"pw"), "pw"), (NoEncryption(), "")):
        store = pkcs12.serialize_key_and_certificates(b"n", LEAF.key, LEAF.certificate, [ROOT.certificate], lock)
        material = read_material(store, source="x", password=password)
        assert [it.title for it in material.certificates] == ["leaf.example", "root"]
        assert material.key is not None
        with pytest.raises(Unreadable):
            read_material(store, source="x", password="wrong", key_stores=bool(password))


def test_white_space_around_der_is_borne_and_its_own_last_byte_kept() -> None:
    for it in (LEAF, cut("spaced", issuer=ROOT), cut("by itself")):
        for data in (it.der, it.der + b" \n", b"\r\n" + it.der):
            assert read_one(data, source="x").certificate == it.certificate
    for data in (LEAF.der[:-1], LEAF.der + b"\0", b"0\x80 ", b"0", b"0\x84"):
        with pytest.raises(Unreadable):
            read_one(data, source="x")


def test_two_are_not_one() -> None:
    with pytest.raises(Unreadable, match="2 certificates"):
        read_one(LEAF.pem + ROOT.pem, source="x")


def test_a_store_of_roots_loses_only_what_is_broken() -> None:
    data = ROOT.pem + b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n" + LEAF.pem
    assert [it.title for it in read_every_pem(data)] == ["root", "leaf.example"]


def test_headers_other_labels_and_line_ends_are_borne() -> None:
    body = base64.b64encode(b"content")
    for text in (
        b"-----BEGIN X Y-----\nProc: a\nDek: b\n\n" + body + b"\n-----END X Y-----",
        b"junk\r\n-----BEGIN X Y-----\r\n" + body + b"\r\n-----END X Y-----\r\n",
        b"-----BEGIN Z-----\n" + body + b"\n-----END X-----\n-----BEGIN X Y-----\n" + body + b"\n-----END X Y-----\n",
    ):
        assert [(block.label, block.content) for block in pem_blocks(text)] == [("X Y", b"content")]


@pytest.mark.parametrize(
    "unit",
    [
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN A-----\nAAAA\n-----END B-----\n",
        b"-----BEGIN ",
        b"-----END X-----\n-----BEGIN X-----\n",
        b"\n-----BEGIN X",
    ],
)
def test_a_hostile_megabyte_takes_no_longer_than_a_good_one(unit: bytes) -> None:
    start = time.process_time()
    assert not any(block.content for block in pem_blocks(unit * (1_000_000 // len(unit))))
    assert time.process_time() - start < 2


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_refused_in_order(data: bytes) -> None:
    for it in (
        data,
        b"0\x82" + data,
        b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(data) + b"\n-----END CERTIFICATE-----\n",
    ):
        with pytest.raises(GroundplaneError):
            read_material(it, source="x", password="0")


@given(place=st.integers(0, len(LEAF.der) - 1), change=st.integers(1, 255), cut=st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_damaged_certificate_is_read_or_refused(place: int, change: int, *, cut: bool) -> None:
    der = bytearray(LEAF.der)
    der[place] ^= change
    try:
        found = read_material(bytes(der[:place] if cut else der), source="x")
    except GroundplaneError:
        return
    assert found.certificates
