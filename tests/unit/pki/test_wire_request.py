"""CFSSL's CSR JSON is read verbatim; weak keys and names that no certificate can hold are refused."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki.model import (
    P256,
    CASection,
    KeyAlgorithm,
    KeySpec,
)
from groundplane.pki.wire import parse_request
from tests.unit.pki.samples import CA, ETCD, HOSTS, request


def test_a_cluster_s_requests_are_read_as_they_stand() -> None:
    ca, etcd = request(CA), request()
    assert ca.ca == CASection(expiry=timedelta(hours=876000))
    assert ca.key == KeySpec(algorithm=KeyAlgorithm.RSA, size=4096)
    assert (etcd.common_name, etcd.hosts, etcd.ca) == ("etcd", tuple(HOSTS), None)
    assert etcd.names[0].organizational_unit == "line1"


@pytest.mark.parametrize(
    ("key", "spec"),
    [
        (None, P256),
        ({}, P256),
        ({"size": 384}, KeySpec(algorithm=KeyAlgorithm.ECDSA, size=384)),
        ({"algo": "ed25519", "size": 7}, KeySpec(algorithm=KeyAlgorithm.ED25519, size=256)),
        ({"algo": "rsa", "size": 8192}, KeySpec(algorithm=KeyAlgorithm.RSA, size=8192)),
    ],
)
def test_keys_merge_over_cfssl_s_default(key: object, spec: KeySpec) -> None:
    assert request({"CN": "x", "key": key}).key == spec


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"key": {"algo": "rsa", "size": 1024}}, "key.size: an RSA key of 1024 bits is too weak; use"),
        ({"key": {"algo": "rsa", "size": 16384}}, "too large"),
        ({"key": {"algo": "rsa"}}, 'an RSA key needs a size (CFSSL takes 256 bits, and refuses it); add "size": 2048'),
        ({"key": {"algo": "ecdsa", "size": 255}}, "there is no curve of 255 bits; use 256, 384 or 521"),
        ({"key": {"algo": "RSA", "size": 2048}}, "unknown algorithm 'RSA'; did you mean 'rsa'?"),
        ({"hosts": [""]}, "hosts[0]: an empty host is no name"),
        ({"hosts": ["a", "b c"]}, "hosts[1]: 'b c' has white space"),
        ({"hosts": ["bücher.example"]}, "write the ASCII form"),
        ({"host": ["a"]}, "host: unknown field; did you mean 'hosts'?"),
        ({"names": [{"OID": {"1.x": "v"}}]}, "this is no object identifier"),
        ({"ca": {"expiry": "5y"}}, "ca.expiry: unknown unit 'y' in duration '5y'; write 43800h"),
        ({"ca": {"pathlen": -1}}, "-1 is no path length"),
        ({"CN": "\x00"}, "NUL"),
        ({"CN": "a", "cn": "b"}, "given twice"),
    ],
)
def test_what_is_wrong_is_refused(document: object, told: str) -> None:
    with pytest.raises(Invalid) as caught:
        request(document)
    assert str(caught.value).startswith("csr.json: ")
    assert told in str(caught.value)


def test_a_path_length_of_zero_must_be_said_twice() -> None:
    assert request({"CN": "x", "ca": {"pathlen": 0}}).ca == CASection()
    assert request({"CN": "x", "ca": {"pathlen": 0, "pathlenzero": True}}).ca == CASection(path_length=0)
    assert request({"CN": "x", "ca": {"pathlen": 2, "pathlenzero": True}}).ca == CASection(path_length=2)


def test_without_strictness_an_empty_host_stays() -> None:
    assert request({"hosts": [""]}, strict=False).hosts == ("",)


@given(st.binary(max_size=200))
def test_only_invalid_escapes_for_any_bytes(data: bytes) -> None:
    try:
        parse_request(data, source="p")
    except Invalid:
        pass  # refusing is an answer


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000, b"1e999999", b" " * (1 << 21), b"\xef\xbb\xbf{}"]
)
def test_hostile_files_are_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        parse_request(data, source="p")


@given(
    hosts=st.lists(st.text(max_size=12), max_size=4),
    name=st.dictionaries(st.sampled_from(["C", "O", "OID"]), st.text()),
)
def test_only_invalid_escapes_for_any_names(hosts: list[str], name: dict[str, str]) -> None:
    try:
        request({"hosts": hosts, "names": [name]})
    except Invalid:
        pass  # refusing is an answer


@given(st.data())
def test_only_invalid_escapes_for_a_damaged_file(data: st.DataObject) -> None:
    text = json.dumps({**ETCD, "ca": {"expiry": "1h"}}).encode()
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(at, min(len(text), at + 5)))
    try:
        parse_request(text[:at] + data.draw(st.binary(max_size=5)) + text[cut:], source="p")
    except Invalid:
        pass  # refusing is an answer
