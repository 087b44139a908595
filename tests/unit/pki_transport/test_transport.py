import asyncio
import json
import ssl
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Denied, Failed, GroundplaneError, Invalid
from groundplane.pki.authority import Authority
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.sign import open_issuer
from groundplane.pki.keys import dump_key, generate
from groundplane.pki.model import P256, CertificateRequest, Profile
from groundplane.pki.transport import Access, Identity, Keeper, Paths, Transport, parse_identity
from groundplane.pki.transport.authority import Authority as Server
from groundplane.pki.transport.authority import open_authority
from groundplane.pki.transport.plan import due, is_due_at_start, pause_after
from groundplane.pki.transport.roots import Roots

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
GOOD: dict[str, object] = {
    "request": {"CN": "db", "hosts": ["db.example"]},
    "profiles": {
        "paths": {"private_key": "db-key.pem", "certificate": "db.pem"},
        "cfssl": {"remote": "https://ca:8888", "profile": "p", "label": "l", "auth-type": "standard", "auth-key": "00"},
    },
    "roots": [{"type": "system"}, {"type": "file", "metadata": {"source": "ca.pem"}}],
    "client_roots": [{"type": "cfssl", "metadata": {"host": "ca:8888", "tls-remote-ca": "x"}}],
}


def parsed(document: object) -> Identity:
    return parse_identity(json.dumps(document).encode(), source="identity.json")


def test_an_identity_is_read() -> None:
    identity = parsed(GOOD)
    assert identity.request.hosts == ("db.example",)
    assert identity.paths == Paths(private_key="db-key.pem", certificate="db.pem")
    assert identity.access.profile == "p"
    assert [str(root.type) for root in identity.roots] == ["system", "file"]
    assert identity.client_roots[0].access.trust == "x"
    assert "'00'" not in repr(identity)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"request": None}, 'there is no "request"'),
        ({"profiles": {}}, "which server signs"),
        ({"profiles": {"cfssl": {"remote": "a", "auth-key": "00"}}}, "go together"),
        ({"profiles": {"cfssl": {"remote": "a", "auth-type": "odd", "auth-key": "00"}}}, "unknown auth-type"),
        ({"profiles": {"cfssl": {"remote": "a", "mutual-tls-cert": "x"}}}, "go together"),
        ({"profiles": {"cfssl": {"remot": "a"}}}, "unknown field; did you mean 'remote'"),
        ({"profiles": {"cfssl": {}}}, "neither a remote nor a label"),
        ({"profiles": {"cfssl": {"remote": "a"}, "paths": {"certificate": "x"}}}, 'no "private_key"'),
        ({"roots": [{"type": "files"}]}, "did you mean 'file'"),
        ({"roots": [{"type": "file"}]}, 'no "source"'),
        ({"roots": [{"type": "cfssl", "metadata": {"remote": "x"}}]}, "unknown field"),
        ({"request": {"CN": "x", "ca": {}}}, "a transport is no CA"),
        ({"more": 1}, "unknown field"),
    ],
)
def test_what_cfssl_passes_over_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        parsed({**GOOD, **change})


def test_it_asks_early_at_the_start_and_later_when_before_is_left() -> None:
    start, end = NOW, NOW + 10 * DAY
    assert due(start, end, before=DAY) == end - DAY
    assert not is_due_at_start(start, end, before=DAY, now=end - 2 * DAY)
    assert is_due_at_start(start, end, before=DAY, now=end - 2 * DAY + HOUR)
    assert due(start, start + 3 * HOUR, before=DAY) == start + 2 * HOUR


@given(st.timedeltas(timedelta(minutes=1), 1000 * DAY), st.timedeltas(timedelta(seconds=1), 100 * DAY))
def test_a_fresh_certificate_is_never_due(life: timedelta, before: timedelta) -> None:
    assert due(NOW, NOW + life, before=before) > NOW
    assert not is_due_at_start(NOW, NOW + life, before=before, now=NOW)


def test_pauses_double_up_to_six_hours() -> None:
    assert [pause_after(number, chance=0) / timedelta(minutes=5) for number in (1, 2, 3)] == [1, 2, 4]
    assert pause_after(1000, chance=0) == 6 * HOUR
    assert pause_after(1, chance=1) == timedelta(minutes=4)


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


class FakeServer:
    """Signs like a CFSSL server would, without one."""

    def __init__(self, clock: Clock) -> None:
        _, root = Authority.create_root(CertificateRequest(common_name="CA"), now=clock() - 30 * DAY)
        journal = Journal(write=lambda _: None, clock=clock)
        self.issuer = open_issuer(root.certificate_pem, root.key_pem, password=b"", clock=clock, journal=journal)
        self.ca = root.certificate_pem.decode()
        self.asked: list[bytes] = []
        self.trouble: GroundplaneError | None = None
        self.forged = False

    def sign(self, csr: bytes, hosts: object) -> x509.Certificate:
        assert list(hosts) == ["db.example"]  # type: ignore[call-overload]
        if self.trouble is not None:
            raise self.trouble
        self.asked.append(csr)
        if self.forged:
            return x509.load_pem_x509_certificate(self.ca.encode())
        profile = Profile(name="p", expiry=10 * DAY, usages=("signing", "server auth", "client auth"))
        return x509.load_pem_x509_certificate(self.issuer.sign(csr, profile).encode())


