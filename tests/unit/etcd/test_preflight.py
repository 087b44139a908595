"""What is found wrong with a member's files before it starts; each of these once let a cluster look well."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

from groundplane.errors import Failed
from groundplane.etcd import MemberSpec
from groundplane.etcd.member import environment, has_log, preflight, set_aside, version
from groundplane.etcd.preflight import examine
from tests.support.authority import Authority

HERE = IPv4Address("10.0.0.1")
AUTHORITY = Authority()


def words(
    pair: tuple[bytes, bytes], *, ca: bytes = AUTHORITY.pem(), addresses: Sequence[IPv4Address] = (HERE,)
) -> list[str]:
    now = datetime.now(UTC)
    return [p.happened for p in examine(ca=ca, cert=pair[0], key=pair[1], addresses=addresses, now=now)]


def test_good_files_have_no_problem_but_that_they_expire_soon() -> None:
    assert words(AUTHORITY.issue([str(HERE)], life=timedelta(days=3))) == []
    [soon] = examine(
        ca=AUTHORITY.pem(),
        cert=(pair := AUTHORITY.issue([str(HERE)]))[0],
        key=pair[1],
        addresses=[HERE],
        now=datetime.now(UTC),
    )
    assert not soon.fatal
    assert "expires at" in soon.happened


LONG = timedelta(days=3)


def test_each_flaw_is_named() -> None:
    good = AUTHORITY.issue([str(HERE)], life=LONG)
    other = AUTHORITY.issue([str(HERE)], life=LONG)
    address = [str(HERE)]
    assert words((good[0], other[1])) == ["is not the certificate's key"]
    assert words(AUTHORITY.issue(address, life=LONG, usages=[Usage.SERVER_AUTH])) == ["lacks the usage client auth"]
    assert words(AUTHORITY.issue(address, life=LONG, usages=[Usage.CLIENT_AUTH])) == ["lacks the usage server auth"]
    assert words(good, addresses=[HERE, IPv4Address("10.0.0.2")]) == ["does not name 10.0.0.2"]
    assert words(AUTHORITY.issue([], life=LONG)) == ["does not name 10.0.0.1"]
    assert words(good, ca=Authority().pem()) == ["is not signed by the CA file's authority"]
    assert words(good, ca=Authority().pem() + AUTHORITY.pem()) == []
    assert "expired at" in words(AUTHORITY.issue(address, life=timedelta(minutes=30)))[0]
    assert "is valid from" in words(AUTHORITY.issue(address, begins=timedelta(hours=1), life=LONG))[0]
    assert words((b"", good[1])) == ["holds no readable certificate"]
    assert words((good[0], b"nonsense")) == ["holds no readable private key"]
    assert words(good, ca=b"-----BEGIN CERTIFICATE-----\n!\n") == ["holds no readable certificate"]


def spec(root: Path) -> MemberSpec:
    return MemberSpec(
        name="a",
        address=HERE,
        peers={"a": "https://127.0.0.1:2380"},
        token="t",
        data_dir=root / "data",
        wal_dir=root / "wal",
        cert=root / "etcd.pem",
        key=root / "etcd-key.pem",
        ca=root / "ca.pem",
    )


def test_the_files_of_a_host_are_looked_at_where_they_are(tmp_path: Path) -> None:
    member = spec(tmp_path)
    assert {p.to for p in preflight(member)} == {str(member.ca), str(member.cert), str(member.key)}
    cert, key = AUTHORITY.issue([str(HERE), "127.0.0.1"], life=LONG)
    for path, data, mode in ((member.ca, AUTHORITY.pem(), 0o644), (member.cert, cert, 0o644), (member.key, key, 0o644)):
        path.write_bytes(data)
        path.chmod(mode)
    member.data_dir.mkdir()
    member.data_dir.chmod(0o755)
    assert [(p.to, p.happened) for p in preflight(member)] == [
        (str(member.data_dir), "has the mode 0755"),
        (str(member.key), "has the mode 0644"),
    ]
    member.key.chmod(0o600)
    member.data_dir.chmod(0o700)
    assert preflight(member) == ()


def test_a_log_is_what_makes_a_member_started_and_setting_it_aside_keeps_it(tmp_path: Path) -> None:
    member = spec(tmp_path)
    assert not has_log(member)
    assert set_aside(member, suffix=".old") == ()
    member.wal_dir.mkdir()
    assert not has_log(member)
    (member.wal_dir / "0000000000000000-0000000000000000.wal").write_bytes(b"log")
    assert has_log(member)
    assert set_aside(member, suffix=".old") == (tmp_path / "wal.old",)
    assert not has_log(member)
    assert [path.read_bytes() for path in (tmp_path / "wal.old").iterdir()] == [b"log"]


def test_no_etcd_variable_reaches_a_member() -> None:
    assert environment({"ETCD_NAME": "x", "ETCDCTL_API": "3", "PATH": "/bin"}) == {"ETCDCTL_API": "3", "PATH": "/bin"}


def test_a_binary_that_is_not_etcd_is_told_so() -> None:
    with pytest.raises(Failed, match="does not tell its version"):
        version(Path("/bin/true"))
