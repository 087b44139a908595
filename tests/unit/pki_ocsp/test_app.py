import asyncio
import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.ocsp.answers import Answer, read_answer
from groundplane.pki.ocsp.app import ResponderApp
from groundplane.pki.ocsp.identity import id_of
from groundplane.pki.ocsp.model import Request
from groundplane.pki.ocsp.request import make_request
from groundplane.pki.ocsp.sources import FileSource, Source
from tests.unit.pki_ocsp.samples import NOW, ca, leaf, responder, single

REQUEST = make_request([id_of(leaf().certificate.serial_number, ca().certificate)])


class Broken:
    """A source whose outside world is gone."""

    blocking = True

    def answer(self, request: Request, now: datetime) -> Answer | None:
        raise RuntimeError(f"{request.first.serial} at {now}: no database")


class Client:
    """One call of an application."""

    def __init__(self, source: Source, path: str = "/") -> None:
        self.lines: list[str] = []
        journal = Journal(write=self.lines.append, clock=lambda: NOW)
        self.app = ResponderApp(source, journal=journal, path=path, clock=lambda: NOW)

    def call(
        self, method: str, path: bytes = b"/", body: tuple[bytes, ...] = (b"",), headers: Mapping[bytes, bytes] = {}
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        messages = [{"type": "http.request", "body": part, "more_body": True} for part in body]
        messages[-1]["more_body"] = False
        sent: list[dict[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "raw_path": path, "headers": [*headers.items()]}
        asyncio.run(self.app(scope, receive, send))
        self.app.close()
        start, end = sent
        return start["status"], dict(start["headers"]), end["body"]


@pytest.fixture
def client() -> Client:
    return Client(FileSource([read_answer(responder().sign([single()], produced_at=NOW))]))


def test_a_request_in_parts_is_put_together(client: Client) -> None:
    status, headers, body = client.call("POST", body=(REQUEST[:9], REQUEST[9:20], REQUEST[20:]))
    assert status == 200
    assert read_answer(body)[0] == leaf().certificate.serial_number
    assert int(headers[b"content-length"]) == len(body)
    again, _, nothing = client.call("POST", body=(REQUEST,), headers={b"if-none-match": headers[b"etag"]})
    assert (again, nothing) == (304, b"")


def test_a_body_without_end_is_given_up(client: Client) -> None:
    status, headers, _ = client.call("POST", body=(b"x" * 40000,) * 50)
    assert status == 413
    assert headers[b"connection"] == b"close"


def test_what_is_not_found_is_logged_as_cfssl_does(client: Client) -> None:
    other = make_request([id_of(0xABC, ca().certificate)])
    assert client.call("POST", body=(other,))[2] == b"\x30\x03\x0a\x01\x06"
    assert "[INFO] No response found for request: serial abc, request body ME" in client.lines[0]


def test_a_source_that_fails_is_an_internal_error_and_no_traceback() -> None:
    client = Client(Broken())
    assert client.call("POST", body=(REQUEST,))[::2] == (500, b"\x30\x03\x0a\x01\x02")
    assert "Error retrieving response for request" in client.lines[0]
    assert "Traceback" not in "".join(client.lines)


def test_a_path_of_its_own_is_stripped_and_others_are_not_found() -> None:
    source = FileSource([read_answer(responder().sign([single()], produced_at=NOW))])
    client = Client(source, path="/ocsp/")
    text = base64.b64encode(REQUEST)
    assert client.call("GET", b"/ocsp/" + text)[0] == 200
    assert client.call("POST", b"/ocsp", (REQUEST,))[0] == 200
    assert client.call("GET", b"/" + text)[::2] == (404, b"404 page not found\n")
    assert client.call("GET", b"/ocspx/" + text)[0] == 404
