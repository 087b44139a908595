"""Where the commands of `pki` write: all or nothing, nothing replaced unasked, what nobody could make again never."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from groundplane.cli.main import main
from groundplane.cli.pki import inputs

BY = ["--ca", "ca.pem", "--ca-key", "ca-key.pem"]
GENCERT = ["gencert", "leaf.json", *BY, "--config", "policy.json"]
Pki = Callable[..., tuple[int, str]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    key = {"algo": "ecdsa", "size": 256}
    Path("ca.json").write_text(json.dumps({"CN": "root", "key": key}))
    Path("leaf.json").write_text(json.dumps({"CN": "leaf", "hosts": ["leaf.example"], "key": key}))
    middle = {"expiry": "9h", "usages": ["cert sign", "crl sign"], "ca_constraint": {"is_ca": True}}
    policy = {"default": {"expiry": "9h", "usages": ["server auth"]}, "profiles": {"middle": middle}}
    Path("policy.json").write_text(json.dumps({"signing": policy}))
    Path("db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": "certs.db"}))
    assert main(["pki", "gencert", "--initca", "ca.json", "--out", "ca"]) == 0
    assert main(["pki", *GENCERT, "--out", "leaf"]) == 0
    assert main(["pki", "db", "init", "--db-config", "db.json"]) == 0
    return tmp_path


@pytest.fixture
def pki(place: Path, capsys: pytest.CaptureFixture[str]) -> Pki:
    """Runs a command; its exit code, and what it complained of. Whatever it does, it leaves no draft."""

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["pki", *words])
        assert not list(place.rglob(".*.tmp"))
        return code, capsys.readouterr().err

    return run


def standing(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "words",
    [
        ["gencsr", "leaf.json", "--out", "ca", "--force"],
        [*GENCERT, "--out", "ca", "--force"],
        ["gencert", "--initca", "ca.json", "--out", "ca", "--force"],
        ["sign", "leaf.csr", *BY, "--config", "policy.json", "--out", "ca", "--force"],
        ["convert", "leaf-key.pem", "--to", "pkcs8", "--out", "ca-key.pem", "--force"],
        ["convert", "leaf.pem", "--to", "pem", "--out", "ca.pem", "--force"],
        ["convert", "ca-key.pem", "ca.pem", "--to", "pem", "--out", "ca-key.pem", "--force"],
        ["crl", "--db-config", "db.json", *BY, "--out", "ca-key.pem"],
        ["crl", "--db-config", "db.json", *BY, "--out", "ca.pem"],
        ["bundle", "leaf.pem", "--ca", "ca.pem", "--no-fetch", "--out", "ca-key.pem"],
        ["bundle", "leaf.pem", "--ca", "ca.pem", "--no-fetch", "--out", "ca.pem"],
        ["bundle", "leaf.pem", "--ca", "ca.pem", "--no-fetch", "--out", "leaf-key.pem"],
    ],
)
def test_nothing_replaces_a_ca(pki: Pki, place: Path, words: list[str]) -> None:
    assert pki("gencsr", "leaf.json", "--key", "leaf-key.pem", "--out", "leaf")[0] == 0
    before = standing(place)
    code, said = pki(*words)
    assert code == 9
    assert "move it away" in said
    assert standing(place) == before


def test_nor_is_one_known_by_its_name_alone(pki: Pki, place: Path) -> None:
    """In DER, encrypted, under another name beside its certificate, or without a certificate at all."""
    assert pki("convert", "ca.pem", "--to", "der", "--out", "der.pem")[0] == 0
    Path("secret").write_text("secret")
    Path("secret").chmod(0o600)
    words = ["--key-format", "pkcs8-encrypted", "--key-password", "file:secret"]
    assert pki("gencert", "--initca", "ca.json", "--out", "locked", *words)[0] == 0
    Path("other-key.pem").write_bytes(Path("ca-key.pem").read_bytes())
    Path("alone").mkdir()
    Path("alone/x-key.pem").write_bytes(Path("leaf-key.pem").read_bytes())
    before = standing(place)
    for base in ("der", "locked", "other", "alone/x"):
        code, said = pki(*GENCERT, "--out", base, "--force")
        assert code == 9
        assert "is not replaced" in said
    assert standing(place) == before
    Path("alone/x.csr").touch()
    assert pki(*GENCERT, "--out", "alone/x", "--force")[0] == 0


def test_the_same_in_another_form_may_take_its_place(pki: Pki) -> None:
    assert pki("convert", "ca-key.pem", "--to", "pkcs8", "--out", "ca-key.pem", "--force") == (0, "")
    assert b"BEGIN PRIVATE KEY" in Path("ca-key.pem").read_bytes()
    assert pki("convert", "ca.pem", "--to", "der", "--out", "ca.pem", "--force") == (0, "")
    assert Path("ca.pem").read_bytes()[:1] == b"\x30"
    assert pki(*GENCERT, "--out", "leaf", "--force")[0] == 0  # and a CA in DER signs


def test_lists_and_bundles_replace_their_like(pki: Pki) -> None:
    for words in (
        ["crl", "--db-config", "db.json", *BY, "--out", "list"],
        ["crl", "--db-config", "db.json", *BY, "--out", "list", "--format", "der"],
        ["bundle", "leaf.pem", "--ca", "ca.pem", "--no-fetch", "--out", "chain"],
        ["bundle", "leaf.pem", "--ca", "ca.pem", "--no-fetch", "--out", "chain", "-o", "json"],
        ["bundle", "leaf.pem", "--ca", "ca.pem", "--no-fetch", "--out", "chain"],
        [*GENCERT, "--profile", "middle", "--out", "middle"],
        ["bundle", "middle.pem", "--ca", "ca.pem", "--no-fetch", "--out", "above"],
        ["bundle", "middle.pem", "--ca", "ca.pem", "--no-fetch", "--out", "above"],
    ):
        assert pki(*words)[0] == 0
    assert pki("crl", "--db-config", "db.json", *BY, "--out", "chain")[0] == 9


@pytest.mark.parametrize(
    ("out", "answer"),
    [
        ("no/x", (4, "no: there is no such directory; make it first")),
        ("leaf.pem/x", (4, "there is no such directory")),
        ("dir", (9, "a directory stands here")),
        ("/proc/x", (4, "no such file or directory")),
    ],
)
@pytest.mark.parametrize("command", ["gencert", "gencsr", "convert", "crl", "bundle"])
def test_a_place_that_cannot_be_written_is_named(
    pki: Pki, place: Path, command: str, out: str, answer: tuple[int, str]
) -> None:
    for name in ("dir.pem", "dir-key.pem", "dir.csr", "dir"):
        Path(name).mkdir()
    before = standing(place)
    argv = {
        "gencert": [*GENCERT, "--db-config", "db.json"],
        "gencsr": ["gencsr", "leaf.json"],
        "convert": ["convert", "leaf.pem", "--to", "der"],
        "crl": ["crl", "--db-config", "db.json", *BY],
        "bundle": ["bundle", "leaf.pem", "--ca", "ca.pem", "--no-fetch"],
    }[command]
    found, said = pki(*argv, "--out", out)
    assert (found, answer[1] in said) == (answer[0], True), said
    assert said.count("\n") == 1
    if command != "crl":  # whose number is spent
        assert standing(place) == before  # nothing is recorded that nobody has


@pytest.mark.parametrize("out", ["", ".", "..", "dir/", "dir/.", "dir/.."])
@pytest.mark.parametrize("command", ["gencert", "gencsr"])
def test_a_base_has_a_name(pki: Pki, command: str, out: str, capsys: pytest.CaptureFixture[str]) -> None:
    argv = GENCERT if command == "gencert" else ["gencsr", "leaf.json"]
    with pytest.raises(SystemExit) as ended:
        pki(*argv, "--out", out)
    assert ended.value.code == 2
    assert "has no name to begin a file's with" in capsys.readouterr().err


def test_a_link_to_nowhere_is_something(pki: Pki) -> None:
    for name in ("x.pem", "y.csr", "z"):
        Path(name).symlink_to("nowhere")
    for words in (
        [*GENCERT, "--out", "x"],
        ["gencsr", "leaf.json", "--out", "y"],
        ["convert", "leaf.pem", "--to", "der", "--out", "z"],
    ):
        assert pki(*words)[0] == 9
    assert all(Path(name).is_symlink() for name in ("x.pem", "y.csr", "z"))
    assert not Path("x-key.pem").exists()


def test_an_interrupted_root_is_finished_with_its_key(pki: Pki) -> None:
    Path("ca.pem").unlink()
    key = Path("ca-key.pem").read_bytes()
    code, said = pki("gencert", "--initca", "ca.json", "--out", "ca")
    assert code == 9
    assert "make it one with --key ca-key.pem" in said
    assert pki("gencert", "--initca", "ca.json", "--out", "ca", "--key", "ca-key.pem")[0] == 0
    assert Path("ca-key.pem").read_bytes() == key
    assert pki(*GENCERT, "--out", "leaf", "--force")[0] == 0


@pytest.mark.parametrize("root", [True, False])
def test_of_several_at_once_one_makes_it_and_it_fits(place: Path, root: bool) -> None:  # noqa: FBT001 - a parameter
    words = ["gencert", "--initca", "ca.json"] if root else GENCERT
    argv = [sys.executable, "-m", "groundplane.cli.main", "pki", *words, "--out", "new"]
    running = [subprocess.Popen(argv, cwd=place, stderr=subprocess.PIPE) for _ in range(4)]
    said = [process.communicate(timeout=60)[1].decode() for process in running]
    assert sorted(process.returncode for process in running) == [0, 9, 9, 9]
    assert not any("Traceback" in text for text in said)
    assert main(["pki", "convert", "new-key.pem", "new.pem", "--to", "pkcs7", "--out", "fits"]) == 0


def test_flags_without_effect_are_refused(pki: Pki, place: Path) -> None:
    before = standing(place)
    root = ["gencert", "--initca", "ca.json", "--out", "x"]
    for words in (
        [*root, "--profile", "p"],
        [*root, "--label", "l"],
        [*root, "--ca", "ca.pem"],
        [*root, "--config", "policy.json"],
        [*root, "--generate"],
        [*GENCERT, "--out", "x", "--generate"],
        [*GENCERT, "--out", "x", "--label", "l"],
        [*GENCERT, "--out", "x", "--key-password", "env:X"],
        ["convert", "leaf.pem", "--to", "pem", "--out", "x", "--alias", "a"],
        ["convert", "leaf.pem", "--to", "pem", "--out", "x", "--password", "env:X"],
    ):
        code, said = pki(*words)
        assert (code, said.count("\n")) == (3, 1), (words, said)
    assert standing(place) == before


def test_what_is_not_there_is_not_written(pki: Pki, place: Path) -> None:
    Path("noise").write_bytes(b"noise")
    Path("empty").touch()
    before = standing(place)
    for words, reason in (
        (["leaf-key.pem", "--to", "pem"], "there is no certificate in it"),
        (["leaf-key.pem", "--to", "der"], "there is no certificate in it"),
        (["leaf-key.pem", "--to", "pkcs7"], "there is no certificate in it"),
        (["noise", "--to", "pem"], "neither a key nor a certificate"),
        (["empty", "--to", "pem"], "neither a key nor a certificate"),
    ):
        code, said = pki("convert", *words, "--out", "x")
        assert code == 3
        assert reason in said
    assert standing(place) == before


def test_requests_and_cas_may_come_as_der_or_by_standard_input(pki: Pki, place: Path) -> None:
    assert pki("gencsr", "leaf.json", "--out", "r")[0] == 0
    subprocess.run(["openssl", "req", "-in", "r.csr", "-outform", "DER", "-out", "r.der"], cwd=place, check=True)
    assert pki("convert", "ca.pem", "--to", "der", "--out", "ca.der")[0] == 0
    by = ["--ca", "ca.der", "--ca-key", "ca-key.pem", "--config", "policy.json"]
    assert pki("sign", "r.der", *by, "--out", "r")[0] == 0
    argv = [sys.executable, "-m", "groundplane.cli.main", "pki", "convert", "-", "--to", "der", "--out", "r.cer"]
    subprocess.run(argv, cwd=place, input=Path("r.pem").read_bytes(), check=True)
    assert Path("r.cer").read_bytes()[:1] == b"\x30"


def test_a_source_without_end_is_refused(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MOST", 1 << 20)
    for words in (["check", "/dev/zero"], ["convert", "/dev/zero", "--to", "pem", "--out", "x"], ["lint", "/dev/zero"]):
        code, said = pki(*words)
        assert code == 6
        assert "it has more than 1 MiB" in said
