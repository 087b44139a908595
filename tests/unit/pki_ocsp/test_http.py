import base64
import hashlib
from datetime import timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki.ocsp import http
from groundplane.pki.ocsp.answers import Answer, read_answer
from groundplane.pki.ocsp.http import Unreadable, find_request, reply_of
from groundplane.pki.ocsp.identity import id_of
from groundplane.pki.ocsp.model import Digest
from groundplane.pki.ocsp.request import make_request
from tests.unit.pki_ocsp.samples import HOUR, NOW, ca, responder, single

ASKED = id_of(5, ca().certificate)
REQUEST = make_request([ASKED])


def answer() -> Answer:
    return read_answer(responder().sign([single()], produced_at=NOW))[1]


def status_of(method: str, rest: bytes = b"", body: bytes = b"") -> tuple[int, bytes]:
    with pytest.raises(Unreadable) as refused:
        find_request(method, rest, body)
    return refused.value.reply.status, refused.value.reply.body


def headers_of(reply: http.Reply) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in reply.headers}


@given(st.integers(0, 2**160), st.sampled_from(Digest), st.sampled_from([0, 1, 2]), st.sampled_from([b"", b"/"]))
def test_a_path_brings_its_request_however_often_it_is_encoded(
    serial: int, digest: Digest, times: int, slash: bytes
) -> None:
    data = make_request([id_of(serial, ca().certificate, digest)])
    text = base64.b64encode(data).decode()
    for _ in range(times):
        text = quote(text, safe="")
    found, request = find_request("GET", slash + text.encode(), b"")
    assert found == data
    assert request.first.serial == serial


def test_a_plus_that_became_a_blank_is_a_plus_again() -> None:
    serial = next(n for n in range(1000, 10**6) if b"+" in base64.b64encode(make_request([id_of(n, ca().certificate)])))
    data = make_request([id_of(serial, ca().certificate)])
    assert find_request("GET", base64.b64encode(data).replace(b"+", b"%20"), b"")[0] == data


def test_each_refusal_has_its_status_and_body() -> None:
    assert status_of("POST", body=b"xx") == (400, b"\x30\x03\x0a\x01\x01")
    assert status_of("POST") == (400, b"\x30\x03\x0a\x01\x01")
    assert status_of("GET") == (400, b"\x30\x03\x0a\x01\x01")
    assert status_of("GET", b"AAAA") == (400, b"\x30\x03\x0a\x01\x01")
    assert status_of("GET", b"AAA") == (400, b"")
    assert status_of("GET", b"a%25zz") == (400, b"")
    assert status_of("GET", "é".encode()) == (400, b"")
    assert status_of("HEAD") == (405, b"")
    assert status_of("PUT", body=REQUEST) == (405, b"")
    assert status_of("GET", b"A" * 200000) == (413, b"")
    assert status_of("POST", body=b"A" * 70000) == (413, b"")


def test_an_answer_is_cached_until_it_is_due() -> None:
    it = answer()
    reply = reply_of(it, if_none_match=b"", now=NOW + timedelta(minutes=10))
    assert reply.status == 200
    assert reply.body == it.body
    assert headers_of(reply) == {
        "cache-control": "max-age=2999, public, no-transform, must-revalidate",
        "content-type": "application/ocsp-response",
        "etag": f'"{hashlib.sha256(it.body).hexdigest().upper()}"',
        "expires": "Wed, 04 Mar 2026 11:20:29 UTC",
        "last-modified": "Wed, 04 Mar 2026 10:20:29 UTC",
    }


def test_a_stale_answer_is_given_and_not_cached() -> None:
    reply = reply_of(answer(), if_none_match=b"", now=NOW + 2 * HOUR)
    assert headers_of(reply)["cache-control"] == "max-age=0, public, no-transform, must-revalidate"


def test_who_has_the_answer_is_told_so_if_its_tag_is_the_same() -> None:
    it = answer()
    same = reply_of(it, if_none_match=it.etag, now=NOW)
    assert (same.status, same.body) == (304, b"")
    assert "content-type" not in headers_of(same)
    assert headers_of(same)["etag"] == it.etag.decode()
    assert reply_of(it, if_none_match=it.etag.lower(), now=NOW).status == 200


def test_nothing_is_said_of_what_is_not_known() -> None:
    reply = reply_of(None, if_none_match=b"", now=NOW)
    assert (reply.status, reply.body) == (200, b"\x30\x03\x0a\x01\x06")
    assert headers_of(reply)["cache-control"] == "max-age=0, no-cache"


@given(st.sampled_from(["GET", "POST", "HEAD", "DELETE"]), st.binary(max_size=200), st.binary(max_size=200))
def test_whatever_comes_is_a_request_or_has_a_reply(method: str, rest: bytes, body: bytes) -> None:
    try:
        status = 200 if find_request(method, rest, body)[1].asked else 0
    except Unreadable as bad:
        status = bad.reply.status
    assert status in {200, 400, 405}
