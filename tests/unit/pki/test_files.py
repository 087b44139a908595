"""Pairs on disk: the key private, each file whole, a CA never overwritten, a crash between the two files survived."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from groundplane.errors import Exists, NotFound
from groundplane.pki.authority import Authority
from groundplane.pki.files import PairPaths, observe_pair, write_pair, write_root
from groundplane.pki.lifecycle import Issue, Keep, assess, assess_root
from groundplane.pki.policy import client_profile, client_request, plan_root
from groundplane.system import files
from tests.unit.pki.samples import NOW, policy, quick_ca

CLIENT, PROFILE = client_request("agent"), client_profile(policy())


@pytest.fixture
def paths(tmp_path: Path) -> PairPaths:
    return PairPaths.named(tmp_path, "agent")


def test_modes_do_not_depend_on_the_umask(paths: PairPaths) -> None:
    previous = os.umask(0o000)
    try:
        write_pair(paths, certificate_pem=b"c", key_pem=b"k")
    finally:
        os.umask(previous)
    assert (paths.key.stat().st_mode & 0o777, paths.certificate.stat().st_mode & 0o777) == (0o600, 0o644)
    assert (paths.key.name, paths.certificate.name) == ("agent-key.pem", "agent.pem")


def test_what_was_written_stays(paths: PairPaths) -> None:
    authority, _ = Authority.create_root(quick_ca(), now=NOW)
    issued = authority.issue(CLIENT, PROFILE, now=NOW)
    write_pair(paths, certificate_pem=issued.certificate_pem, key_pem=issued.key_pem)
    seen = observe_pair(paths, issuer=authority.certificate)
    assert assess(seen, authority.plan(CLIENT, PROFILE, now=NOW), now=NOW) == Keep()


def test_a_crash_between_the_files_is_seen_the_next_time(paths: PairPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, _ = Authority.create_root(quick_ca(), now=NOW)
    old, new = (authority.issue(CLIENT, PROFILE, now=NOW) for _ in range(2))
    plan = authority.plan(CLIENT, PROFILE, now=NOW)
    write_pair(paths, certificate_pem=old.certificate_pem, key_pem=old.key_pem)
    whole = files.Draft.place

    def crash(self: files.Draft) -> None:
        if self.path == paths.certificate:
            raise KeyboardInterrupt
        whole(self)

    monkeypatch.setattr(files.Draft, "place", crash)
    with pytest.raises(KeyboardInterrupt):
        write_pair(paths, certificate_pem=new.certificate_pem, key_pem=new.key_pem)
    answer = assess(observe_pair(paths, issuer=authority.certificate), plan, now=NOW)
    assert answer == Issue("its key is not the one the certificate is about")


def test_a_root_is_never_overwritten(paths: PairPaths) -> None:
    (_, first), (_, second) = (Authority.create_root(quick_ca(), now=NOW) for _ in range(2))
    write_root(paths, certificate_pem=first.certificate_pem, key_pem=first.key_pem)
    with pytest.raises(Exists, match="a CA is not replaced"):
        write_root(paths, certificate_pem=second.certificate_pem, key_pem=second.key_pem)
    assert paths.key.read_bytes() == first.key_pem
    assert paths.certificate.read_bytes() == first.certificate_pem
    assert sorted(path.name for path in paths.key.parent.iterdir()) == ["agent-key.pem", "agent.pem"]


def test_a_root_whose_certificate_a_crash_swallowed_is_finished_with_its_key(paths: PairPaths) -> None:
    _, root = Authority.create_root(quick_ca(), now=NOW)
    files.replace(paths.key, root.key_pem, mode=0o600)
    answer = assess_root(observe_pair(paths, issuer=None), plan_root(quick_ca(), now=NOW), now=NOW)
    assert answer == Issue("its key is there, its certificate is not yet", with_key=True)
    write_root(paths, certificate_pem=root.certificate_pem, key_pem=root.key_pem)
    assert assess_root(observe_pair(paths, issuer=None), plan_root(quick_ca(), now=NOW), now=NOW) == Keep()


def test_a_file_that_cannot_be_read_is_not_taken_for_a_missing_one(paths: PairPaths) -> None:
    paths.key.mkdir()
    seen = observe_pair(paths, issuer=None)
    assert seen.has_key
    assert not isinstance(assess_root(seen, plan_root(quick_ca(), now=NOW), now=NOW), Issue)


def test_nothing_at_all_is_nothing(paths: PairPaths) -> None:
    seen = observe_pair(paths, issuer=None)
    assert (seen.has_certificate, seen.has_key, len(seen.troubles)) == (False, False, 2)


@pytest.mark.parametrize("write", [write_pair, write_root])
def test_what_fails_before_they_are_placed_leaves_nothing(paths: PairPaths, write: Callable[..., None]) -> None:
    _, pair = Authority.create_root(quick_ca(), now=NOW)

    def refuse() -> None:
        raise NotFound("no database", to="db")

    with pytest.raises(NotFound):
        write(paths, certificate_pem=pair.certificate_pem, key_pem=pair.key_pem, before=refuse)
    assert list(paths.key.parent.iterdir()) == []


def test_of_many_who_make_one_pair_at_once_the_files_are_one_s(paths: PairPaths) -> None:
    made = [Authority.create_root(quick_ca(), now=NOW)[1] for _ in range(8)]

    def write(number: int) -> None:
        with suppress(Exists):
            (write_root if number < 2 else write_pair)(
                paths, certificate_pem=made[number].certificate_pem, key_pem=made[number].key_pem, durable=False
            )

    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            list(pool.map(write, range(8)))
            found = paths.key.read_bytes(), paths.certificate.read_bytes()
            assert found in [(one.key_pem, one.certificate_pem) for one in made]
    assert len(list(paths.key.parent.iterdir())) == 2
