"""OCSP judged by others: OpenSSL as the client, and CFSSL's own programs beside ours.

With an RSA key an answer has nothing random in it: ours and CFSSL's are the same, octet for octet, whenever both are
made within the same minute.
"""

import base64
import io
import itertools
import json
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509

from groundplane.cli.cfssl.main import main
from groundplane.pki.certdb import CertificateDatabase, authority_key_id_of, record_of
from groundplane.pki.certdb.config import read_database_config
from groundplane.pki.ocsp.identity import id_of
from groundplane.pki.ocsp.model import Digest
from groundplane.pki.ocsp.request import make_request
from tests.lab.databases import Server, mariadb, postgres  # noqa: F401 - fixtures
from tests.lab.ocsp_lab import NATIVE, NEWER, OURS, REAL, Serving, serving
from tests.unit.pki_ocsp.samples import NOW

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "cfssl.md"
CA = ("-ca", "ca.pem", "-responder", "ca.pem", "-responder-key", "ca-key.pem")
DELEGATE = ("-ca", "ca.pem", "-responder", "delegate.pem", "-responder-key", "delegate-key.pem")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CFSSL's own CA (RSA), a delegate of it, leaves, and another CA."""
    folder = tmp_path_factory.mktemp("base")
    profile = {"signing": {"default": {"usages": ["ocsp signing"], "expiry": "87h"}}}
    (folder / "ocsp.json").write_text(json.dumps(profile))
    signed = ("gencert", "-ca", "ca.pem", "-ca-key", "ca-key.pem")
    for name, argv, request in (
        ("ca", ("gencert", "-initca"), {"CN": "root", "names": [{"O": "X"}], "key": {"algo": "rsa", "size": 2048}}),
        ("other", ("gencert", "-initca"), {"CN": "other"}),
        ("delegate", (*signed, "-config", "ocsp.json"), {"CN": "delegate", "hosts": ["o"]}),
        ("leaf", signed, {"CN": "leaf", "hosts": ["a.example"]}),
        ("second", signed, {"CN": "second", "hosts": ["b.example"]}),
    ):
        made = subprocess.run(
            ("cfssl", *argv, "-"), cwd=folder, input=json.dumps(request).encode(), capture_output=True, check=True
        )
        subprocess.run(("cfssljson", "-bare", name), cwd=folder, input=made.stdout, check=True)
    return folder


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    log: str


def run(program: Sequence[str], *argv: str, at: Path) -> Done:
    if program is OURS:  # without the start of a process
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), chdir(at):
            code = main("cfssl", argv)
        return described(code, out.getvalue(), err.getvalue())
    done = subprocess.run((*program, *argv), cwd=at, capture_output=True, text=True, timeout=30, check=False)
    return described(done.returncode, done.stdout, done.stderr)


def described(code: int, out: str, log: str) -> Done:
    log = re.sub(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "", log)
    return Done(code, out, re.sub(r"^(invalid value.*?)\n.*", r"\1", log, flags=re.DOTALL))


def both(*argv: str, at: Path) -> tuple[Done, Done]:
    """The same call to both, within one minute."""
    while True:
        minute = time.time() // 60
        found = run(REAL, *argv, at=at), run(OURS, *argv, at=at)
        if time.time() // 60 == minute:
            return found


