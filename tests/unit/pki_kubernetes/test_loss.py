"""What cannot be made again is taken back from hosts, or the run refuses; it never makes another in its place."""

import json
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from groundplane.cli.main import main
from groundplane.errors import Exists, WrongState
from groundplane.pki.kubernetes.apply import Outcome, Workshop
from groundplane.system import files
from tests.unit.pki_kubernetes.test_kubernetes import FILE, NOW, cluster, reasons, run

TWO = [{"name": name, "addresses": [address]} for name, address in (("cp1", "10.0.0.21"), ("cp2", "10.0.0.22"))]
PKI = "hosts/cp1/etc/kubernetes/pki"
OTHER = "hosts/cp2/etc/kubernetes/pki"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("loss") / "out"
    run(top, cluster(controlPlane=TWO))
    return top


@pytest.fixture
def top(made: Path, tmp_path: Path) -> Path:
    """A cluster with two hosts of the control plane, as it was made."""
    shutil.copytree(made, tmp_path / "out")
    return tmp_path / "out"


def content(top: Path) -> dict[Path, bytes]:
    return {path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def again(top: Path, *, dry: bool = False) -> list[Outcome]:
    return run(top, cluster(controlPlane=TWO), dry=dry)


@pytest.mark.parametrize(
    "lost",
    [
        ("ca/kubernetes",),
        ("ca/front-proxy",),
        ("ca/kubernetes/ca.key",),
        ("ca/kubernetes/ca.crt",),
        ("ca/etcd/ca.crt",),
        ("ca/service-account",),
        ("ca/service-account/sa.key",),
        ("ca/service-account/sa.key", "hosts/cp1/etc/kubernetes/pki/sa.pub"),
        ("ca/kubernetes", "ca/front-proxy", "ca/service-account", "hosts/cp1"),
    ],
)
def test_what_hosts_have_is_taken_back(top: Path, lost: tuple[str, ...]) -> None:
    before = {path: data for path, data in content(top).items() if path.parts[0] == "ca"}
    for path in lost:
        shutil.rmtree(top / path) if (top / path).is_dir() else (top / path).unlink()
    left = content(top)
    told = reasons(again(top, dry=True))
    assert content(top) == left
    assert any("is taken back from" in reason for reason in told.values())
    again(top)
    assert {path: data for path, data in content(top).items() if path.parts[0] == "ca"} == before
    assert {stat.S_IMODE(path.stat().st_mode) for path in (top / "ca").rglob("*.key")} == {0o600}
    assert reasons(again(top)) == {}


def test_hosts_that_the_cluster_has_no_more_are_asked_too(top: Path) -> None:
    before = (top / "ca/kubernetes/ca.key").read_bytes()
    shutil.rmtree(top / "ca/kubernetes")
    (top / "hosts/cp1").rename(top / "hosts/gone")
    shutil.rmtree(top / "hosts/cp2")
    again(top)
    assert (top / "ca/kubernetes/ca.key").read_bytes() == before


def damage(*paths: str) -> Callable[[Path], None]:
    def do(top: Path) -> None:
        for path in paths:
            shutil.rmtree(top / path) if (top / path).is_dir() else (top / path).unlink()

    return do


def swap(top: Path) -> None:
    """The hosts' key of the CA is another's, on all of them."""
    shutil.rmtree(top / "ca/kubernetes")
    for pki in (PKI, OTHER):
        shutil.copy(top / pki / "front-proxy-ca.key", top / pki / "ca.key")


def differ(top: Path) -> None:
    shutil.rmtree(top / "ca/kubernetes")
    shutil.copy(top / PKI / "front-proxy-ca.key", top / PKI / "ca.key")


def differ_tokens(top: Path) -> None:
    (top / "ca/service-account/sa.key").unlink()
    shutil.copy(top / PKI / "ca.key", top / PKI / "sa.key")


@pytest.mark.parametrize(
    ("lose", "told"),
    [
        (damage("ca"), f"there is no key {{top}}/ca/etcd/ca.key, and hosts have {{top}}/{PKI}/etcd/ca.crt; put"),
        (damage("ca/etcd"), "{top}/hosts/*/etc/kubernetes/pki/etcd/ca.crt) away to begin with a new CA"),
        (damage("ca/kubernetes", f"{PKI}/ca.key", f"{OTHER}/ca.key"), "ca/kubernetes/ca.key, and hosts have"),
        (swap, "its key is not the one the certificate is about, and hosts have"),
        (differ, f"hosts have different ones: {{top}}/{PKI}/ca.key, {{top}}/{OTHER}/ca.key"),
        (differ_tokens, f"hosts have different ones: {{top}}/{PKI}/sa.key"),
        (
            damage("ca/service-account/sa.key", f"{PKI}/sa.key", f"{OTHER}/sa.key"),
            "{top}/ca/service-account/sa.key: it is gone: its public half is {top}/ca/service-account/sa.pub; put it",
        ),
        (damage("ca/service-account", f"{PKI}/sa.key", f"{OTHER}/sa.key"), f"public half is {{top}}/{PKI}/sa.pub"),
    ],
)
def test_where_hosts_cannot_help_nothing_is_made_in_its_place(
    top: Path, lose: Callable[[Path], None], told: str
) -> None:
    lose(top)
    left = content(top)
    for dry in (True, False):
        with pytest.raises(WrongState) as refused:
            again(top, dry=dry)
        assert told.replace("{top}", str(top)) in str(refused.value)
    now = content(top)
    assert {path: now[path] for path in left} == left


def test_where_there_never_was_one_a_host_s_other_files_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "hosts/cp1/etc/kubernetes/pki").mkdir(parents=True)
    assert reasons(run(tmp_path, cluster()))["CA kubernetes"] == "there is none yet"


