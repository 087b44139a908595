"""Audit lines are whole, say who it was by what the kernel knows, and stand before what they tell of."""

import contextlib
import fcntl
import json
import os
import pwd
import resource
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from groundplane.errors import Unavailable
from groundplane.pki import Authority, parse_request
from groundplane.pki.operators import audit
from groundplane.pki.operators.audit import VARIABLE, AuditLog, about, acting, command, issuing

NOW = datetime(2026, 11, 23, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(path=tmp_path / "audit.jsonl", clock=lambda: NOW)


@pytest.fixture
def variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "audit.jsonl"))
    return tmp_path / "audit.jsonl"


@contextlib.contextmanager
def room(size: int) -> Iterator[None]:
    """As on a full disk: files grow to so many bytes, and what is written across that is written in part."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_that_does_not_fit_leaves_nothing(log: AuditLog) -> None:
    log.write({"event": "first"})
    before = log.path.read_bytes()
    with room(len(before) + 10), pytest.raises(Unavailable, match="make room"):
        log.write({"event": "second"})
    assert log.path.read_bytes() == before
    log.write({"event": "third"})
    assert [line["event"] for line in lines(log.path)] == ["first", "third"]


def test_a_line_after_half_a_line_is_its_own(log: AuditLog) -> None:
    log.path.write_bytes(b'{"event": "whole"}\n{"event": "hal')
    log.write({"event": "next"})
    whole, half, following = log.path.read_text().splitlines()
    assert (json.loads(whole)["event"], half, json.loads(following)["event"]) == ("whole", '{"event": "hal', "next")


def test_only_the_own_part_is_cut_off_when_the_file_was_made_shorter(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write({"event": "first"})

    def rotated(descriptor: int, _: bytes) -> int:
        os.ftruncate(descriptor, 0)  # as logrotate's copytruncate does
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", rotated)
    with pytest.raises(Unavailable):
        log.write({"event": "second"})
    assert log.path.read_bytes() == b""


def test_writers_wait_for_each_other_and_not_for_ever(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_PATIENCE", 0.05)
    log.write({"event": "first"})
    with log.path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable):
            log.write({"event": "second"})
    log.write({"event": "third"})
    assert [line["event"] for line in lines(log.path)] == ["first", "third"]


def test_asking_whether_it_could_be_written_makes_nothing(tmp_path: Path, log: AuditLog) -> None:
    log.check()
    assert not log.path.exists()
    log.write({"event": "x"})
    before = log.path.read_bytes()
    log.check()
    assert log.path.read_bytes() == before
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing" / "audit")
    for path in (tmp_path / "missing" / "audit", tmp_path, tmp_path / "file" / "audit", tmp_path / "nowhere"):
        with pytest.raises(Unavailable, match="the audit cannot be written"):
            AuditLog(path=path).check()
        with pytest.raises(Unavailable, match="the audit cannot be written"):
            AuditLog(path=path).write({})


def test_a_full_file_system_is_known_before_a_line_is_lost(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    found = os.statvfs(log.path.parent)
    full = os.statvfs_result((*found[:3], 0, 0, *found[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(Unavailable, match="no space left"):
        log.check()


def test_nobody_chooses_the_name_that_stands_in_the_audit(variable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "alice")
    command("x")
    monkeypatch.setattr(audit, "_LOGIN", variable.with_name("loginuid"))
    variable.with_name("loginuid").write_text("4123456")
    command("x")
    me = pwd.getpwuid(os.getuid()).pw_name
    first, second = lines(variable)
    assert (first["caller"], "alice" in variable.read_text()) == (me, False)
    assert (second["caller"], second["login"]) == (me, "4123456")


def test_a_certificate_s_line_says_the_same_at_every_door(variable: Path) -> None:
    request = parse_request(b'{"CN":"x","names":[{"O":"y"}],"hosts":["10.0.0.1"]}', source="x")
    authority, root = Authority.create_root(request, now=NOW)
    with issuing(authority.certificate, place="here"):
        pass
    (line,) = lines(variable)
    wanted = {
        "serial": str(root.seen.serial),
        "subject": "O=y, CN=x",
        "names": ["10.0.0.1"],
        "is_ca": True,
        "not_after": f"{root.seen.not_after:%Y-%m-%dT%H:%M:%SZ}",
    }
    assert about(authority.certificate) == wanted
    assert wanted.items() <= line.items()
    assert (line["event"], line["place"], line["door"]) == ("issued", "here", "command")


def test_an_act_has_its_line_before_and_a_second_one_if_it_fails(variable: Path) -> None:
    with acting("revoked", serial="1"):
        assert [line["event"] for line in lines(variable)] == ["revoked"]
    with pytest.raises(ValueError, match="away"), acting("revoked", serial="2"):
        raise ValueError("the database is away")
    assert [(line["serial"], line.get("outcome"), line.get("error")) for line in lines(variable)] == [
        ("1", None, None),
        ("2", None, None),
        ("2", "failed", "the database is away"),
    ]


def test_without_its_line_an_act_is_not_begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "missing" / "audit"))
    done = []
    with pytest.raises(Unavailable), acting("revoked", serial="1"):
        done.append(1)
    assert not done
