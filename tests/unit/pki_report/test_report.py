"""What expires when: every place certificates hide in, how urgent each is, and what a script sees."""

import base64
import json
import os
import shutil
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st

from groundplane.cli.main import main
from groundplane.errors import Invalid
from groundplane.pki import Authority, Issued, parse_policy, parse_request
from groundplane.pki.certdb import read_database_config, record_of
from groundplane.pki.certdb.database import CertificateDatabase
from groundplane.pki.report.endpoint import in_endpoint, split
from groundplane.pki.report.find import LARGEST, in_bytes, in_path
from groundplane.pki.report.model import Found, Level, Thresholds, assess, gravest

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    made, _ = Authority.create_root(parse_request(b'{"CN":"root","ca":{"expiry":"87600h"}}', source="ca"), now=NOW)
    return made


def issue(authority: Authority, name: str, *, hours: int, now: datetime = NOW) -> Issued:
    text = json.dumps({"signing": {"default": {"expiry": f"{hours}h", "usages": ["server auth"]}}})
    policy = parse_policy(text.encode(), source="policy")
    request = parse_request(json.dumps({"CN": name, "hosts": ["localhost"]}).encode(), source=name)
    return authority.issue(request, policy.profile(""), now=now)


@pytest.fixture(scope="module")
def folder(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of each urgency, in each form."""
    top = tmp_path_factory.mktemp("pki")
    root = authority.certificate
    soon, ended = (
        issue(authority, "soon", hours=24 * 20),
        issue(authority, "ended", hours=1, now=NOW - timedelta(hours=3)),
    )
    critical = issue(authority, "critical", hours=24 * 3)
    (top / "ca.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (top / "deep").mkdir()
    (top / "deep/soon.pem").write_bytes(b"words before\n" + soon.certificate_pem + root.public_bytes(Encoding.PEM))
    (top / "deep/soon-key.pem").write_bytes(soon.key_pem)
    (top / "ended.der").write_bytes(x509.load_pem_x509_certificate(ended.certificate_pem).public_bytes(Encoding.DER))
    both = [x509.load_pem_x509_certificate(critical.certificate_pem), root]
    (top / "chain.p7b").write_bytes(pkcs7.serialize_certificates(both, Encoding.DER))
    (top / "notes.txt").write_text("no certificate here")
    (top / "admin.conf").write_text(kubeconfig(root.public_bytes(Encoding.PEM), "deep/soon.pem"))
    return top


def kubeconfig(ca: bytes, file: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"certificate-authority-data": base64.b64encode(ca).decode()}}],
            "users": [
                {"name": "admin", "user": {"client-certificate": file}},
                {"name": "odd", "user": {"client-certificate-data": "!!"}},
                {"name": "token", "user": {"token": "t"}},
            ],
        }
    )


def found_in(path: Path) -> dict[str, str]:
    names = {}
    for one in in_path(path):
        place = one.place.removeprefix(f"{path}/")
        names[place] = one.certificate.subject.common_name if one.certificate else f"! {one.trouble}"
    return names


def test_every_form_is_found_and_what_holds_none_is_passed_over(folder: Path) -> None:
    found = found_in(folder)
    assert {found.pop("chain.p7b#1"), found.pop("chain.p7b#2")} == {"critical", "root"}  # a SET, so in DER's order
    assert found == {
        "ca.pem": "root",
        "deep/soon.pem#1": "soon",
        "deep/soon.pem#2": "root",
        "ended.der": "ended",
        "admin.conf: clusters[c].certificate-authority-data": "root",
        "admin.conf: users[admin].client-certificate#1": "soon",
        "admin.conf: users[admin].client-certificate#2": "root",
        "admin.conf: users[odd].client-certificate-data": "! it is not base64: Only base64 data is allowed",
    }


def test_a_file_that_is_named_must_hold_one(folder: Path, tmp_path: Path) -> None:
    (found,) = in_path(folder / "notes.txt")
    assert found == Found(place=str(folder / "notes.txt"), trouble="there is no certificate in it")
    shutil.copy(folder / "ended.der", tmp_path / "no-suffix")
    assert found_in(tmp_path / "no-suffix") == {str(tmp_path / "no-suffix"): "ended"}


def test_damage_is_a_line_of_the_report(folder: Path) -> None:
    pem = (folder / "ca.pem").read_bytes().split(b"\n")
    pem[3] = pem[3][::-1]
    (one,) = in_bytes(b"\n".join(pem), place="x")
    assert one.certificate is None
    assert one.trouble == "the certificate is damaged: its DER cannot be read"


CUT = "! a certificate begins in it and does not end: it is cut off"


@pytest.mark.parametrize("keep", [28, 40, 200, -2, -10, -26])
def test_what_is_cut_off_is_told_of_also_in_a_directory(folder: Path, tmp_path: Path, keep: int) -> None:
    pem = (folder / "ca.pem").read_bytes()
    (tmp_path / "cut.pem").write_bytes(pem[:keep])
    (tmp_path / "chain.pem").write_bytes(pem[:keep] + b"\n" + pem)
    assert found_in(tmp_path) == {"cut.pem": CUT, "chain.pem#1": CUT, "chain.pem#2": "root"}
    assert found_in(tmp_path / "cut.pem") == {str(tmp_path / "cut.pem"): CUT}


def test_words_about_certificates_are_none(tmp_path: Path) -> None:
    (tmp_path / "look.sh").write_text("grep -q -- '-----BEGIN CERTIFICATE-----' \"$1\" && echo yes\n")
    (tmp_path / "look.py").write_text('if b"-----BEGIN CERTIFICATE-----\\n" in data:\n    pass\n')
    assert found_in(tmp_path) == {}


def test_an_empty_certificate_is_one_that_cannot_be_read(tmp_path: Path) -> None:
    for name in ("tls.crt", "notes"):
        (tmp_path / name).touch()
    assert found_in(tmp_path) == {"tls.crt": "! it is empty"}


def test_a_huge_file_is_told_of_if_it_is_named_or_begins_one(tmp_path: Path) -> None:
    (tmp_path / "huge.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\n" + b"A" * LARGEST)
    (tmp_path / "huge.log").write_bytes(b"A" * (LARGEST + 1))
    told = "! it has more than 8 MiB, and is not read"
    assert found_in(tmp_path) == {"huge.pem": told}
    assert list(found_in(tmp_path / "huge.log").values()) == [told]
    assert list(found_in(Path("/dev/zero")).values()) == [told]


def test_a_directory_that_is_closed_is_told_of(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(folder / "ca.pem", tmp_path / "ca.pem")
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert found_in(tmp_path) == {"ca.pem": "root", "closed": "! it cannot be read: permission denied"}


def test_a_kubeconfig_s_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "conf").write_text(kubeconfig(b"", "pipe"))
    assert found_in(tmp_path)["conf: users[admin].client-certificate"] == f"! there is no file {tmp_path}/pipe"


@given(st.binary(max_size=400), st.booleans())
def test_no_bytes_break_it(data: bytes, binary: bool) -> None:  # noqa: FBT001 - drawn
    for start in (
        b"",
        b"0",
        b"-----BEGIN CERTIFICATE-----\n",
        b'{"apiVersion":1,"kind":"Config"',
        b"kind: Config\napiVersion: ",
    ):
        list(in_bytes(start + data + b"\n-----END CERTIFICATE-----", place="x", binary=binary))


@given(st.text(max_size=60))
def test_no_kubeconfig_breaks_it(text: str) -> None:
    from groundplane.pki.report.kubeconfig import parts

    list(parts(b"apiVersion: v1\nkind: Config\n" + text.encode(), directory=Path("/nowhere")))


def test_urgency_is_by_what_is_left(folder: Path) -> None:
    lines = assess(in_path(folder), Thresholds(), now=NOW)
    assert [line.level for line in lines[:5]] == [
        *(Level.UNREADABLE, Level.EXPIRED, Level.CRITICAL, Level.WARNING, Level.WARNING),
    ]
    assert {line.level for line in lines[5:]} == {Level.GOOD}
    assert gravest(lines) is Level.UNREADABLE
    assert gravest(()) is Level.GOOD
    early = assess(in_path(folder / "ca.pem"), Thresholds(), now=NOW - timedelta(days=1))
    assert [line.level for line in early] == [Level.NOT_YET]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["ca.pem"], 0),
        (["deep"], 20),
        (["deep", "--warning", "10d"], 0),
        (["deep", "--critical", "504h"], 21),
        (["chain.p7b"], 21),
        (["ended.der", "-o", "json"], 21),
        (["."], 21),
        (["ca.pem", "notes.txt"], 21),
        (["ca.pem", "no"], 21),
        (["ca.pem", "--db-config", "no.json"], 21),
        (["ca.pem", "--critical", "5d", "--warning", "1d"], 3),
        (["ca.pem", "--warning", "1d"], 3),
        (["ca.pem", "--warning", "1d", "--critical", "1d"], 0),
    ],
)
def test_the_exit_code_is_for_scripts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int
) -> None:
    monkeypatch.chdir(folder)
    assert main(["pki", "report", *arguments]) == code


def test_the_report_can_be_read_by_people_and_machines(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    main(["pki", "report", "deep", "--problems"])
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["LEVEL", "LEFT", "ENDS", "NAME", "KIND", "PLACE"]
    assert row.startswith("warning   19 days")
    main(["pki", "report", "deep", "-o", "json"])
    document = json.loads(capsys.readouterr().out)
    first = document["certificates"][0]
    assert (document["level"], first["names"], first["isCA"]) == ("warning", ["localhost"], False)
    assert first["secondsLeft"] == pytest.approx(20 * 86400, abs=7200)  # made when the tests were collected
    main(["pki", "report", "deep", "admin.conf", "-o", "prometheus"])
    metrics = capsys.readouterr().out
    assert 'groundplane_certificate_not_after_seconds{place="deep/soon.pem#1",name="soon",serial="' in metrics
    assert 'groundplane_certificate_unreadable{place="admin.conf: users[odd].client-certificate-data"} 1' in metrics


def test_what_cannot_be_read_is_below_the_table_and_the_rest_in_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert main(["pki", "report"]) == 3
    capsys.readouterr()
    (folder / "db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": str(folder / "no.db")}))
    words = ["ca.pem", "notes.txt", "no/such", "--db-config", "db.json"]
    assert main(["pki", "report", *words]) == 21
    (folder / "db.json").unlink()
    shown = capsys.readouterr()
    assert shown.err == ""
    table, _, below = shown.out.partition("\n\n")
    assert [line.split()[-1] for line in table.splitlines()[1:]] == ["db.json", "no/such", "notes.txt", "ca.pem"]
    assert max(map(len, table.splitlines())) < 90
    assert below.splitlines() == [
        f"db.json: {folder}/no.db: there is no such database; make it: groundplane pki db init --db-config db.json",
        "no/such: there is no such file or directory",
        "notes.txt: there is no certificate in it",
    ]
    assert not (folder / "no.db").exists()


def test_a_database_tells_what_it_issued_and_nobody_revoked(
    authority: Authority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "db.json"
    config.write_text(json.dumps({"driver": "sqlite3", "data_source": str(tmp_path / "certs.db")}))
    database = CertificateDatabase.open(read_database_config(config.read_bytes(), source="db"), migrate=True)
    for name, hours, revoked in (("soon", 24 * 20, False), ("revoked", 24 * 20, True), ("ended", 1, False)):
        start = NOW - timedelta(hours=3) if name == "ended" else NOW
        it = x509.load_pem_x509_certificate(issue(authority, name, hours=hours, now=start).certificate_pem)
        record = record_of(it, now=NOW)
        database.insert(record)
        if revoked:
            database.revoke(record.serial, record.authority_key_id, reason=1, at=NOW)
    database.close()
    assert main(["pki", "report", "--db-config", str(config), "-o", "json"]) == 20
    (only,) = json.loads(capsys.readouterr().out)["certificates"]
    assert only["subject"] == "CN=soon"


def test_a_server_is_asked_for_its_certificate(authority: Authority, tmp_path: Path) -> None:
    pair = issue(authority, "server", hours=24)
    (tmp_path / "pair.pem").write_bytes(pair.key_pem + pair.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        (found,) = in_endpoint(f"127.0.0.1:{port}")
        thread.join(5)
    assert found.certificate is not None
    assert found.certificate.subject.common_name == "server"


def test_a_server_that_does_not_answer_is_a_line_of_the_report() -> None:
    (found,) = in_endpoint("127.0.0.1:1", timeout=timedelta(seconds=1))
    assert found == Found(place="127.0.0.1:1", trouble="no TLS server answers: Connection refused")


def test_what_speaks_no_tls_is_told_of_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for said in (b"220 mail.example ESMTP\r\n", b""):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        told = [found.trouble for _ in range(2) for found in in_endpoint(address)]
        thread.join(5)
    assert told == [
        "no TLS server answers: what answers does not speak TLS",
        "no TLS server answers: it hangs up during the handshake",
    ]
    (found,) = in_endpoint("a..b:1")
    assert found.trouble == "no TLS server answers: this is no host name"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.com", ("a.com", 443)),
        ("a:1", ("a", 1)),
        ("::1", ("::1", 443)),
        ("[::1]:8", ("::1", 8)),
        ("[::1]", ("::1", 443)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert split(text) == expected


@pytest.mark.parametrize("text", ["", "a:b", "a:0", "a:65536", "[::1", "[::1]x", ":5"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        split(text)
