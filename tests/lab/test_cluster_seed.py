"""`examples/seed.yaml`: the first cluster to the letter, from its own files, with every flag of its unit files."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.cluster_kit import groundplane, inside, status

ROOT = Path(__file__).resolve().parents[2]
SEED = ROOT / "examples/seed.yaml"
UNIT = ROOT / "tests/vectors/seed/etcd1.service"


def flags(unit: str) -> list[str]:
    """The words after the program in ExecStart=."""
    (command,) = re.findall(r"^ExecStart=((?:.*\\\n)*.*)$", unit, re.MULTILINE)
    return [word.strip().replace('"', "") for word in command.replace("\\\n", " ").split()][1:]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    groundplane("down", "--name", "seed-verbatim", "--purge")
    groundplane("up", str(SEED))
    yield "seed-verbatim"
    groundplane("down", "--name", "seed-verbatim", "--purge")


def test_its_unit_has_the_flags_of_the_original_and_systemd_takes_it(tmp_path: Path) -> None:
    unit = groundplane("etcd", "unit", "etcd1", "--file", str(SEED)).stdout
    assert flags(unit) == flags(UNIT.read_text())
    (tmp_path / "etcd1.service").write_text(unit)
    subprocess.run(["systemd-analyze", "verify", str(tmp_path / "etcd1.service")], check=True)


def test_it_comes_up_and_runs_with_these_flags(cluster: str) -> None:
    found = status(cluster)
    assert found["healthy"] is True, found["problems"]
    words = inside(cluster, "etcd1", "sh", "-c", "tr '\\0' '\\n' < /proc/$(pidof etcd)/cmdline").stdout.split()
    assert words[1:] == flags(UNIT.read_text())
    assert (
        inside(cluster, "etcd1", "etcdctl", "--endpoints=http://127.0.0.1:2379", "endpoint", "health").returncode == 0
    )
