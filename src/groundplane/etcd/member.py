"""Effects around one member: its files, its environment, its binary's version, and waiting until it serves.

Starting and stopping is a supervisor's work: systemd on a real host, the init of a lab host.
"""

import os
import re
import socket
import stat
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from groundplane.errors import Failed, Unavailable
from groundplane.etcd.flag_table import Version
from groundplane.etcd.flags import MemberSpec
from groundplane.etcd.preflight import Problem, examine
from groundplane.system import process
from groundplane.system.clock import Clock, SystemClock

if TYPE_CHECKING:
    from groundplane.etcd.client import Client

_VERSION = re.compile(r"^etcd Version: ([0-9]+)\.([0-9]+)\.([0-9]+)", re.MULTILINE)
_LOOPBACK = IPv4Address("127.0.0.1")


def version(binary: Path) -> Version:
    """What `etcd --version` says."""
    said = process.run_now([str(binary), "--version"], within=timedelta(seconds=10)).stdout.decode("utf-8", "replace")
    found = _VERSION.search(said)
    if found is None:
        raise Failed(f"does not tell its version but {said[:80]!r}", to=binary, hint="is this etcd?")
    return int(found[1]), int(found[2]), int(found[3])


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """What etcd is started with: no ETCD_ variable, since one that is also a flag stops it, even if they agree."""
    return {name: value for name, value in inherited.items() if not name.startswith("ETCD_")}


def has_log(spec: MemberSpec) -> bool:
    """Whether this host's member has been started before: its write-ahead log holds files."""
    try:
        return any(path.suffix == ".wal" for path in spec.wal_dir.iterdir())
    except FileNotFoundError:
        return False


def preflight(spec: MemberSpec, *, clock: Clock | None = None, loopback: bool = True) -> tuple[Problem, ...]:
    """Everything that would stop this member, or let it run one-legged, as far as its host can tell.

    `loopback`: the certificate must name 127.0.0.1 too, as for clients on the host.
    """
    found = list(_modes(spec))
    contents = []
    for path in (spec.ca, spec.cert, spec.key):
        try:
            contents.append(path.read_bytes())
        except OSError as bad:
            hint = "run `groundplane up`"
            found.append(Problem(to=str(path), happened=f"cannot be read: {bad.strerror}", hint=hint))
    if len(contents) == 3:  # noqa: PLR2004 - all of them
        ca, cert, key = contents
        addresses = [spec.address, *_sources(spec), *([_LOOPBACK] if loopback else [])]
        now = (clock or SystemClock()).now()
        names = {"the CA file": spec.ca, "the certificate file": spec.cert, "the key file": spec.key}
        for problem in examine(ca=ca, cert=cert, key=key, addresses=addresses, now=now):
            path = names.get(problem.to, spec.cert)
            found.append(Problem(to=str(path), happened=problem.happened, hint=problem.hint, fatal=problem.fatal))
    return tuple(found)


def _modes(spec: MemberSpec) -> list[Problem]:
    found = []
    for path, allowed in ((spec.data_dir, 0o700), (spec.wal_dir, 0o700), (spec.key, 0o600)):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue  # a directory is made by etcd, as it should be; a key that is not there is told of elsewhere
        if mode & ~allowed:
            found.append(Problem(to=str(path), happened=f"has the mode {mode:04o}", hint=f"chmod {allowed:04o} {path}"))
    return found


def _sources(spec: MemberSpec) -> list[IPv4Address]:
    """The addresses that this host dials its peers from: they check them against the certificate."""
    found = []
    for url in spec.peers.values():
        parts = urlsplit(url)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
            try:
                probe.connect((parts.hostname, parts.port))  # of a datagram: a look at the routes, nothing is sent
            except OSError:
                continue  # no route yet, or not IPv4: this cannot be told now
            found.append(IPv4Address(ip_address(probe.getsockname()[0]).packed))
    return found


def set_aside(spec: MemberSpec, *, suffix: str) -> tuple[Path, ...]:
    """Move an earlier member's data and log beside themselves, to NAME`suffix`; etcd must not run. Where they are."""
    moved = []
    # The log last: it is what says that there is data, so a crash in between leaves work that is seen.
    for path in dict.fromkeys((spec.data_dir, spec.wal_dir)):
        if not path.exists() or not any(path.iterdir()):
            continue
        aside = path.with_name(path.name + suffix)
        path.rename(aside)
        path.mkdir(mode=0o700)
        before = aside.stat()
        os.chown(path, before.st_uid, before.st_gid)
        moved.append(aside)
    return tuple(moved)


async def wait_ready(client: "Client", endpoint: str, *, within: timedelta) -> None:
    """Return once the member at `endpoint` commits. Raises Unavailable with its last words."""
    from groundplane.aio import Retry

    async def ask() -> None:
        health = await client.health(endpoint)
        if not health.healthy:
            raise Unavailable(health.error, to=endpoint, hint="look at its log")

    await Retry(within=within, longest=timedelta(milliseconds=200))(ask)
