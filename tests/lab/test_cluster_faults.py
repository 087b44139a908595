"""Killed anywhere, it comes back: processes, whole hosts, and `up` itself."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cluster_kit import groundplane, inside, status, until

NAME = "faults"
WITHIN = 5.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    groundplane("down", "--name", NAME, "--purge")
    groundplane("up", "--name", NAME)
    yield NAME
    groundplane("down", "--name", NAME, "--purge")


def units(found: dict[str, Any], host: str) -> dict[str, Any]:
    (one,) = (h for h in found["hosts"] if h["name"] == host)
    return dict(one["units"])


@pytest.mark.parametrize("unit", ["etcd", "bird", "groundplane-cri", "groundplane-agent", "groundplane-pods"])
def test_a_killed_unit_is_back_and_the_pods_never_noticed(cluster: str, unit: str) -> None:
    before = status(cluster)
    assert before["healthy"] is True, before["problems"]
    host = "etcd2"
    pid = units(before, host)[unit]["pid"]
    pod = next(p for p in before["pods"] if p["host"] == host)
    stream = inside_background(cluster, "etcd1", "busybox", "ping", "-i", "0.1", "-c", "30", pod["ip"])
    os.kill(pid, signal.SIGKILL)
    until(f"healthy after {unit} was killed", lambda: healthy_with_new(cluster, host, unit, pid), within=WITHIN)
    after = status(cluster)
    assert after["pods"] == before["pods"]
    out, _ = stream.communicate(timeout=20)
    assert " 0% packet loss" in out, out


def healthy_with_new(cluster: str, host: str, unit: str, old: int) -> bool:
    found = status(cluster)
    return found["healthy"] is True and units(found, host).get(unit, {}).get("pid") not in (0, None, old)


def inside_background(cluster: str, host: str, *command: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "groundplane.cli.main", "shell", "--name", cluster, host, "--", *command]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def init_pid(cluster: str, host: str) -> int:
    return int(Path(f"/run/groundplane/{cluster}/hosts/{host}/init.pid").read_text().split()[0])


def descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def test_every_single_process_of_a_host_may_be_killed(cluster: str) -> None:
    host = "etcd3"
    seen: set[str] = set()
    for pid in descendants(init_pid(cluster, host)):
        try:
            name = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
            os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it belonged to one that was killed before
        seen.add(name)
        until(f"healthy after {name} was killed", lambda: status(cluster)["healthy"] is True, within=WITHIN)
    assert any("conmon" in name for name in seen), seen


def test_a_host_whose_plug_was_pulled_is_brought_back_with_its_data_and_pods(cluster: str) -> None:
    paths = ("--cacert=/opt/ca/ca.pem", "--cert=/opt/etcd/cert/etcd.pem", "--key=/opt/etcd/cert/etcd-key.pem")
    endpoint = "--endpoints=https://192.168.153.129:2379"
    inside(cluster, "etcd1", "etcdctl", *paths, endpoint, "put", "plug", "pulled")
    os.kill(init_pid(cluster, "etcd1"), signal.SIGKILL)
    until("seen to be down", lambda: status(cluster)["healthy"] is False)
    groundplane("up", "--name", cluster)
    found = status(cluster)
    assert found["healthy"] is True, found["problems"]
    got = inside(cluster, "etcd1", "etcdctl", *paths, endpoint, "get", "plug", "--print-value-only")
    assert got.stdout == "pulled\n"


@pytest.mark.parametrize("seed", range(6))
def test_up_killed_at_any_moment_converges_when_run_again(seed: int) -> None:
    name = "halfway"
    delay = random.Random(seed).uniform(0.05, 3.0)
    argv = [sys.executable, "-m", "groundplane.cli.main", "up", "--name", name]
    try:
        first = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)  # the moment is the point of the test
        first.kill()
        first.wait()
        groundplane("up", "--name", name)
        assert status(name)["healthy"] is True
    finally:
        groundplane("down", "--name", name, "--purge")