SIGNED: list[list[str]] = [
    [*CA, "-cert", "leaf.pem", *more]
    for more in (
        *([], ["-status", "unknown"], ["-interval", "5m"], ["-interval", "-5h"], ["-interval", "2400000h"]),
        *(
            ["-status", "revoked", "-revoked-at", "2020-02-29", "-reason", r]
            for r in ("", "1", "+3", "7", "KeyCompromise")
        ),
        *(["-status", "revoked", "-revoked-at", "2020-02-29", "-reason", r] for r in ("unspecified", "aACompromise")),
        *(["-status", "revoked", "-reason", "1", "-revoked-at", d] for d in ("x", "2020-13-01", "2020-02-30", "")),
        *(["-status", "revoked", "-reason", "1", "-revoked-at", d] for d in ("2020-2-1", "2020-02-01x", "0001-01-01")),
        *(["-status", "revoked", "-reason", r] for r in ("abc", "11", "-1", "1.5", "99999999999999999999")),
        *(["-status", "foo"], ["-status", ""], ["-status", "Good"], ["-interval", "5"], ["left over"]),
    )
] + [
    [],
    [*CA],
    [*CA, "-cert", "ca.pem"],
    [*CA, "-cert", "ca-key.pem"],
    [*CA, "-cert", "nofile"],
    ["-ca", "other.pem", *CA[2:], "-cert", "leaf.pem"],
    ["-ca", "leaf.pem", *CA[2:], "-cert", "leaf.pem"],
    ["-ca", "nofile", *CA[2:], "-cert", "leaf.pem"],
    ["-ca", "ca-key.pem", *CA[2:], "-cert", "leaf.pem"],
    ["-ca", "ca.pem", "-responder", "nofile", "-responder-key", "ca-key.pem", "-cert", "leaf.pem"],
    ["-ca", "ca.pem", "-responder", "ca.pem", "-responder-key", "nofile", "-cert", "leaf.pem"],
    ["-ca", "ca.pem", "-responder", "ca.pem", "-responder-key", "ca.pem", "-cert", "leaf.pem"],
    ["-ca", "ca.pem", "-responder", "ca.pem", "-responder-key", "ocsp.json", "-cert", "leaf.pem"],
    ["-ca", "ca.pem", "-responder", "ca.pem", "-key", "ca-key.pem", "-cert", "leaf.pem"],
]


@pytest.mark.parametrize("argv", SIGNED, ids=" ".join)
def test_ocspsign_is_cfssls_octet_for_octet(argv: list[str], base: Path) -> None:
    theirs, ours = both("ocspsign", *argv, at=base)
    assert ours == theirs


@pytest.mark.parametrize("reason", ["0", "10"])
def test_a_reason_that_cfssl_has_and_refuses_is_taken(reason: str, base: Path) -> None:
    theirs, ours = both("ocspsign", *CA, "-cert", "leaf.pem", "-status", "revoked", "-reason", reason, at=base)
    assert theirs.code == 1
    assert ours.code == 0
    assert "| the reasons 0, its own default, and 10 are 8200 |" in DOCUMENT.read_text()


def test_a_delegates_answer_is_believed_by_openssl(base: Path, tmp_path: Path) -> None:
    done = run(OURS, "ocspsign", *DELEGATE, "-cert", "leaf.pem", at=base)
    answer = base64.b64decode(json.loads(done.out)["ocspResponse"])
    (tmp_path / "answer.der").write_bytes(answer)
    argv = ("openssl", "ocsp", "-respin", str(tmp_path / "answer.der"), "-issuer", "ca.pem", "-cert", "leaf.pem")
    told = subprocess.run((*argv, "-CAfile", "ca.pem"), cwd=base, capture_output=True, text=True, check=True)
    assert "leaf.pem: good" in told.stdout
    assert "Response verify OK" in told.stderr


@pytest.mark.parametrize(
    "argv",
    [
        *(["ocsprefresh"], ["ocsprefresh", "-db-config", "x"], ["ocsprefresh", "-db-config", "x", "-responder", "y"]),
        ["ocsprefresh", "-db-config", "x", "-responder", "y", "-responder-key", "z"],
        ["ocsprefresh", "-db-config", "x", *CA],
        ["ocsprefresh", "-db-config", "ca.pem", *CA],
        ["ocsprefresh", "-db-config", "x", "-ca", "nofile", *CA[2:]],
        *(["ocspdump"], ["ocspdump", "-db-config", "x"], ["ocspdump", "-db-config", "ocsp.json"]),
        *(["ocspserve", "x"], ["ocspserve", "-responses", "nofile"], ["ocspserve", "-responses", "x", "y"]),
        ["ocspserve", "-responses", "/dev/null", "-port", "99999"],
        ["ocspserve", "-responses", "/dev/null", "-address", "198.51.100.1"],
    ],
    ids=" ".join,
)
def test_the_others_fail_as_cfssls_do(argv: list[str], base: Path) -> None:
    theirs, ours = both(*argv, at=base)
    assert ours == theirs


