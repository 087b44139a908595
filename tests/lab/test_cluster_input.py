"""Wrong input: one clear error that names file, place and mend, the right exit code, and nothing changed."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.cluster_kit import groundplane, machine

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLES, tmp_path / "c")
    return tmp_path / "c"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def csr(folder: Path, **changes: object) -> None:
    path = folder / "seed/etcd-csr.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


CASES: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "bad YAML": (lambda f: edit(f / "seed.yaml", "hosts:", "hosts: ]"), ("seed.yaml:", "is not YAML")),
    "unknown field": (
        lambda f: edit(f / "seed.yaml", "provider:", "provder:"),
        ("seed.yaml:5", "provder", "did you mean 'provider'"),
    ),
    "one address twice": (
        lambda f: edit(f / "seed.yaml", "192.168.153.130", "192.168.153.129"),
        ("seed.yaml:", "hosts[1].address", "also the address of etcd1"),
    ),
    "weak key": (lambda f: csr(f, key={"algo": "rsa", "size": 1024}), ("etcd-csr.json", "1024", "2048")),
    "host missing in the CSR": (lambda f: csr(f, hosts=["127.0.0.1"]), ("etcd-csr.json", "192.168.153.129", "add")),
    "pool over the hosts": (
        lambda f: edit(f / "seed/network.yaml", "10.244.0.0/16", "192.168.0.0/16"),
        ("network.yaml", "overlaps the hosts' network", "spec.cidr"),
    ),
    "unknown flag": (
        lambda f: edit(f / "seed.yaml", "heartbeat-interval", "hartbeat-interval"),
        ("hartbeat-interval", "did you mean"),
    ),
    "election too short": (
        lambda f: edit(f / "seed.yaml", "timeout: 15000", "timeout: 4000"),
        ("election-timeout", "five heartbeats"),
    ),
    "no such profile": (lambda f: edit(f / "seed.yaml", "profile: etcd", "profile: etdc"), ("etdc", "etcd")),
    "file missing": (lambda f: (f / "seed/ca-csr.json").unlink(), ("seed.yaml:", "ca-csr.json")),
    "bad JSON": (lambda f: (f / "seed/ca-csr.json").write_text('{"CN": }'), ("ca-csr.json",)),
    "pod on no host": (lambda f: edit(f / "seed.yaml", "host: etcd2", "host: etcd9"), ("pods[1].host", "etcd9")),
    "odd name": (lambda f: edit(f / "seed.yaml", "name: etcd2", 'name: "$(reboot)"'), ("hosts[1].name", "$(reboot)")),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_input_is_refused_whole(folder: Path, case: str) -> None:
    break_it, words = CASES[case]
    break_it(folder)
    before = machine()
    for command in ("up", "plan"):
        done = groundplane(command, str(folder / "seed.yaml"), check=False)
        assert done.returncode == 3, done.stderr
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr
        assert all(word in lines[0] for word in words), lines[0]
    assert machine() == before


def test_without_root_it_says_so_and_touches_nothing() -> None:
    before = machine()
    script = (
        "import os; from groundplane.cluster import doctor; os.setgid(65534); os.setuid(65534); doctor.require_ready()"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "needs root" in done.stderr
    assert machine() == before


def test_hostile_text_never_reaches_a_shell(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    folder = tmp_path / f"a b $(touch {mark.name});`touch {mark.name}` 'q'"
    shutil.copytree(EXAMPLES, folder)
    unit = groundplane("etcd", "unit", "etcd1", "--file", str(folder / "seed.yaml"), cwd=tmp_path).stdout
    (tmp_path / "x.service").write_text(unit)
    subprocess.run(["systemd-analyze", "verify", str(tmp_path / "x.service")], check=True)
    edit(folder / "seed.yaml", "token: etcd-cluster-0", f"token: 'a$(touch {mark});`touch {mark}`'")
    done = groundplane("up", str(folder / "seed.yaml"), check=False, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert ": etcd: token" in done.stderr
    assert not mark.exists()
