"""Streams closed or full, names that are no text, files that cannot be replaced: as programs in Go bear them."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplane.cli.links import _source, script

KEY = '{"CN":"x","key":{"algo":"ecdsa","size":256}}'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("cfssl", "cfssljson"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(script(name, python=sys.executable, source=_source()))
        path.chmod(0o755)
    (tmp_path / "csr.json").write_text(KEY)
    return tmp_path


def shell(place: Path, text: str) -> tuple[int, bytes, bytes]:
    path = f"{place / 'bin'}:{os.environ['PATH']}"
    argv = ("bash", "-c", text)
    done = subprocess.run(
        argv, cwd=place, env=os.environ | {"PATH": path}, capture_output=True, check=False, timeout=60
    )
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        ("cfssl version >&-", 0, b""),
        ("cfssl version >&- 2>&- <&-", 0, b""),
        ("cfssl genkey - <&-", 1, b"read /dev/stdin: bad file descriptor\n"),
        ("cfssljson -bare x <&-", 1, b"Failed to read input: read /dev/stdin: bad file descriptor\n"),
        ("cfssl version > /dev/full", 1, b"write /dev/stdout: no space left on device\n"),
        ("cfssl genkey nofile 2> /dev/full", 1, b""),
        ("cfssl genkey $'b\\xff'", 1, b"open b\xff: no such file or directory\n"),
        ("cfssl version | head -c0; exit ${PIPESTATUS[0]}", 141, b""),
    ],
)
def test_streams_may_be_closed_full_or_gone(place: Path, call: str, code: int, said: bytes) -> None:
    found = shell(place, call)
    assert (found[0], found[2]) == (code, said)


def test_without_standard_error_the_work_is_done(place: Path) -> None:
    code, out, _ = shell(place, "cfssl genkey -initca csr.json 2>&-")
    assert code == 0
    assert list(json.loads(out)) == ["cert", "csr", "key"]
    assert shell(place, "cfssl genkey csr.json 2>&- | cfssljson -bare r >&-")[0] == 0
    assert (place / "r-key.pem").stat().st_mode & 0o777 == 0o600


def test_files_keep_owner_and_mode_but_for_a_key_that_all_could_read(place: Path) -> None:
    before = {"k-key.pem": 0o640, "k.csr": 0o600, "o-key.pem": 0o644, "o.csr": 0o444}
    for name, mode in before.items():
        (place / name).touch()
        (place / name).chmod(mode)
        os.chown(place / name, 1000, 1001)
    for base in ("k", "o"):
        assert shell(place, f"cfssl genkey csr.json 2>/dev/null | cfssljson -bare {base}")[0] == 0
    found = {name: (place / name).stat() for name in before}
    assert {(it.st_uid, it.st_gid) for it in found.values()} == {(1000, 1001)}
    modes = {name: stat.S_IMODE(it.st_mode) for name, it in found.items()}
    assert modes == before | {"o-key.pem": 0o600}


@pytest.fixture
def mounted(place: Path) -> Iterator[Path]:
    (place / "source").touch()
    (place / "m-key.pem").touch(mode=0o600)
    subprocess.run(("mount", "--bind", "source", "m-key.pem"), cwd=place, check=True)
    yield place / "m-key.pem"
    subprocess.run(("umount", "m-key.pem"), cwd=place, check=True)


def test_what_cannot_be_replaced_is_written_in_place(place: Path, mounted: Path) -> None:
    (place / "m.csr").touch()
    (place / "twin").hardlink_to(place / "m.csr")
    long = "n" * 247
    for base in ("m", long):
        assert shell(place, f"cfssl genkey csr.json 2>/dev/null | cfssljson -bare {base}") == (0, b"", b"")
    assert mounted.read_bytes().startswith(b"-----BEGIN EC")
    assert (place / "source").read_bytes() == mounted.read_bytes()
    assert mounted.stat().st_mode & 0o777 == 0o600
    assert (place / "twin").read_bytes() == (place / "m.csr").read_bytes() != b""
    assert (place / f"{long}-key.pem").stat().st_mode & 0o777 == 0o600


def test_a_bundle_in_part_is_none(place: Path) -> None:
    for bundle, words in (
        ({"bundle": "B"}, b"root parsing failed!\n"),
        ({"bundle": 5, "root": "R"}, b"inner bundle parsing failed!\n"),
    ):
        (place / "in").write_text(json.dumps({"result": {"bundle": bundle}}))
        assert shell(place, "cfssljson -bare -f in x") == (1, b"", words)
    for text, where in (("AAA", 0), ("AAAA=", 4), ("AA=A", 2), ("AA==x", 4), ("AA=", 3)):
        (place / "in").write_text(json.dumps({"ocspResponse": text}))
        code, _, said = shell(place, "cfssljson -bare -f in x")
        assert (code, said) == (
            1,
            f"Failed to parse ocspResponse: illegal base64 data at input byte {where}\n".encode(),
        )
    assert not list(place.glob("x*"))


def test_arguments_left_over_are_refused(place: Path) -> None:
    for words in ("selfsign a csr.json -config x", "selfsign -hostname a csr.json x", "sign a.csr b.json -ca ca.pem"):
        assert shell(place, f"cfssl {words}") == (1, b"", b"too many arguments are provided, please check with usage\n")
