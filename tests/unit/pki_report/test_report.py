"""What expires when: every place certificates hide in, how urgent each is, and what a script sees."""

import base64
import json
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
from groundplane.pki.report.find import in_bytes, in_path
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


def test_a_file_that_is_named_must_hold_one(folder: Path) -> None:
    with pytest.raises(Invalid, match="no certificate"):
        list(in_path(folder / "notes.txt"))


def test_damage_is_a_line_of_the_report(folder: Path) -> None:
    pem = (folder / "ca.pem").read_bytes().split(b"\n")
    pem[3] = pem[3][::-1]
    (one,) = in_bytes(b"\n".join(pem), place="x")
    assert one.certificate is None
    assert "damaged" in one.trouble


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


def test_what_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pki", "report"]) == 3
    assert main(["pki", "report", "/no/such"]) == 4
    assert "no such file" in capsys.readouterr().err


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
    assert main(["pki", "report", "--db-config", str(tmp_path / "no.json")]) == 4


def test_a_server_is_asked_for_its_certificate(authority: Authority, tmp_path: Path) -> None:
    pair = issue(authority, "server", hours=24)
    (tmp_path / "pair.pem").write_bytes(pair.key_pem + pair.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    import socket

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