def certificate(base: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((base / f"{name}.pem").read_bytes())


def about(base: Path, name: str, digest: Digest = Digest.SHA1) -> bytes:
    return make_request([id_of(certificate(base, name).serial_number, certificate(base, "ca"), digest)])


@pytest.fixture(scope="module")
def responses(base: Path) -> Path:
    """A file with one answer, and much that is none."""
    good = json.loads(run(REAL, "ocspsign", *DELEGATE, "-cert", "leaf.pem", at=base).out)["ocspResponse"]
    path = base / "responses"
    path.write_text(f"\n{good}\tnotb64!\r\nMAMKAQY= AAA\n{good[:-8]}\n\n")
    return path


@pytest.fixture(scope="module")
def pair(base: Path, responses: Path) -> Iterator[tuple[Serving, Serving]]:
    argv = ("ocspserve", "-responses", responses.name)
    with serving(REAL, *argv, at=base) as theirs, serving(OURS, *argv, at=base) as ours:
        yield theirs, ours


def comparable(told: tuple[int, dict[str, str], bytes]) -> tuple[int, dict[str, str], bytes]:
    """Without what every server adds, or what changes by the second."""
    status, headers, body = told
    kept = {name: value for name, value in headers.items() if name not in {"date", "connection"}}
    kept["cache-control"] = re.sub(r"max-age=[1-9]\d+", "max-age=N", kept.get("cache-control", ""))
    return status, kept, body


def test_ocspserve_posts_as_cfssls(base: Path, pair: tuple[Serving, Serving]) -> None:
    asked = [
        about(base, "leaf"),
        about(base, "leaf", Digest.SHA256),
        about(base, "leaf", Digest.SHA512),
        about(base, "second"),
        make_request([id_of(1, certificate(base, "other")), id_of(2, certificate(base, "ca"))]),
        *(make_request([id_of(certificate(base, "leaf").serial_number, certificate(base, "other"))]),),
        *(make_request([id_of(n, certificate(base, "ca"))], nonce=b"n" * 16) for n in (0, 1, -1, 2**159, -(2**64))),
        *(b"", b"xx", b"\x30\x00", b"\x30\x80\x00\x00", b"\x00" * 100, b"\xff" * 3000),
        *(about(base, "leaf")[:cut] for cut in (1, 2, 5, 20, 60, 80)),
        about(base, "leaf") + b"\x00",
    ]
    for body in asked:
        told = [comparable(each.ask("POST", body=body)) for each in pair]
        assert told[1] == told[0], body.hex()
    assert comparable(pair[1].ask("POST", body=about(base, "leaf")))[0] == 200


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_verbs_are_refused_alike(method: str, pair: tuple[Serving, Serving]) -> None:
    assert comparable(pair[1].ask(method)) == comparable(pair[0].ask(method))


def test_who_has_the_answer_is_told_so_alike(base: Path, pair: tuple[Serving, Serving]) -> None:
    tag = pair[0].ask("POST", body=about(base, "leaf"))[1]["etag"]
    for value in (tag, tag.lower(), f"W/{tag}", "*", ""):
        told = [
            comparable(each.ask("POST", body=about(base, "leaf"), headers={"If-None-Match": value})) for each in pair
        ]
        assert told[1] == told[0]


def test_requests_in_the_path_are_answered(base: Path, pair: tuple[Serving, Serving]) -> None:
    """1.2.0 leaves the slash before the request, which is then no base64; 1.6.5 answers."""
    theirs, ours = pair
    data = next(
        made
        for n in itertools.count(1000)
        if (made := make_request([id_of(n, certificate(base, "ca"))])) and b"+" in base64.b64encode(made)
    )
    for body in (about(base, "leaf"), about(base, "second"), data):
        text = base64.b64encode(body).decode()
        wanted = comparable(ours.ask("POST", body=body))
        for path in (f"/{text}", f"/{quote(text, safe='')}", f"/{quote(quote(text, safe=''), safe='')}"):
            assert comparable(ours.ask("GET", path)) == wanted
            if NEWER:
                assert comparable(theirs.ask("GET", path)) == wanted
    for path in ("/a%25zz", "/AA", "/%C3%A9"):
        assert comparable(ours.ask("GET", path)) == comparable(theirs.ask("GET", path))
        assert ours.ask("GET", path)[0] == 400


def test_the_logs_begin_alike(pair: tuple[Serving, Serving]) -> None:
    logs = [re.sub(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "", each.log.read_text()) for each in pair]
    lines = [re.sub(r"(OCSP decode error (?!ocsp:)).* on:", r"\1on:", log).splitlines()[:7] for log in logs]
    ours = [line.replace(f":{pair[1].port}", ":PORT") for line in lines[1]]
    assert ours == [line.replace(f":{pair[0].port}", ":PORT") for line in lines[0]]
    assert ours[-1] == "[INFO] Now listening on 127.0.0.1:PORT"


def test_openssl_asks_ocspserve(base: Path, pair: tuple[Serving, Serving]) -> None:
    assert "leaf.pem: good" in openssl(base, pair[1].port, "leaf")


def openssl(base: Path, port: int, *names: str, more: tuple[str, ...] = (), path: str = "/") -> str:
    """What OpenSSL's client makes of the answer, having checked it."""
    certificates = [word for name in names for word in ("-cert", f"{name}.pem")]
    argv = ("openssl", "ocsp", *more, "-issuer", "ca.pem", *certificates, "-url", f"http://127.0.0.1:{port}{path}")
    done = subprocess.run(
        (*argv, "-CAfile", "ca.pem"), cwd=base, capture_output=True, text=True, check=True, timeout=20
    )
    assert "Response verify OK" in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(params=["sqlite3", "postgres", "mysql"])
def database(request: pytest.FixtureRequest, base: Path) -> Iterator[CertificateDatabase]:
    """A database with `leaf` in it, and its db-config in the base folder."""
    kind = request.param
    if kind == "sqlite3":
        written = {"driver": kind, "data_source": str(base / "certs.db")}
        (base / "certs.db").unlink(missing_ok=True)
    else:
        server: Server = request.getfixturevalue("postgres" if kind == "postgres" else "mariadb")
        made = server.new_database()
        written = {"driver": made.driver, "data_source": made.data_source}
    (base / "db.json").write_text(json.dumps(written))
    opened = CertificateDatabase.open(read_database_config((base / "db.json").read_bytes(), source="db"), migrate=True)
    opened.insert(record_of(certificate(base, "leaf"), now=NOW))
    yield opened
    opened.close()


def test_what_is_refreshed_is_dumped_and_served(base: Path, database: CertificateDatabase) -> None:
    leaf = certificate(base, "leaf")
    assert run(OURS, "ocsprefresh", "-db-config", "db.json", *CA, at=base) == Done(0, "", "")
    first = run(OURS, "ocspdump", "-db-config", "db.json", at=base)
    assert first.out.count("\n") == 1
    with serving(OURS, "ocspserve", "-db-config", "db.json", at=base) as ours:
        assert "leaf.pem: good" in openssl(base, ours.port, "leaf")
        assert ours.ask("POST", body=about(base, "second"))[2] == b"\x30\x03\x0a\x01\x06"
        database.revoke(leaf.serial_number, authority_key_id_of(leaf), reason=4, at=leaf.not_valid_before_utc)
        assert "leaf.pem: good" in openssl(base, ours.port, "leaf")  # that is how CFSSL's table works
        assert run(OURS, "ocsprefresh", "-db-config", "db.json", *CA, at=base).code == 0
        assert "Reason: superseded" in openssl(base, ours.port, "leaf")
    (base / "dumped").write_text(run(OURS, "ocspdump", "-db-config", "db.json", at=base).out)
    with serving(REAL, "ocspserve", "-responses", "dumped", at=base) as theirs:
        assert "leaf.pem: revoked" in openssl(base, theirs.port, "leaf")


def test_a_revocation_takes_effect_at_the_next_question(base: Path, database: CertificateDatabase) -> None:
    leaf = certificate(base, "leaf")
    argv = ("ocsp", "--db-config", "db.json", "--ca", "ca.pem", "--path", "/ocsp")
    delegated = ("--responder", "delegate.pem", "--responder-key", "delegate-key.pem")
    with serving(NATIVE, *argv, *delegated, at=base) as ours:
        for more in ((), ("-no_nonce",), ("-sha256",), ("-sha384", "-no_nonce"), ("-sha512",)):
            told = openssl(base, ours.port, "leaf", more=more, path="/ocsp")
            assert "leaf.pem: good" in told
            assert "WARNING: no nonce" not in told
        told = openssl(base, ours.port, "leaf", "second", path="/ocsp")
        assert "leaf.pem: good" in told
        assert "second.pem: unknown" in told
        database.insert(record_of(certificate(base, "second"), now=NOW))
        assert "second.pem: good" in openssl(base, ours.port, "second", path="/ocsp", more=("-no_nonce",))
        database.revoke(leaf.serial_number, authority_key_id_of(leaf), reason=1, at=leaf.not_valid_before_utc)
        for more in ((), ("-no_nonce",), ("-sha256", "-no_nonce")):
            assert "Reason: keyCompromise" in openssl(base, ours.port, "leaf", more=more, path="/ocsp")
        status, headers, _ = ours.ask("GET", f"/ocsp/{quote(base64.b64encode(about(base, 'leaf')), safe='')}")
        assert status == 200
        assert headers["cache-control"] == "max-age=60, public, no-transform, must-revalidate"
        other = make_request([id_of(5, certificate(base, "other"))])
        assert ours.ask("POST", "/ocsp", body=other)[2] == b"\x30\x03\x0a\x01\x06"


def test_a_database_that_is_gone_is_an_internal_error_and_good_again_when_it_is_back(
    base: Path,
    postgres: Server,  # noqa: F811 - the fixture
) -> None:
    made = postgres.new_database()
    (base / "db.json").write_text(json.dumps({"driver": made.driver, "data_source": made.data_source}))
    opened = CertificateDatabase.open(made, migrate=True)
    opened.insert(record_of(certificate(base, "leaf"), now=NOW))
    opened.close()
    argv = ("ocsp", "--db-config", "db.json", "--ca", "ca.pem", "--ca-key", "ca-key.pem")
    with serving(NATIVE, *argv, at=base) as ours:
        assert ours.ask("POST", body=about(base, "leaf"))[0] == 200
        postgres.kill()
        assert ours.ask("POST", body=about(base, "leaf"))[::2] == (500, b"\x30\x03\x0a\x01\x02")
        postgres.start()
        assert ours.ask("POST", body=about(base, "leaf"))[0] == 200
        assert "Traceback" not in ours.log.read_text()


def test_noise_at_the_door_is_refused_and_the_others_are_served(base: Path, pair: tuple[Serving, Serving]) -> None:
    ours, chance = pair[1], random.Random(6960)
    whole = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000000\r\n\r\n"
    noise = [chance.randbytes(chance.randrange(1, 3000)) for _ in range(20)]
    noise += [b"GET /" + b"A" * 300000, b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 50000, whole + b"0" * 100000]
    noise += [b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", b"\x16\x03\x01\x02\x00\x01"]
    for octets in noise:
        with socket.create_connection(("127.0.0.1", ours.port), timeout=20) as client:
            try:
                client.sendall(octets)
                client.shutdown(socket.SHUT_WR)
                told = client.recv(64)
            except OSError:
                continue  # cut off while it was still talking
            assert told == b"" or told.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")), octets[:80]
    assert ours.ask("POST", body=about(base, "leaf"))[0] == 200
    assert "Traceback" not in ours.log.read_text()


def test_the_files_are_read_anew_on_a_signal(base: Path, responses: Path, tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("")
    with serving(OURS, "ocspserve", "-responses", "answers", at=tmp_path) as ours:
        assert ours.ask("POST", body=about(base, "leaf"))[2] == b"\x30\x03\x0a\x01\x06"
        (tmp_path / "answers").write_text(responses.read_text())
        ours.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while ours.ask("POST", body=about(base, "leaf"))[2] == b"\x30\x03\x0a\x01\x06":
            assert time.monotonic() < end
            time.sleep(0.02)  # a signal has no answer


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("--ca-key", "other-key.pem"), 3, "the key is not that of the certificate"),
        (("--responder", "leaf.pem", "--responder-key", "leaf-key.pem"), 3, "does not allow OCSP signing"),
        (("--responder", "delegate.pem"), 3, "who signs the answers?"),
        ((), 3, "who signs the answers?"),
        (("--ca-key", "nofile"), 4, "nofile: cannot be read"),
        (("--ca-key", "ca-key.pem", "--interval", "1s"), 3, "good for 2m at least"),
        (("--ca-key", "ca-key.pem", "--address", "198.51.100.1"), 3, "cannot assign requested address"),
    ],
)
def test_a_responder_that_cannot_work_does_not_start(
    argv: tuple[str, ...], code: int, words: str, base: Path, tmp_path: Path
) -> None:
    (tmp_path / "db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": str(tmp_path / "certs.db")}))
    done = run(NATIVE, "ocsp", "--db-config", str(tmp_path / "db.json"), "--ca", "ca.pem", *argv, at=base)
    assert (done.code, words in done.log) == (code, True), done.log
    assert "Traceback" not in done.log
