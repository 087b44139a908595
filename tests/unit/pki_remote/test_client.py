"""The client against servers that answer well, badly, slowly or not at all: always an error of CFSSL's, and soon."""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest

from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.remote import post as posting
from groundplane.pki.remote.client import Client, open_client

Serve = Callable[[socket.socket, bytes], None]
OK = '{"success":true,"result":{"certificate":"PEM"},"errors":[],"messages":[]}'


def read(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(4096)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(4096)
    return head + b"\r\n\r\n" + body


@contextmanager
def server(answer: Serve, *, reading: bool = True) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        answer(connection, read(connection) if reading else connection.recv(1))
                    except OSError:
                        continue

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def says(body: str, status: str = "200 OK") -> Serve:
    data = body.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    return lambda connection, _: connection.sendall(head + data)


def client(addresses: str, log: list[str] | None = None, *, within: float = 5) -> Client:
    lines = [] if log is None else log
    journal = Journal(write=lines.append, clock=datetime.now)
    return open_client(addresses, tls=ssl.create_default_context, journal=journal, within=within)


def refusal(answer: Serve, *, within: float = 5) -> str:
    with server(answer) as address, pytest.raises(CfsslError) as refused:
        client(address, within=within).sign(b"{}")
    return str(refused.value)


def test_a_certificate_comes_back() -> None:
    with server(says(OK)) as address:
        assert client(address).sign(b"{}") == "PEM"


def test_the_request_is_sent_as_it_is_and_with_a_token_if_there_is_a_key() -> None:
    asked: list[bytes] = []

    def answer(connection: socket.socket, data: bytes) -> None:
        asked.append(data)
        says(OK)(connection, data)

    with server(answer) as address:
        client(address).sign(b'{"a":1}')
        client(address).sign(b'{"a":1}', key=b"key")
    assert asked[0].startswith(b"POST /api/v1/cfssl/sign HTTP/1.1\r\n")
    assert b"\r\nHost: " + address.encode() + b"\r\n" in asked[0]
    assert asked[0].endswith(b'\r\n\r\n{"a":1}')
    assert asked[1].startswith(b"POST /api/v1/cfssl/authsign ")
    sealed = json.loads(asked[1].partition(b"\r\n\r\n")[2])
    assert list(sealed) == ["timestamp", "token", "request"]
    assert base64.b64decode(sealed["request"]) == b'{"a":1}'
    assert base64.b64decode(sealed["token"]) == hmac.digest(b"key", b'{"a":1}', hashlib.sha256)
    assert abs(sealed["timestamp"] - time.time()) < 60


def test_the_next_server_is_asked_when_one_fails_and_the_last_one_s_word_counts() -> None:
    with server(says("first", "500 X")) as bad, server(says(OK)) as good, server(says("last", "500 X")) as last:
        assert client(f"127.0.0.1:1,{bad},{good}").sign(b"{}") == "PEM"
        with pytest.raises(CfsslError, match='"message":"last"'):
            client(f"{bad},{last}").sign(b"{}")


def test_what_a_server_refuses_is_passed_on_and_logged() -> None:
    log: list[str] = []
    with server(says('{"x":1}\n', "400 Bad Request")) as address, pytest.raises(CfsslError) as refused:
        client(address, log).sign(b"{}")
    assert str(refused.value) == '{"code":7400,"message":"{\\"x\\":1}\\n"}'
    assert log[0].endswith(f"[ERROR] http error with http://{address}/api/v1/cfssl/sign\n")


def test_a_redirection_is_not_followed() -> None:
    with server(says(OK)) as there:

        def moved(connection: socket.socket, _: bytes) -> None:
            connection.sendall(f"HTTP/1.1 307 T\r\nLocation: http://{there}/\r\nContent-Length: 0\r\n\r\n".encode())

        assert refusal(moved) == '{"code":7400,"message":"API client HTTP error"}'


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("", '{"code":7200,"message":"unexpected end of JSON input"}'),
        ("[]", '{"code":7200,'),
        ("{", '{"code":7200,'),
        ("[" * 100_000, '{"code":7200,'),
        ("{}", '{"code":7500,"message":"API client error: Server request failed"}'),
        ('{"success":true}', '{"code":7500,'),
        ('{"success":false,"errors":[{"code":1,"message":"why"}]}', '{"code":7500,"message":"why"}'),
        ('{"success":"yes","result":{}}', '{"code":7500,'),
        ('{"success":true,"result":[]}', '{"code":7400,"message":"response is formatted improperly"}'),
        ('{"success":true,"result":{}}', '{"code":7400,"message":"response doesn\'t contain certificate."}'),
        ('{"success":true,"result":{"certificate":5}}', '{"code":7400,'),
        ('{"success":true,"result":{"certificate":1e999}}', "json: cannot unmarshal"),
        ("\xff\x00", '{"code":7200,'),
    ],
)
def test_answers_that_make_no_sense_are_errors(body: str, wanted: str) -> None:
    assert refusal(says(body)).startswith(wanted)


def test_a_server_that_is_not_there_or_goes_away() -> None:
    with pytest.raises(CfsslError, match=r"dial tcp 127.0.0.1:1: connect: connection refused"):
        client("127.0.0.1:1").sign(b"{}")
    with pytest.raises(CfsslError, match="lookup nosuch"):
        client("nosuch.invalid").sign(b"{}")
    assert ": EOF" in refusal(lambda connection, _: connection.close())
    assert "malformed HTTP response" in refusal(lambda connection, _: connection.sendall(b"hello\r\n\r\n"))
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"
    assert refusal(lambda connection, _: connection.sendall(whole)).startswith('{"code":7300,')
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    assert refusal(lambda connection, _: connection.sendall(chunks)).startswith('{"code":7300,')
    lines = b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"\r\n"
    assert refusal(lambda connection, _: connection.sendall(lines)).startswith('{"code":7400,')


def test_plain_http_where_tls_was_meant_is_said_as_go_says_it() -> None:
    with (
        server(says(OK, "400 Bad Request"), reading=False) as address,
        pytest.raises(CfsslError, match="http: server gave HTTP response to HTTPS client"),
    ):
        client(f"https://{address}", within=3).sign(b"{}")


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"])
def test_a_server_that_drips_gains_no_time(part: bytes) -> None:
    def drip(connection: socket.socket, _: bytes) -> None:
        connection.sendall(part or b"HTTP/1.1 200 OK\r\nX: ")
        for _turn in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    began = time.monotonic()
    assert refusal(drip, within=0.4).startswith('{"code":7')
    assert time.monotonic() - began < 3


def test_an_endless_answer_ends() -> None:
    def flood(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b" " * 65536)

    assert posting.LARGEST == 4 << 20
    assert "larger than 4194304 bytes" in refusal(flood)
