"""Certificates again: the same but for time and key identifiers, put in place whole, believed by who trusts the CA."""

import asyncio
import errno
import json
import os
import signal
import stat
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from groundplane.cli.main import main
from groundplane.errors import Denied, Exhausted, Invalid, WrongState
from groundplane.pki import keys
from groundplane.pki.certdb import CertificateDatabase, read_database_config
from groundplane.pki.keystore.private import KeyFormat, read_key, write_key
from groundplane.pki.model import KeyAlgorithm, KeySpec
from groundplane.pki.renewal.config import Config, key_beside, parse_config
from groundplane.pki.renewal.due import due, pause_after
from groundplane.pki.renewal.keeper import Keeper
from groundplane.pki.renewal.model import LocalCA, Target
from groundplane.pki.renewal.reissue import reissue
from groundplane.pki.renewal.replace import read_pair, renew, why_now
from groundplane.pki.renewal.rollover import roll_over
from groundplane.pki.seen import is_signed_by, same_key, see
from groundplane.pki.signer import LocalSigner

NOW = datetime.now(UTC).replace(microsecond=0)
P256 = KeySpec(algorithm=KeyAlgorithm.ECDSA, size=256)


def certificate(
    name: str,
    key: keys.PrivateKey,
    *,
    issuer: x509.Certificate | None = None,
    issuer_key: keys.PrivateKey | None = None,
    start: datetime = NOW - timedelta(days=80),
    life: timedelta = timedelta(days=90),
    ca: bool = False,
) -> x509.Certificate:
    """With extensions that groundplane's own model has no words for."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.TITLE, "odd")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), critical=False)
    )
    if ca:
        names = x509.NameConstraints(permitted_subtrees=[x509.DNSName("example")], excluded_subtrees=None)
        builder = builder.add_extension(names, critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(f"{name}.example")]), critical=False)
    if issuer is not None:
        theirs = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(theirs)
        builder = builder.add_extension(authority, critical=False)
    return builder.sign(issuer_key or key, hashes.SHA256())


def pem(*those: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in those)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A root, an intermediate and a leaf of it that is due, with its chain."""
    root_key, middle_key, leaf_key = (keys.generate(P256) for _ in range(3))
    root = certificate("root", root_key, ca=True, life=timedelta(days=3650))
    middle = certificate("middle", middle_key, issuer=root, issuer_key=root_key, ca=True, life=timedelta(days=365))
    leaf = certificate("leaf", leaf_key, issuer=middle, issuer_key=middle_key)
    for name, key, these in (
        ("root", root_key, (root,)),
        ("middle", middle_key, (middle,)),
        ("leaf", leaf_key, (leaf, middle)),
    ):
        (tmp_path / f"{name}.pem").write_bytes(pem(*these))
        (tmp_path / f"{name}-key.pem").write_bytes(keys.dump_key(key))
    return tmp_path


def target(files: Path, name: str, by: str | None, **further: object) -> Target:
    ca = None if by is None else LocalCA(certificate=files / f"{by}.pem", key=str(files / f"{by}-key.pem"))
    return Target(certificate=files / f"{name}.pem", key=files / f"{name}-key.pem", ca=ca, **further)  # type: ignore[arg-type] # as named


