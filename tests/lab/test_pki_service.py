"""`groundplane pki serve` as a whole process: callers told apart, audit, metrics, health, reload, and a clean end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

GROUNDPLANE = (sys.executable, "-m", "groundplane.cli.main")
TOKEN = "0123456789abcdef0123456789abcdef"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(*argv: str, cwd: Path, code: int = 0) -> str:
    done = subprocess.run([*GROUNDPLANE, *argv], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


class Service:
    """The process and its two doors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.side = free_port(), free_port()
        self.write({})
        self.log = (folder / "log").open("wb")
        argv = [*GROUNDPLANE, "pki", "serve", "--config", "serve.json"]
        self.process = subprocess.Popen(argv, cwd=folder, stderr=self.log)
        self.wait_for(lambda: "Now listening" in (folder / "log").read_text())

    def write(self, change: dict[str, object]) -> None:
        whole: dict[str, object] = {
            "listen": f"127.0.0.1:{self.port}",
            "tls": {"certificate": "server.pem", "key": "server-key.pem", "clientCA": "ca.pem"},
            "ca": {"certificate": "ca.pem", "key": "ca-key.pem"},
            "policy": "policy.json",
            "database": "db.json",
            "endpoints": {"enable": ["newcert"]},
            "access": [
                {"endpoints": ["newcert"], "clients": ["node-[0-9]+"]},
                {"endpoints": ["*"], "tokens": ["file:token"]},
                {"endpoints": ["info"], "anyone": True},
            ],
            "metrics": f"127.0.0.1:{self.side}",
            "audit": "audit.jsonl",
        }
        (self.folder / "serve.json").write_text(json.dumps({**whole, **change}))

    def call(self, endpoint: str, body: object, *flags: str) -> tuple[int, dict[str, object], str]:
        """Status, reply and head, by curl."""
        url = f"https://127.0.0.1:{self.port}/api/v1/cfssl/{endpoint}"
        argv = ["curl", "-s", "-D", "head", "--cacert", "ca.pem", *flags, "-d", json.dumps(body), url]
        out = subprocess.run(argv, cwd=self.folder, capture_output=True, check=True, timeout=30).stdout
        head = (self.folder / "head").read_text()
        return int(head.split()[1]), json.loads(out) if out.startswith(b"{") else {}, head

    def get(self, path: str) -> str:
        argv = ["curl", "-s", f"http://127.0.0.1:{self.side}{path}"]
        return subprocess.run(argv, capture_output=True, check=True, timeout=30, text=True).stdout

    def audit(self, place: str = "audit.jsonl") -> list[dict[str, object]]:
        path = self.folder / place
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for(self, true: Callable[[], object], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, (self.folder / "log").read_text()
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("service")
    (top / "ca.json").write_text('{"CN":"root","ca":{"expiry":"87600h"}}')
    (top / "server.json").write_text('{"CN":"server","hosts":["127.0.0.1"]}')
    (top / "node.json").write_text('{"CN":"node-1"}')
    usages = ["digital signature", "server auth", "client auth"]
    (top / "policy.json").write_text(json.dumps({"signing": {"default": {"expiry": "100h", "usages": usages}}}))
    (top / "db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": str(top / "certs.db")}))
    (top / "token").write_text(TOKEN)
    (top / "token").chmod(0o600)
    run("pki", "gencert", "--initca", "ca.json", "--out", "ca", cwd=top)
    by = ("--ca", "ca.pem", "--ca-key", "ca-key.pem", "--config", "policy.json")
    for name in ("server", "node"):
        run("pki", "gencert", *by, f"{name}.json", "--out", name, cwd=top)
    run("pki", "db", "init", "--db-config", "db.json", cwd=top)
    return top


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    made = Service(folder)
    yield made
    made.process.send_signal(signal.SIGTERM)
    assert made.process.wait(30) == 0
    made.log.close()


NEWCERT = {"request": {"CN": "x", "hosts": ["x.example"]}}
NODE = ("--cert", "node.pem", "--key", "node-key.pem")
BEARER = ("-H", f"Authorization: Bearer {TOKEN}")


def test_callers_are_told_apart(service: Service) -> None:
    assert service.call("info", {})[0] == 200
    status, reply, head = service.call("newcert", NEWCERT)
    assert (status, reply["success"]) == (401, False)
    assert "Www-Authenticate: Bearer" in head
    assert service.call("newcert", NEWCERT, *NODE)[0] == 200
    assert service.call("revoke", {}, *NODE)[0] == 403
    assert service.call("newcert", NEWCERT, *BEARER)[0] == 200
    assert service.call("newcert", NEWCERT, "-H", "Authorization: Bearer wrong-wrong-wrong-wrong")[0] == 403
    assert service.call("init_ca", {"CN": "y"}, *BEARER)[0] == 404  # dangerous, and not named


