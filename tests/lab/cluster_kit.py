"""What the tests of whole clusters share: the command as a user runs it, and a picture of the machine to compare."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WITHIN = 90


def groundplane(*arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command; with `check` its failure is the test's, with both streams in the message."""
    command = [sys.executable, "-m", "groundplane.cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN, check=False, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{arguments} exited with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def status(name: str) -> dict[str, Any]:
    """`groundplane status -o json`, whatever its exit code."""
    found: dict[str, Any] = json.loads(groundplane("status", "--name", name, "-o", "json", check=False).stdout)
    return found


def until(what: str, condition: Callable[[], bool], *, within: float = 10.0) -> float:
    """Wait for `condition`; the seconds it took. Nothing tells of "healthy", so this looks again and again."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within, f"not {what} after {within} s"
        time.sleep(0.05)
    return time.monotonic() - began


def inside(name: str, host: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command inside a host."""
    return groundplane("shell", "--name", name, host, "--", *command, check=check)


@dataclass(frozen=True)
class Machine:
    """What `up` and `down --purge` together must leave as it was."""

    processes: frozenset[str]
    namespaces: frozenset[str]
    mounts: frozenset[str]
    cgroups: frozenset[str]
    links: str
    routes: str
    nftables: str
    files: frozenset[str]


def differences(before: Machine, after: Machine) -> dict[str, tuple[object, object]]:
    """What came and what went, by field; empty if nothing did."""
    found: dict[str, tuple[object, object]] = {}
    for name in Machine.__dataclass_fields__:
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            found[name] = (other - one, one - other) if isinstance(one, frozenset) else (other, one)
    return found


def machine() -> Machine:
    """The machine now."""

    def run(*argv: str) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10).stdout

    own = os.getpid()
    processes = set()
    namespaces: set[str] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == own:
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            # What a lab runs is in its control group; what runs it calls itself groundplane.
            if "/groundplane/" in (entry / "cgroup").read_text() or line.startswith("groundplane-"):
                processes.add(line)
                namespaces.update(str(space.readlink()) for space in (entry / "ns").iterdir())
        except OSError:
            continue  # it ended while we looked
    trees = (
        "/var/lib/groundplane",
        "/run/groundplane",
        "/opt/etcd",
        "/opt/ca",
        "/opt/cni",
        "/etc/cni",
        "/etc/groundplane",
    )
    found = {str(path) for tree in trees for path in (Path(tree), *Path(tree).rglob("*")) if path.exists()}
    return Machine(
        processes=frozenset(line for line in processes if "pytest" not in line),
        namespaces=frozenset(namespaces),
        mounts=frozenset(
            line.split(" - ")[0].split(" ", 3)[3]
            for line in Path("/proc/self/mountinfo").read_text().splitlines()
            if "pytest" not in line  # another test's own
        ),
        cgroups=frozenset(str(path) for path in Path("/sys/fs/cgroup").rglob("*groundplane*")),
        links=run("ip", "-br", "link"),
        routes=run("ip", "route", "show", "table", "all"),
        nftables=run("nft", "list", "ruleset"),
        files=frozenset(found),
    )