def load(files: Path, name: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((files / f"{name}.pem").read_bytes())


def others(one: x509.Certificate) -> list[tuple[str, bool, bytes]]:
    changing = {ExtensionOID.SUBJECT_KEY_IDENTIFIER, ExtensionOID.AUTHORITY_KEY_IDENTIFIER}
    return [(e.oid.dotted_string, e.critical, e.value.public_bytes()) for e in one.extensions if e.oid not in changing]


@pytest.mark.parametrize("new_key", [False, True])
def test_a_leaf_is_the_same_but_for_time(files: Path, new_key: bool) -> None:  # noqa: FBT001 - a parameter
    wanted = target(files, "leaf", "middle", new_key=new_key)
    pair = read_pair(wanted)
    assert why_now(pair, wanted, now=NOW).startswith("it ends on ")
    made = renew(pair, wanted, now=NOW)
    fresh, middle = load(files, "leaf")
    (issuer,) = load(files, "middle")
    assert (fresh.subject, others(fresh), middle) == (pair.certificate.subject, others(pair.certificate), issuer)
    assert is_signed_by(fresh, issuer)
    assert fresh.not_valid_after_utc - fresh.not_valid_before_utc == timedelta(days=90)
    assert fresh.serial_number == made.serial != pair.certificate.serial_number
    again = read_pair(wanted)
    assert again.fits
    assert same_key(fresh, pair.key.public_key()) is not new_key
    assert why_now(again, wanted, now=NOW) == ""
    assert stat.S_IMODE(wanted.key.stat().st_mode) == (0o600 if new_key else 0o644)  # untouched, if it is kept


def test_an_intermediate_and_a_root_are_renewed_too(files: Path) -> None:
    renew(read_pair(target(files, "middle", "root")), target(files, "middle", "root"), now=NOW)
    renew(read_pair(target(files, "root", None)), target(files, "root", None), now=NOW)
    (root,), (middle,), (leaf, _) = (load(files, name) for name in ("root", "middle", "leaf"))
    assert is_signed_by(root, root)
    assert is_signed_by(middle, root)
    assert is_signed_by(leaf, middle)  # the same keys, so what they signed goes on


def test_it_ends_no_later_than_its_ca_and_says_so(files: Path) -> None:
    wanted = target(files, "leaf", "middle", lifetime=timedelta(days=900))
    made = renew(read_pair(wanted), wanted, now=NOW)
    (middle,) = load(files, "middle")
    assert made.not_after == middle.not_valid_after_utc
    assert "ends with its CA" in made.notes[0]


def test_the_wrong_ca_is_refused_and_nothing_changes(files: Path) -> None:
    before = (files / "leaf.pem").read_bytes()
    wanted = target(files, "leaf", "root")
    with pytest.raises(Denied, match="it was signed by"):
        renew(read_pair(wanted), wanted, now=NOW)
    alone = target(files, "leaf", None)
    with pytest.raises(Invalid, match="another CA"):
        renew(read_pair(alone), alone, now=NOW)
    mixed = Target(
        certificate=files / "leaf.pem",
        key=files / "leaf-key.pem",
        ca=LocalCA(certificate=files / "middle.pem", key=str(files / "root-key.pem")),
    )
    with pytest.raises(Invalid, match="not the one the CA's"):
        renew(read_pair(mixed), mixed, now=NOW)
    assert (files / "leaf.pem").read_bytes() == before


def test_an_ended_ca_signs_nothing(files: Path) -> None:
    wanted = target(files, "leaf", "middle")
    with pytest.raises(Denied, match="ended on"):
        renew(read_pair(wanted), wanted, now=NOW + timedelta(days=300))


def test_a_ca_gets_no_new_key_by_renewing(files: Path) -> None:
    wanted = target(files, "middle", "root", new_key=True)
    with pytest.raises(Denied, match="rollover"):
        renew(read_pair(wanted), wanted, now=NOW)


def test_a_crash_between_key_and_certificate_is_mended_by_the_next_run(files: Path) -> None:
    wanted = target(files, "leaf", "middle", new_key=True)
    (files / "leaf-key.pem").write_bytes(keys.dump_key(keys.generate(P256)))
    pair = read_pair(wanted)
    assert "not the one" in why_now(pair, wanted, now=NOW)
    renew(pair, wanted, now=NOW)
    assert read_pair(wanted).fits


def test_owner_and_mode_of_a_certificate_stay_and_a_key_is_private(files: Path) -> None:
    (files / "leaf.pem").chmod(0o640)
    (files / "leaf-key.pem").chmod(0o644)
    if os.geteuid() == 0:
        os.chown(files / "leaf-key.pem", 4321, 4322)
    wanted = target(files, "leaf", "middle", new_key=True)
    renew(read_pair(wanted), wanted, now=NOW)
    assert stat.S_IMODE((files / "leaf.pem").stat().st_mode) == 0o640
    known = (files / "leaf-key.pem").stat()
    assert stat.S_IMODE(known.st_mode) == 0o600
    if os.geteuid() == 0:
        assert (known.st_uid, known.st_gid) == (4321, 4322)


def test_rollover_bridges_both_ways(files: Path) -> None:
    (old,) = load(files, "root")
    old_key = keys.load_key((files / "root-key.pem").read_bytes(), source="root")
    made = roll_over(old, LocalSigner(old_key), now=NOW)
    new, by_old, old_by_new = (
        x509.load_pem_x509_certificate(one) for one in (made.certificate, made.new_by_old, made.old_by_new)
    )
    assert is_signed_by(new, new)
    assert is_signed_by(by_old, old)
    assert is_signed_by(old_by_new, new)
    assert not same_key(new, old_key.public_key())
    assert same_key(by_old, new.public_key())  # type: ignore[arg-type] # P-256
    assert same_key(old_by_new, old_key.public_key())
    assert x509.load_pem_x509_certificates(made.bundle) == [new, old]
    assert max(by_old.not_valid_after_utc, old_by_new.not_valid_after_utc) <= old.not_valid_after_utc
    (middle,) = load(files, "middle")
    with pytest.raises(Invalid, match="no root"):
        roll_over(middle, LocalSigner(old_key), now=NOW)


@given(st.integers(1, 4000), st.integers(0, 4000), st.integers(0, 400), st.integers(-100, 5000), st.integers(1, 2**60))
def test_due_lies_between_beginning_and_end(life: int, before: int, jitter: int, now: int, serial: int) -> None:
    from dataclasses import replace

    seen = see(certificate("x", keys.generate(P256), start=NOW, life=timedelta(days=life)))
    wanted = Target(certificate=Path("x"), key=Path("y"), before=timedelta(days=before), jitter=timedelta(days=jitter))
    when = due(replace(seen, serial=serial), wanted, now=NOW + timedelta(days=now)).at
    assert when == NOW + timedelta(days=now) if now >= life else seen.not_before <= when <= seen.not_after


def test_pauses_double_up_to_six_hours() -> None:
    minutes = [pause_after(failures) / timedelta(minutes=1) for failures in (1, 2, 3, 9, 10, 1000)]
    assert minutes == [1, 2, 4, 256, 360, 360]


def test_short_lives_are_not_eaten_by_the_backdate() -> None:
    key = keys.generate(P256)
    old = certificate("x", key, ca=True, life=timedelta(minutes=10))
    fresh = reissue(old, public_key=key.public_key(), issuer=None, signer=LocalSigner(key), now=NOW).certificate
    assert fresh.not_valid_after_utc - NOW >= timedelta(minutes=9)


CONFIG = {
    "certificates": [
        {
            "certificate": "leaf.pem",
            "ca": {"certificate": "middle.pem", "key": "middle-key.pem"},
            "before": "720h",
            "jitter": "1h",
            "newKey": True,
            "hooks": [[sys.executable, "-c", "import os; open(os.environ['GROUNDPLANE_CERTIFICATE'] + '.seen', 'x')"]],
        }
    ],
    "metrics": "certificates.prom",
}


def test_the_daemon_renews_runs_hooks_and_writes_metrics(files: Path) -> None:
    config = parse_config(json.dumps(CONFIG).encode(), source="renewer.json", directory=files)
    keeper = Keeper(load=lambda: config, clock=lambda: NOW)
    before = load(files, "leaf")[0]
    assert asyncio.run(keeper.once(config)) == 0
    after = load(files, "leaf")[0]
    assert after.serial_number != before.serial_number
    assert (files / "leaf.pem.seen").exists()
    assert "not_after_seconds" in (files / "certificates.prom").read_text()
    assert asyncio.run(keeper.once(config)) == 0  # nothing is due: the hook would fail to make its file again
    assert load(files, "leaf")[0] == after


def test_a_hook_that_fails_is_run_again_without_renewing_again(files: Path) -> None:
    document = {**CONFIG, "certificates": [{**CONFIG["certificates"][0], "hooks": [["/bin/false"]]}]}  # type: ignore[dict-item] # a list
    config = parse_config(json.dumps(document).encode(), source="renewer.json", directory=files)
    times = [NOW]
    keeper = Keeper(load=lambda: config, clock=lambda: times[0])
    assert asyncio.run(keeper.once(config)) == 1
    after = load(files, "leaf")[0]
    assert asyncio.run(keeper.once(config)) == 0  # not before its pause is over
    times[0] += timedelta(minutes=2)
    assert asyncio.run(keeper.once(config)) == 1
    assert load(files, "leaf")[0] == after


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{}", "no certificates"),
        ('{"certificates": []}', "no certificates"),
        ('{"certificates": [{}]}', "which certificate"),
        ('{"certificates": [{"certificate": "a"}, {"certificate": "a"}]}', "named twice"),
        ('{"certificates": [{"certificate": "a", "ca": {"certificate": "b"}}]}', "key is not named"),
        ('{"certificates": [{"certificate": "a", "remote": {}}]}', "address"),
        ('{"certificates": [{"certificate": "a", "befor": "1h"}]}', "did you mean 'before'"),
        ('{"certificates": [{"certificate": "a", "hooks": [[]]}]}', "a program"),
        ('{"certificates": [{"certificate": "a", "before": "-1h"}]}', "less than nothing"),
        ('{"certificates": [{"certificate": ""}]}', "no path"),
    ],
)
def test_a_bad_file_says_where(text: str, where: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse_config(text.encode(), source="renewer.json", directory=Path("/etc"))
    assert where in str(raised.value)


def test_keys_lie_where_cfssl_and_everybody_else_put_them() -> None:
    assert key_beside(Path("/a/etcd.pem")) == Path("/a/etcd-key.pem")
    assert key_beside(Path("/a/apiserver.crt")) == Path("/a/apiserver.key")


def test_the_command_line(files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    by = ["--ca", "middle.pem", "--ca-key", "middle-key.pem"]
    assert main(["pki", "renew", "leaf.pem", *by]) == 0
    assert "leaf.pem: renewed (it ends on" in capsys.readouterr().out
    assert main(["pki", "renew", "leaf.pem", *by]) == 0
    assert "leaf.pem: good; due on" in capsys.readouterr().out
    assert main(["pki", "renew", "leaf.pem", *by, "--force"]) == 0
    assert "renewed (forced)" in capsys.readouterr().out
    assert main(["pki", "renew", "no.pem", "leaf.pem", *by]) == 4
    assert main(["pki", "renew", "leaf.pem", "--ca", "middle.pem"]) == 3
    capsys.readouterr()
    assert main(["pki", "rollover", "--ca", "root.pem", "--ca-key", "root-key.pem", "--out", "next"]) == 0
    assert capsys.readouterr().out.startswith("next-key.pem\nnext.pem\n")
    assert stat.S_IMODE((files / "next-key.pem").stat().st_mode) == 0o600
    assert main(["pki", "rollover", "--ca", "root.pem", "--ca-key", "root-key.pem", "--out", "next"]) == 9
    (files / "renewer.json").write_text(json.dumps(CONFIG))
    assert main(["pki", "renewer", "--config", "renewer.json", "--check"]) == 0
    assert main(["pki", "renewer", "--config", "renewer.json", "--once"]) == 0


def daemon(files: Path, **changes: object) -> Config:
    document = {**CONFIG, "certificates": [{**CONFIG["certificates"][0], **changes}]}  # type: ignore[dict-item] # a list
    return parse_config(json.dumps(document).encode(), source="renewer.json", directory=files)


def test_however_early_it_shall_be_a_new_one_is_not_due_at_once(files: Path) -> None:
    config = daemon(files, before="90000h", jitter="0s", hooks=[])
    keeper = Keeper(load=lambda: config, clock=lambda: NOW)
    assert asyncio.run(keeper.once(config)) == 0
    after = load(files, "leaf")[0]
    assert asyncio.run(keeper.once(config)) == 0
    assert load(files, "leaf")[0] == after
    when = due(see(after), config.targets[0], now=NOW)
    assert when.at - NOW > (after.not_valid_after_utc - NOW) / 4


def test_a_renewal_that_would_gain_nothing_is_not_made(files: Path) -> None:
    config = daemon(files, before="90000h", lifetime="90000h", jitter="0s", hooks=[])
    (target,) = config.targets
    first = renew(read_pair(target), target, now=NOW, must_gain=True)
    ca_end = load(files, "middle")[0].not_valid_after_utc
    assert first.not_after == ca_end
    later = NOW + (ca_end - NOW) * 0.9
    before = (files / "leaf.pem").read_bytes(), (files / "leaf-key.pem").read_bytes()
    times = [later]
    keeper = Keeper(load=lambda: config, clock=lambda: times[0])
    assert asyncio.run(keeper.once(config)) == 1
    assert asyncio.run(keeper.once(config)) == 0  # not before its pause is over
    assert before == ((files / "leaf.pem").read_bytes(), (files / "leaf-key.pem").read_bytes())
    with pytest.raises(WrongState, match="since its CA does"):
        renew(read_pair(target), target, now=later, must_gain=True)
    renew(read_pair(target), target, now=later)


def test_a_key_that_is_another_s_is_not_certified(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by = ["--ca", str(files / "middle.pem"), "--ca-key", str(files / "middle-key.pem")]
    before = (files / "leaf.pem").read_bytes()
    for key, force, words in (
        ("middle-key.pem", ["--force"], "this is the key of the CA that signs"),
        ("root-key.pem", [], "this is not the key of the certificate"),
    ):
        words_of = ["pki", "renew", str(files / "leaf.pem"), *by, "--key", str(files / key), *force]
        assert main(words_of) != 0
        assert words in capsys.readouterr().err
    assert (files / "leaf.pem").read_bytes() == before


def test_a_place_that_is_full_fails_its_pair_alone(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = daemon(files, hooks=[])

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("groundplane.system.files.replace", full)
    keeper = Keeper(load=lambda: config, clock=lambda: NOW)
    assert asyncio.run(keeper.once(config)) == 1


def test_a_hook_without_end_holds_up_nobody(files: Path) -> None:
    hooks = [["/bin/sleep", "1000"]]
    config = daemon(files, hooks=hooks)
    other = replace(config.targets[0], certificate=files / "other.pem", key=files / "other-key.pem", hooks=())
    for name in ("", "-key"):
        (files / f"other{name}.pem").write_bytes((files / f"leaf{name}.pem").read_bytes())
    keeper = Keeper(load=lambda: Config(targets=(config.targets[0], other)), clock=lambda: NOW)

    async def watch() -> float:
        old = (files / "other.pem").read_bytes()
        async with asyncio.TaskGroup() as group:
            group.create_task(keeper.run())
            async with asyncio.timeout(20):
                while (files / "other.pem").read_bytes() == old:  # noqa: ASYNC110 - a file, which nobody announces
                    await asyncio.sleep(0.02)
            begun = time.monotonic()
            os.kill(os.getpid(), signal.SIGTERM)
        return time.monotonic() - begun

    assert asyncio.run(watch()) < 10


def test_an_encrypted_key_stays_encrypted_and_what_is_renewed_is_recorded(files: Path) -> None:
    (files / "secret").write_text("secret")
    (files / "secret").chmod(0o600)
    plain = read_key((files / "leaf-key.pem").read_bytes(), source="key")
    (files / "leaf-key.pem").write_bytes(write_key(plain, KeyFormat.ENCRYPTED, password=b"secret"))
    (files / "db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": str(files / "certs.db")}))
    assert main(["pki", "db", "init", "--db-config", str(files / "db.json")]) == 0
    ca = {"certificate": "middle.pem", "key": "middle-key.pem", "database": "db.json"}
    config = daemon(files, ca=ca, passwordFile="secret", hooks=[])
    keeper = Keeper(load=lambda: config, clock=lambda: NOW)
    assert asyncio.run(keeper.once(config)) == 0
    data = (files / "leaf-key.pem").read_bytes()
    assert b"ENCRYPTED" in data
    fresh = load(files, "leaf")[0]
    key = read_key(data, source="key", password=b"secret")
    assert fresh.public_key() == key.public_key() != plain.public_key()
    database = CertificateDatabase.open(read_database_config((files / "db.json").read_bytes(), source="db"))
    (record,) = database.unexpired(NOW)
    database.close()
    assert record.serial == fresh.serial_number


def test_a_rollover_is_whole_or_none_and_its_keys_may_be_locked(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(files)
    Path("secret").write_text("secret")
    Path("secret").chmod(0o600)
    plain = read_key(Path("root-key.pem").read_bytes(), source="key")
    Path("root-key.pem").write_bytes(write_key(plain, KeyFormat.ENCRYPTED, password=b"secret"))
    words = ["pki", "rollover", "--ca", "root.pem", "--ca-key", "root-key.pem", "--ca-password", "file:secret"]
    words += ["--out", "next", "--key-password", "file:secret"]
    Path("next-by-old.pem").symlink_to("nowhere")
    assert main(words) == 9
    assert [path.name for path in files.glob("next*")] == ["next-by-old.pem"]
    Path("next-by-old.pem").unlink()
    assert main([*words, "--key-size", "384"]) == 3
    assert "--key-size" in capsys.readouterr().err
    monkeypatch.setenv("GROUNDPLANE_PKI_AUDIT", str(files / "audit"))
    assert main(words) == 0
    assert len(list(files.glob("next*"))) == 5
    assert b"ENCRYPTED" in Path("next-key.pem").read_bytes()
    told = [json.loads(line) for line in Path("audit").read_text().splitlines()]
    assert [(line["event"], line["place"]) for line in told] == [
        ("rolled over", f"next{name}.pem") for name in ("", "-by-old", "-old-by-new")
    ]


def test_check_reads_all_that_the_file_names(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = files / "renewer.json"
    words = ["pki", "renewer", "--config", str(path), "--check"]
    path.write_text(json.dumps(CONFIG))
    before = {one.name: one.read_bytes() for one in files.iterdir()}
    assert main(words) == 0
    assert {one.name: one.read_bytes() for one in files.iterdir()} == before
    for change, words_of in (
        ({"certificate": "no.pem"}, "no.pem: cannot be read"),
        ({"ca": {"certificate": "middle.pem", "key": "root-key.pem"}}, "the key is not the one"),
    ):
        document = {**CONFIG, "certificates": [{**CONFIG["certificates"][0], **change}]}  # type: ignore[dict-item] # a list
        path.write_text(json.dumps(document))
        assert main(words) != 0
        assert words_of in capsys.readouterr().err
    path.write_text(json.dumps({**CONFIG, "metrics": "no/where.prom"}))
    assert main(words) == 4


def test_a_source_without_end_is_refused(files: Path) -> None:
    with pytest.raises(Exhausted, match="more than 16 MiB"):
        read_pair(replace(target(files, "leaf", "middle"), certificate=Path("/dev/zero")))