def test_what_is_issued_and_revoked_is_in_the_audit_under_the_request_s_name(service: Service) -> None:
    from cryptography import x509

    status, reply, head = service.call("newcert", NEWCERT, *NODE, "-H", "X-Request-ID: my-request.1")
    assert status == 200
    assert "X-Request-Id: my-request.1" in head
    result = reply["result"]
    assert isinstance(result, dict)
    certificate = x509.load_pem_x509_certificate(result["certificate"].encode())
    line = service.audit()[-1]
    assert (line["request_id"], line["caller"], line["outcome"]) == ("my-request.1", "certificate node-1", "done")
    assert line["serial"] == str(certificate.serial_number)
    key = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert key is not None
    what = {"serial": str(certificate.serial_number), "authority_key_id": key.hex(), "reason": "superseded"}
    assert service.call("revoke", what, *BEARER)[0] == 200
    line = service.audit()[-1]
    assert (line["endpoint"], line["asked_serial"], line["outcome"]) == ("revoke", what["serial"], "done")
    assert service.call("revoke", {**what, "serial": "1"}, *BEARER)[1]["success"] is False
    assert service.audit()[-1]["code"] == 11200
    assert (service.folder / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    assert TOKEN not in (service.folder / "log").read_text() + (service.folder / "audit.jsonl").read_text()


def test_metrics_count_over_all_workers(service: Service) -> None:
    def issued() -> float:
        lines = service.get("/metrics").splitlines()
        return sum(
            float(line.split()[1]) for line in lines if line.startswith("groundplane_pki_certificates_issued_total")
        )

    before = issued()
    for _ in range(8):
        assert service.call("newcert", NEWCERT, *BEARER)[0] == 200
    assert issued() == before + 8
    text = service.get("/metrics")
    assert 'groundplane_pki_refused_total{endpoint="newcert",status="401"}' in text
    assert "groundplane_pki_ca_not_after_seconds" in text


def test_health_has_depth(service: Service) -> None:
    assert json.loads(service.get("/health")) == {"healthy": True}
    checks = {"ca": "well", "database": "well", "audit": "well"}
    assert json.loads(service.get("/health/deep")) == {"healthy": True, "checks": checks}


def test_a_broken_audit_stops_what_it_should_know_of_and_nothing_else(service: Service) -> None:
    (service.folder / "lines").mkdir()
    service.write({"audit": "lines/audit.jsonl"})
    service.process.send_signal(signal.SIGHUP)

    def is_served_by_all() -> bool:
        before = len(service.audit("lines/audit.jsonl"))
        done = [service.call("newcert", NEWCERT, *BEARER)[0] for _ in range(6)]
        return done == [200] * 6 and len(service.audit("lines/audit.jsonl")) == before + 12

    service.wait_for(is_served_by_all)
    (service.folder / "lines").rename(service.folder / "gone")
    for _ in range(4):  # whichever worker it is
        status, reply, _ = service.call("newcert", NEWCERT, *BEARER)
        assert (status, reply["success"], reply["result"]) == (503, False, None)
        found = json.loads(service.get("/health/deep"))
        assert found["healthy"] is False
        assert "the audit cannot be written" in found["checks"]["audit"]
    assert service.call("info", {})[0] == 200
    assert "groundplane_pki_audit_failures_total 4.0" in service.get("/metrics")
    log = (service.folder / "log").read_text()
    assert '"event": "not audited"' in log
    assert '"status": 503' in log
    (service.folder / "gone").rename(service.folder / "lines")
    service.wait_for(lambda: json.loads(service.get("/health/deep"))["healthy"])
    assert service.audit("lines/audit.jsonl")[-1]["event"] == "resumed"
    service.write({"audit": "missing/audit.jsonl"})  # as a reload: what is served stays
    service.process.send_signal(signal.SIGHUP)
    service.wait_for(
        lambda: "nothing is changed: missing/audit.jsonl: the audit cannot" in (service.folder / "log").read_text()
    )
    assert service.call("newcert", NEWCERT, *BEARER)[0] == 200
    assert service.audit("lines/audit.jsonl")[-1]["outcome"] == "done"
    service.write({"ca": {"certificate": "ca.pem", "key": "server-key.pem"}})
    service.process.send_signal(signal.SIGHUP)
    service.wait_for(
        lambda: "nothing is changed: ca.pem: the key is not the one" in (service.folder / "log").read_text()
    )
    assert service.call("newcert", NEWCERT, *BEARER)[0] == 200
    service.write({})
    service.process.send_signal(signal.SIGHUP)
    before = len(service.audit())
    service.wait_for(lambda: service.call("newcert", NEWCERT, *BEARER)[0] == 200 and len(service.audit()) > before)


def test_a_changed_file_is_served_and_a_bad_one_changes_nothing(service: Service) -> None:
    service.write({"access": [{"endpoints": ["*"], "tokens": ["file:token"]}]})
    service.wait_for(lambda: service.call("info", {})[0] == 401)
    service.write({"access": [{"endpoints": ["*"]}]})
    service.process.send_signal(signal.SIGHUP)
    service.wait_for(lambda: "reload failed" in (service.folder / "log").read_text())
    assert service.call("info", {})[0] == 401
    service.write({})
    service.process.send_signal(signal.SIGHUP)
    service.wait_for(lambda: service.call("info", {})[0] == 200)


def test_a_worker_that_is_killed_is_replaced(service: Service) -> None:
    def workers() -> set[int]:
        text = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text()
        return {int(word) for word in text.split()}

    before = workers()
    os.kill(max(before), signal.SIGKILL)
    service.wait_for(lambda: len(workers()) == len(before) and workers() != before)
    assert service.call("info", {})[0] == 200


def test_it_does_not_start_open_off_loopback(service: Service) -> None:
    document = json.loads((service.folder / "serve.json").read_text())
    document |= {"listen": f"0.0.0.0:{free_port()}", "metrics": f"127.0.0.1:{free_port()}"}
    document["access"] = [{"endpoints": ["*"], "anyone": True}]
    (service.folder / "open.json").write_text(json.dumps(document))
    told = run("pki", "serve", "--config", "open.json", cwd=service.folder, code=8)
    assert "anybody who reaches 0.0.0.0" in told


def test_all_its_files_may_be_yaml_and_a_bad_one_of_them_changes_nothing(folder: Path) -> None:
    from cryptography import x509

    port = free_port()
    (folder / "serve.yaml").write_text(
        f"listen: 127.0.0.1:{port}\n"
        "ca: {certificate: ca.pem, key: ca-key.pem}\n"
        "policy: policy.yaml\ndatabase: db.yml\nendpoints: {enable: [newcert]}\nworkers: 1\n"
    )
    policy = (
        "signing:\n"
        "  default: {expiry: 100h, usages: [server auth]}\n"
        "  profiles:\n"
        '    kdc: {expiry: 50h, usages: ["1.3.6.1.5.2.3.5"], names: {allow: {dns: [.example]}}}\n'
    )
    (folder / "policy.yaml").write_text(policy)
    (folder / "db.yml").write_text(f"driver: sqlite3\ndata_source: {folder}/yaml.db\n")
    run("pki", "db", "init", "--db-config", "db.yml", cwd=folder)
    log = folder / "yaml-log"

    def asked(name: str) -> dict[str, object]:
        body = json.dumps({"profile": "kdc", "request": {"CN": name, "hosts": [name]}})
        argv = ["curl", "-s", "-d", body, f"http://127.0.0.1:{port}/api/v1/cfssl/newcert"]
        answer: dict[str, object] = json.loads(subprocess.run(argv, capture_output=True, check=True, timeout=30).stdout)
        return answer

    def wait_for(word: str) -> None:
        end = time.monotonic() + 20
        while word not in log.read_text():
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)

    with log.open("wb") as out:
        argv = [*GROUNDPLANE, "pki", "serve", "--config", "serve.yaml"]
        process = subprocess.Popen(argv, cwd=folder, stderr=out)
        try:
            wait_for("Now listening")
            result = asked("web.example")["result"]
            assert isinstance(result, dict)
            made = x509.load_pem_x509_certificate(result["certificate"].encode())
            usages = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            assert [usage.dotted_string for usage in usages] == ["1.3.6.1.5.2.3.5"]
            assert "web.example" in run("pki", "db", "list", "--db-config", "db.yml", cwd=folder)
            assert asked("web.other")["success"] is False
            (folder / "policy.yaml").write_text(policy.replace("names:", "nams:"))
            process.send_signal(signal.SIGHUP)
            wait_for("did you mean 'names'?")
            assert asked("web.other")["success"] is False
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