def transport(at: Path, server: FakeServer, clock: Clock) -> Transport:
    identity = parsed(GOOD)
    paths = Paths(private_key=str(at / "key.pem"), certificate=str(at / "cert.pem"))
    roots = Roots(pem=server.ca)
    identity = replace(identity, paths=paths)
    return Transport(identity, authority=server, roots=roots, client_roots=roots, clock=clock)  # type: ignore[arg-type]


def test_a_pair_is_made_kept_and_renewed_with_its_key(tmp_path: Path) -> None:
    clock = Clock()
    server = FakeServer(clock)
    first = transport(tmp_path, server, clock)
    assert first.refresh()
    assert not first.refresh()
    key = (tmp_path / "key.pem").read_bytes()
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "cert.pem").stat().st_mode & 0o777 == 0o644
    again = transport(tmp_path, server, clock)
    assert not again.refresh()
    assert again.certificate == first.certificate
    clock.time += 9 * DAY
    assert first.refresh()
    assert (tmp_path / "key.pem").read_bytes() == key
    clock.time -= 12 * HOUR
    early = transport(tmp_path, server, clock)
    assert not early.refresh()
    assert len(server.asked) == 2


def test_a_certificate_for_another_key_is_asked_for_again_and_a_broken_key_is_not_replaced(tmp_path: Path) -> None:
    clock = Clock()
    server = FakeServer(clock)
    transport(tmp_path, server, clock).refresh()
    (tmp_path / "key.pem").write_bytes(dump_key(generate(P256)))
    assert transport(tmp_path, server, clock).refresh()
    (tmp_path / "key.pem").write_bytes(b"nonsense")
    with pytest.raises(Invalid):
        transport(tmp_path, server, clock).refresh()
    assert (tmp_path / "key.pem").read_bytes() == b"nonsense"


def test_what_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    clock = Clock()
    server = FakeServer(clock)
    it = transport(tmp_path, server, clock)
    it.refresh()
    before = (tmp_path / "cert.pem").read_bytes()
    clock.time += 9 * DAY + HOUR
    server.forged = True
    with pytest.raises(Failed, match="about another key"):
        it.refresh()
    server.trouble = Failed("no", to="x")
    with pytest.raises(Failed):
        it.refresh()
    assert (tmp_path / "cert.pem").read_bytes() == before
    server.forged, server.trouble = False, None
    assert it.refresh()


def test_contexts_in_use_show_the_newest_certificate(tmp_path: Path) -> None:
    clock = Clock()
    clock.time = datetime.now(UTC) - 9 * DAY - HOUR
    server = FakeServer(clock)
    it = transport(tmp_path, server, clock)
    serving, asking = it.server_context(mutual=True), it.client_context()

    def shown() -> bytes:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        one = serving.wrap_bio(to_server, to_client, server_side=True)
        two = asking.wrap_bio(to_client, to_server, server_hostname="db.example")
        for _ in range(6):
            for side in (two, one):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        assert one.getpeercert(binary_form=True)
        return two.getpeercert(binary_form=True) or b""

    def newest() -> bytes:
        assert it.certificate is not None
        return it.certificate.public_bytes(Encoding.DER)

    first = newest()
    assert shown() == first
    clock.time = datetime.now(UTC)
    it.refresh()
    assert shown() == newest() != first


def test_only_a_server_on_this_machine_is_asked_without_a_key(tmp_path: Path) -> None:
    server = open_authority(Access(remote="10.255.255.1:8888"), directories=())
    with pytest.raises(Denied, match="needs to know who asks"):
        server.sign(b"x", ())
    with pytest.raises(Failed, match="connection refused"):
        open_authority(Access(remote="127.0.0.1:1"), directories=()).sign(b"x", ())
    policy = {
        "signing": {"default": {"remote": "r", "auth_key": "k"}},
        "remotes": {"r": "ca.example:1"},
        "auth_keys": {"k": {"type": "standard", "key": "abcd"}},
    }
    (tmp_path / "lab.json").write_text(json.dumps(policy))
    found = open_authority(Access(label="lab"), directories=(tmp_path,))
    assert isinstance(found, Server)
    assert (found.key, found.client.addresses[0].host) == (b"\xab\xcd", "ca.example")
    assert "abcd" not in repr(found)


def test_hooks_run_once_for_each_certificate_and_again_if_they_fail(tmp_path: Path) -> None:
    clock = Clock()
    it = transport(tmp_path, FakeServer(clock), clock)
    script = (
        f"import os, pathlib; pathlib.Path({str(tmp_path)!r}, 'ran').open('a').write(os.environ['GROUNDPLANE_KEY'])"
    )
    keeper = Keeper(transport=it, hooks=((sys.executable, "-c", script),), clock=clock)
    assert asyncio.run(keeper.once())
    assert not asyncio.run(keeper.once())
    assert (tmp_path / "ran").read_text() == str(tmp_path / "key.pem")
    failing = Keeper(transport=transport(tmp_path / "x", FakeServer(clock), clock), hooks=(("false",),), clock=clock)
    (tmp_path / "x").mkdir()
    for _ in range(2):
        with pytest.raises(GroundplaneError):
            asyncio.run(failing.once())
