"""A cluster whose file changes, and machines that are not fit for one."""

import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from groundplane.system import netns
from tests.lab.cluster_kit import groundplane, inside, machine, status

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAME = "changing"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("changing")
    shutil.copytree(EXAMPLES / "seed", folder / "seed")
    lines = (EXAMPLES / "seed.yaml").read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not any(w in line for w in ("heartbeat", "election", "plainLoopback")))
    (folder / "cluster.yaml").write_text(text.replace("seed-verbatim", NAME))
    groundplane("down", "--name", NAME, "--purge")
    groundplane("up", str(folder / "cluster.yaml"))
    yield folder / "cluster.yaml"
    groundplane("down", "--name", NAME, "--purge")


def served(host: str, port: int) -> x509.Certificate:
    """The certificate that etcd shows now, on this port."""
    keys = Path(f"/var/lib/groundplane/{NAME}/pki")
    context = ssl.create_default_context(cafile=str(keys / "ca.pem"))
    context.check_hostname = False
    context.load_cert_chain(keys / "etcd.pem", keys / "etcd-key.pem")
    raw = netns.open_socket(Path(f"/run/groundplane/{NAME}/fabric"))
    raw.connect((host, port))
    with context.wrap_socket(raw) as secure:
        der = secure.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def pids() -> dict[str, dict[str, int]]:
    return {h["name"]: {name: unit["pid"] for name, unit in h["units"].items()} for h in status(NAME)["hosts"]}


def test_a_changed_request_is_issued_anew_and_served_without_a_restart(file: Path) -> None:
    before, running = served("192.168.153.130", 2379), pids()
    request = file.parent / "seed/etcd-csr.json"
    content = json.loads(request.read_text())
    content["hosts"].append("etcd.example.org")
    request.write_text(json.dumps(content))
    assert "lacks the names etcd.example.org" in groundplane("plan", str(file)).stdout
    said = groundplane("up", str(file)).stderr
    assert "issued etcd" in said
    assert "issued ca" not in said
    for port in (2379, 2380):
        after = served("192.168.153.130", port)
        assert after.serial_number != before.serial_number
        names = after.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["etcd.example.org"]
    assert pids() == running
    assert "no change" in groundplane("up", str(file)).stderr


def test_a_certificate_near_its_end_is_renewed(file: Path) -> None:
    # A life of three hours is renewed when one is left: here the certificate on disk is of a profile of half an hour.
    policy = file.parent / "seed/ca-config.json"
    text = policy.read_text()
    policy.write_text(text.replace('"8760h"', '"30m"'))
    assert "issued etcd" in groundplane("up", str(file)).stderr
    short = served("192.168.153.129", 2379)
    policy.write_text(text)
    assert "issued etcd" in groundplane("up", str(file)).stderr
    assert served("192.168.153.129", 2379).not_valid_after_utc > short.not_valid_after_utc
    assert status(NAME)["healthy"] is True


def test_a_lost_key_is_made_again_and_the_agents_go_on(file: Path) -> None:
    Path(f"/var/lib/groundplane/{NAME}/pki/agent-etcd2-key.pem").unlink()
    assert "issued agent-etcd2" in groundplane("up", str(file)).stderr
    assert status(NAME)["healthy"] is True


def test_a_changed_ca_request_is_refused_with_nothing_changed(file: Path) -> None:
    request = file.parent / "seed/ca-csr.json"
    text = request.read_text()
    request.write_text(text.replace("kubernetes-ca", "other-ca"))
    try:
        done = groundplane("up", str(file), check=False)
        assert done.returncode == 5, done.stderr
        assert "ca.pem" in done.stderr
        assert status(NAME)["healthy"] is True
    finally:
        request.write_text(text)


def test_a_changed_flag_restarts_the_members_one_at_a_time(file: Path) -> None:
    text = file.read_text()
    file.write_text(text.replace("33554432", "16777216"))
    said = groundplane("up", str(file)).stderr
    assert "etcd1 restarted, etcd2 restarted, etcd3 restarted" in said
    assert status(NAME)["healthy"] is True
    running = inside(NAME, "etcd1", "sh", "-c", "tr '\\0' ' ' < /proc/$(pidof etcd)/cmdline").stdout
    assert "--max-request-bytes=16777216" in running


def test_a_pod_that_changes_is_made_anew_and_the_others_stay(file: Path) -> None:
    before = {pod["name"]: pod for pod in status(NAME)["pods"]}
    text = file.read_text()
    file.write_text(text.replace("labels: {app: db}", "labels: {app: db, tier: back}"))
    said = groundplane("up", str(file)).stderr
    assert "6 of 6 ways" in said
    after = {pod["name"]: pod for pod in status(NAME)["pods"]}
    assert after["web"] == before["web"]
    assert after["db"]["state"] == "running"


def test_another_set_of_members_is_refused(file: Path) -> None:
    text = file.read_text()
    file.write_text(
        text.replace(
            "{name: etcd3, address: 192.168.153.131, roles: [etcd, node]}",
            "{name: etcd3, address: 192.168.153.131, roles: [node]}",
        )
    )
    try:
        done = groundplane("up", str(file), check=False)
        assert done.returncode == 11
        assert "etcd3 would leave" in done.stderr
    finally:
        file.write_text(text)


def test_without_root_it_says_so_and_touches_nothing() -> None:
    before = machine()
    script = """
import os, sys
from groundplane.cli import bring, main, show
from groundplane.cluster import up
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(main.main(["up", "--name", "nobody"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 8, done.stderr
    assert "needs root" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert machine() == before


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    command = 'mount --bind /dev/null /usr/bin/crun && exec "$0" -m groundplane.cli.main "$@"'
    for arguments, code in ((("up", "--name", "lacking"), 5), (("doctor",), 5)):
        argv = ["unshare", "--mount", "sh", "-c", command, sys.executable, *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=os.environ, timeout=30)
        assert done.returncode == code, done.stderr
        assert "apt-get install" in done.stdout + done.stderr
        assert "crun" in done.stdout + done.stderr
    assert not Path("/run/groundplane/lacking").exists()