def test_modes_are_mended_and_only_told_of_by_a_check(top: Path) -> None:
    wrong = {
        f"{PKI}/apiserver.key": 0o644,
        f"{PKI}/apiserver-etcd-client.crt": 0o666,
        "hosts/cp1/etc/kubernetes/admin.conf": 0o644,
        f"{PKI}/sa.key": 0o640,
        "ca/kubernetes/ca.key": 0o644,
        "ca/service-account/sa.key": 0o644,
    }
    for path, mode in wrong.items():
        (top / path).chmod(mode)
    told = reasons(again(top, dry=True))
    assert len(told) == len(wrong)
    assert told["apiserver of cp1"] == "the mode of apiserver.key is 0644, and 0600 is wanted"
    assert {path: stat.S_IMODE((top / path).stat().st_mode) for path in wrong} == wrong
    before = content(top)
    assert reasons(again(top)) == told
    assert content(top) == before
    expected = {path: 0o644 if path.endswith(".crt") else 0o600 for path in wrong}
    assert {path: stat.S_IMODE((top / path).stat().st_mode) for path in wrong} == expected
    assert reasons(again(top)) == {}


def test_what_a_killed_run_left_is_removed(top: Path) -> None:
    ours = [top / PKI / ".apiserver.key.ab12_z9x.tmp", top / "ca/etcd/.ca.key.abcdefgh.tmp"]
    others = [top / PKI / ".apiserver.key.tmp", top / "hosts/cp1/.notes.abcdefgh.tmp"]
    for path in (*ours, *others):
        path.write_text("x")
    told = [outcome for outcome in again(top, dry=True) if outcome.made]
    assert {str(top / outcome.place) for outcome in told} == set(map(str, ours))
    assert all(path.exists() for path in ours)
    again(top)
    assert [path.exists() for path in (*ours, *others)] == [False, False, True, True]


def test_a_second_run_waits_for_the_first(tmp_path: Path) -> None:
    found: list[Outcome] = []
    (tmp_path / "out").mkdir()
    with files.one_at_a_time(tmp_path / "out"):
        thread = threading.Thread(target=lambda: found.extend(run(tmp_path / "out", cluster())))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        assert not list((tmp_path / "out").iterdir())
    thread.join(30)
    assert found


def test_two_runs_at_once_make_one_cluster(tmp_path: Path) -> None:
    troubles: list[BaseException] = []

    def make() -> None:
        try:
            run(tmp_path / "out", cluster())
        except Exception as bad:  # noqa: BLE001 - any would be one too many
            troubles.append(bad)

    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert troubles == []
    assert reasons(run(tmp_path / "out", cluster(), dry=True)) == {}


@pytest.mark.parametrize("check", [[], ["--check"]])
def test_a_file_is_no_place_for_it(tmp_path: Path, check: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cluster.json").write_text(json.dumps(FILE))
    words = ["pki", "kubernetes", str(tmp_path / "cluster.json"), "--out"]
    assert main([*words, str(tmp_path / "cluster.json"), *check]) == Exists.kind.exit_code
    assert capsys.readouterr().err.count("\n") == 1
    if not check:
        assert main([*words, "/proc/groundplane"]) == 4
        assert capsys.readouterr().err.count("\n") == 1


def test_all_are_recorded_new_ones_before_they_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cluster.json").write_text(json.dumps(FILE))
    Path("db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": "certs.db"}))
    words = ["pki", "kubernetes", "cluster.json", "--out", "out"]
    assert main([*words, "--db-config", "db.json"]) == 4
    assert not Path("out").exists()
    assert not Path("certs.db").exists()
    assert main(["pki", "db", "init", "--db-config", "db.json"]) == 0
    assert main([*words, "--label", "x"]) == 3
    assert main(words) == 0
    everything = len(list(Path("out").rglob("*.crt")) + list(Path("out").rglob("*.conf"))) - 5  # copies of CAs'
    capsys.readouterr()
    assert main([*words, "--db-config", "db.json", "--check"]) == 5
    assert capsys.readouterr().out.endswith(f"{everything} would be made\n")
    Path("out/hosts/cp1/etc/kubernetes/pki/apiserver.key").unlink()
    assert main([*words, "--db-config", "db.json", "--label", "kubernetes"]) == 0
    assert main([*words, "--db-config", "db.json", "--check"]) == 0
    with sqlite3.connect("certs.db") as database:
        rows = database.execute("select serial_number, ca_label from certificates").fetchall()
    assert len(rows) == everything
    assert {label for _, label in rows} == {"kubernetes"}


def test_what_cannot_be_written_down_is_not_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cluster.json").write_text(json.dumps(FILE))
    monkeypatch.setenv("GROUNDPLANE_PKI_AUDIT", str(tmp_path / "no/such/audit"))
    assert main(["pki", "kubernetes", str(tmp_path / "cluster.json"), "--out", str(tmp_path / "out")]) == 7
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_run_that_ends_early_lets_go_of_the_directory(tmp_path: Path) -> None:
    running = Workshop(top=tmp_path, cluster=cluster(), now=NOW).run()
    next(running)
    running.close()
    assert run(tmp_path, cluster())
