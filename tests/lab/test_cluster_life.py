"""The main job, through its doors: up, what it promises, up again, down."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.cluster_kit import Machine, differences, groundplane, inside, machine, status

NAME = "life"
HOSTS = ("etcd1", "etcd2", "etcd3")
PATHS = ("--cacert=/opt/ca/ca.pem", "--cert=/opt/etcd/cert/etcd.pem", "--key=/opt/etcd/cert/etcd-key.pem")
ENDPOINTS = ",".join(f"https://192.168.153.{n}:2379" for n in (129, 130, 131))


@pytest.fixture(scope="module")
def before() -> Machine:
    groundplane("down", "--name", NAME, "--purge")
    return machine()


@pytest.fixture(scope="module")
def cluster(before: Machine) -> Iterator[str]:  # noqa: ARG001 - the machine is looked at first
    groundplane("up", "--name", NAME)
    yield NAME
    groundplane("down", "--name", NAME, "--purge")


def test_it_is_healthy_and_says_so_with_stable_names(cluster: str) -> None:
    found = status(cluster)
    assert found["healthy"] is True, found["problems"]
    assert found["cluster"] == cluster
    assert [host["name"] for host in found["hosts"]] == list(HOSTS)
    assert all(host["healthy"] and host["units"] for host in found["hosts"])
    assert found["etcd"]["members"] == 3
    assert found["etcd"]["healthy"] is True
    assert found["etcd"]["leader"] in HOSTS
    assert found["bgp"] == {"sessions": 6, "established": 6}
    assert {pod["state"] for pod in found["pods"]} == {"running"}
    assert all(re.fullmatch(r"10\.244\.\d+\.\d+", pod["ip"]) for pod in found["pods"])
    assert {"ca", "etcd", "operator"} < {certificate["name"] for certificate in found["certificates"]}
    assert all(Path(certificate["path"]).exists() for certificate in found["certificates"])


def test_a_second_up_changes_nothing_and_is_quick(cluster: str) -> None:
    pids = {host["name"]: {n: u["pid"] for n, u in host["units"].items()} for host in status(cluster)["hosts"]}
    done = groundplane("up", "--name", cluster)
    assert "no change" in done.stderr
    assert groundplane("plan", "--name", cluster).stdout == "no change\n"
    after = {host["name"]: {n: u["pid"] for n, u in host["units"].items()} for host in status(cluster)["hosts"]}
    assert after == pids


def test_the_proof_names_every_pair_of_pods(cluster: str) -> None:
    said = groundplane("up", "--name", cluster).stderr
    assert "6 of 6 ways" in said
    for pair in ("web@etcd1 -> api@etcd2", "db@etcd3 -> web@etcd1"):
        assert pair in said


def test_certificates_are_as_the_seed_asks(cluster: str) -> None:
    where = {c["name"]: c["path"] for c in status(cluster)["certificates"]}

    def text(name: str) -> str:
        command = ["openssl", "x509", "-in", where[name], "-noout", "-text"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    root, etcd = text("ca"), text("etcd")
    assert "Public-Key: (4096 bit)" in root
    assert "CN = kubernetes-ca" in root
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in etcd
    for address in ("127.0.0.1", "192.168.153.129", "192.168.153.130", "192.168.153.131"):
        assert f"IP Address:{address}" in etcd
    subprocess.run(
        ["openssl", "verify", "-CAfile", where["ca"], *(p for n, p in where.items() if n != "ca")], check=True
    )
    key = Path(where["ca"]).with_name("ca-key.pem")
    assert key.stat().st_mode & 0o777 == 0o600
    assert not inside(cluster, "etcd1", "sh", "-c", "find / -xdev -name 'ca-key*' 2>/dev/null").stdout


def test_etcdctl_inside_a_host_agrees(cluster: str) -> None:
    theirs = inside(cluster, "etcd2", "etcdctl", *PATHS, f"--endpoints={ENDPOINTS}", "member", "list", "-w", "table")
    assert theirs.stdout == groundplane("etcd", "members", "--name", cluster).stdout
    health = inside(cluster, "etcd2", "etcdctl", *PATHS, f"--endpoints={ENDPOINTS}", "endpoint", "health", "-w", "json")
    ours = json.loads(groundplane("etcd", "health", "--name", cluster, "-o", "json").stdout)
    assert {row["endpoint"]: row["health"] for row in json.loads(health.stdout)} == {
        r["endpoint"]: r["health"] for r in ours
    }
    for tree in ("data", "wal"):
        assert inside(cluster, "etcd3", "stat", "-c", "%a", f"/opt/etcd/{tree}").stdout == "700\n"


def test_etcd_refuses_who_has_no_certificate(cluster: str) -> None:
    command = (
        "etcdctl",
        "--cacert=/opt/ca/ca.pem",
        f"--endpoints={ENDPOINTS}",
        "--command-timeout=2s",
        "endpoint",
        "health",
    )
    assert inside(cluster, "etcd1", *command, check=False).returncode != 0


def test_a_pod_serves_another_hosts_pod(cluster: str) -> None:
    pods = {pod["name"]: pod for pod in status(cluster)["pods"]}
    done = inside(cluster, "etcd3", "busybox", "wget", "-q", "-O-", f"http://{pods['web']['ip']}:8080/")
    assert done.stdout == "groundplane lab\n"


def test_two_labs_do_not_meet(cluster: str) -> None:
    groundplane("up", "--name", "other")
    try:
        assert status("other")["healthy"] is True
        assert status(cluster)["healthy"] is True
        ours, theirs = (
            set(inside(name, "etcd1", "readlink", "/proc/self/ns/net").stdout.split()) for name in (cluster, "other")
        )
        assert not ours & theirs
    finally:
        groundplane("down", "--name", "other", "--purge")
    assert status(cluster)["healthy"] is True


def test_down_without_purge_keeps_the_data(cluster: str) -> None:
    inside(cluster, "etcd1", "etcdctl", *PATHS, f"--endpoints={ENDPOINTS}", "put", "kept", "yes")
    ca = Path(status(cluster)["certificates"][0]["path"]).with_name("ca.pem").read_bytes()
    groundplane("down", "--name", cluster)
    assert status(cluster)["healthy"] is False
    groundplane("up", "--name", cluster)
    got = inside(cluster, "etcd1", "etcdctl", *PATHS, f"--endpoints={ENDPOINTS}", "get", "kept", "--print-value-only")
    assert got.stdout == "yes\n"
    assert Path(status(cluster)["certificates"][0]["path"]).with_name("ca.pem").read_bytes() == ca


def test_after_purge_the_machine_is_as_before(cluster: str, before: Machine) -> None:
    groundplane("down", "--name", cluster, "--purge")
    time.sleep(0.5)  # the kernel takes a network namespace apart after its last process has ended
    assert differences(before, machine()) == {}
