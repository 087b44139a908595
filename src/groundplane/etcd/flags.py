"""The argument list of an etcd member, from what the cluster file says. Pure.

Refused: a flag that etcd does not have (`flag_table` knows those of 3.4 to 3.7), one that groundplane sets itself, one
that would lose data or identity if it stayed in a unit file, a value that is not of the flag's kind, a heartbeat and
election that etcd would refuse, and a listener that answers strangers.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from groundplane.errors import Invalid
from groundplane.etcd.flag_table import FLAGS, SPELLINGS, TRIAL, Kind, Version, spelling

CLIENT_PORT, PEER_PORT = 2379, 2380
_ELECTION_LONGEST = 50000  # milliseconds; etcd's own bound
_HEARTBEAT, _ELECTION = 100, 1000

OURS = frozenset(
    {
        *("name", "data-dir", "wal-dir", "cert-file", "key-file", "trusted-ca-file", "client-cert-auth"),
        *("peer-cert-file", "peer-key-file", "peer-trusted-ca-file", "peer-client-cert-auth"),
        *("listen-peer-urls", "initial-advertise-peer-urls", "listen-client-urls", "advertise-client-urls"),
        *("initial-cluster", "initial-cluster-state", "initial-cluster-token"),
    }
)
"""What the cluster file says elsewhere: hosts, certificates, token."""

_HOSTS_SAY = "who the members are is said by hosts, and etcd takes one way only"
_UNSAFE: Mapping[str, str] = {
    "force-new-cluster": "it throws every other member out, at each start",
    "unsafe-no-fsync": "a power cut would lose data",
    "auto-tls": "certificates come from the cluster's CA",
    "peer-auto-tls": "certificates come from the cluster's CA",
    "config-file": "etcd would then ignore every other flag",
    "discovery": _HOSTS_SAY,
    "discovery-srv": _HOSTS_SAY,
    "discovery-srv-name": _HOSTS_SAY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSpec:
    """One member. `peers`: peer URL by member name, itself included, in the order of `initial-cluster`.

    `flags`: further flags by name; true is a bare flag, false and text are written out. `plain_loopback` adds the
    client listener http://127.0.0.1:2379, which asks nobody for a certificate.
    """

    name: str
    address: IPv4Address
    peers: Mapping[str, str]
    token: str
    data_dir: Path
    wal_dir: Path
    cert: Path
    key: Path
    ca: Path
    flags: Mapping[str, str | bool] = field(default_factory=dict)
    plain_loopback: bool = False
    state: str = "new"


def check_extra_flags(flags: Mapping[str, str | bool], *, at: str) -> None:
    """Raise Invalid, naming `at` and the flag, for the first that may not stand in a cluster file."""
    for name, value in flags.items():
        where = f"{at}.{name}"
        if name in OURS:
            raise Invalid("is set by groundplane itself", to=where, hint="say it with hosts, pki or etcd.token instead")
        if name in _UNSAFE:
            raise Invalid(f"may not stand in a cluster file: {_UNSAFE[name]}", to=where, hint="remove it")
        if name not in SPELLINGS:
            near = difflib.get_close_matches(name, SPELLINGS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see `etcd --help`"
            raise Invalid("is not a flag of etcd", to=where, hint=hint)
        if name.startswith(TRIAL) and name.removeprefix(TRIAL) in flags:
            raise Invalid("stands there under both its names", to=where, hint="keep one of them")
        _check_value(name.removeprefix(TRIAL), value, where)
    _check_timing(flags, at)


def for_version(flags: Mapping[str, str | bool], version: Version, *, at: str) -> dict[str, str | bool]:
    """The same flags as this version of etcd spells them. Raises Invalid for the first that it lacks."""
    spelled = {}
    for name, value in flags.items():
        found = spelling(name, version)
        if found is None:
            gate = FLAGS[name.removeprefix(TRIAL)].gate
            hint = f"use feature-gates with {gate}=true" if gate else "remove it, or install a version that has it"
            raise Invalid(f"is not a flag of etcd {'.'.join(map(str, version))}", to=f"{at}.{name}", hint=hint)
        spelled[found] = value
    return spelled


_NUMBER = re.compile(r"-?[0-9]{1,19}")
_DURATION = re.compile(r"0|(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))+")
_LISTENERS = frozenset({"listen-metrics-urls", "listen-client-http-urls"})


def _check_value(name: str, value: str | bool, where: str) -> None:  # noqa: FBT001 - a flag's value, whatever it is
    kind = FLAGS[name].kind
    if isinstance(value, bool):
        good = kind is Kind.SWITCH
    elif not value or any(ord(letter) < 32 or ord(letter) == 127 for letter in value):  # noqa: PLR2004 - ASCII's controls
        raise Invalid("its value is empty or holds a control character", to=where, hint=f"give {kind.value}")
    else:
        patterns = {Kind.NUMBER: _NUMBER, Kind.DURATION: _DURATION}
        good = (
            patterns[kind].fullmatch(value) is not None
            if kind in patterns
            else kind is Kind.TEXT or value in ("true", "false")
        )
    if not good:
        raise Invalid(f"{value!r} is not what this flag takes", to=where, hint=f"give {kind.value}")
    if name in _LISTENERS and isinstance(value, str):
        for url in value.split(","):
            _check_listener(url, where)


def _check_listener(url: str, where: str) -> None:
    """An address of the host, as etcd demands; without TLS only where nobody else can reach it."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError as bad:
        raise Invalid(f"{url!r} is not a URL of an IP address", to=where, hint="write http://127.0.0.1:2381") from bad
    if parts.scheme not in ("http", "https") or port is None:
        raise Invalid(f"{url!r} is not an http:// or https:// URL with a port", to=where, hint="add what is missing")
    if parts.scheme == "http" and not loopback:
        raise Invalid(f"{url!r} would answer anybody in the network", to=where, hint="use https://, or 127.0.0.1")


def _check_timing(flags: Mapping[str, str | bool], at: str) -> None:
    numbers = []
    for name, default in (("heartbeat-interval", _HEARTBEAT), ("election-timeout", _ELECTION)):
        value = flags.get(name, str(default))
        if not (isinstance(value, str) and value.isascii() and value.isdigit() and int(value) > 0):
            raise Invalid(f"{value!r} is not a number of milliseconds", to=f"{at}.{name}", hint="write it as 1000")
        numbers.append(int(value))
    heartbeat, election = numbers
    if election < 5 * heartbeat:
        raise Invalid(
            f"{election} ms is less than five heartbeats of {heartbeat} ms",
            to=f"{at}.election-timeout",
            hint=f"use {10 * heartbeat} or more",
        )
    if election > _ELECTION_LONGEST:
        raise Invalid(f"{election} ms is more than etcd allows", to=f"{at}.election-timeout", hint="use 50000 or less")


def render_flags(spec: MemberSpec) -> tuple[str, ...]:
    """Every flag as `--name=value` or, bare, `--name`; deterministic, in the customary order of unit files."""
    _check_spec(spec)
    client = f"https://{spec.address}:{CLIENT_PORT}"
    listen = f"{client},http://127.0.0.1:{CLIENT_PORT}" if spec.plain_loopback else client
    peer = spec.peers[spec.name]
    cluster = ",".join(f"{name}={url}" for name, url in spec.peers.items())
    return (
        f"--data-dir={spec.data_dir}",
        f"--wal-dir={spec.wal_dir}",
        f"--name={spec.name}",
        f"--cert-file={spec.cert}",
        f"--key-file={spec.key}",
        f"--trusted-ca-file={spec.ca}",
        f"--peer-cert-file={spec.cert}",
        f"--peer-key-file={spec.key}",
        f"--peer-trusted-ca-file={spec.ca}",
        "--peer-client-cert-auth",
        "--client-cert-auth",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--listen-client-urls={listen}",
        f"--advertise-client-urls={client}",
        f"--initial-cluster-token={spec.token}",
        f"--initial-cluster={cluster}",
        f"--initial-cluster-state={spec.state}",
        *(_one(name, value) for name, value in spec.flags.items()),
    )


def _check_spec(spec: MemberSpec) -> None:
    """What would make one list of arguments mean another."""
    if spec.name not in spec.peers:
        raise Invalid(f"{spec.name!r} is not among the peers", to="initial-cluster", hint="add it there")
    urls = list(spec.peers.values())
    twice = next((url for url in urls if urls.count(url) > 1), None)
    if twice is not None:
        raise Invalid("two members have this peer URL", to=twice, hint="give each member an address of its own")
    words = {**{f"{name}={url}": "initial-cluster" for name, url in spec.peers.items()}, spec.token: "token"}
    for word, what in words.items():
        if not word or not word.isprintable() or "," in word or any(letter.isspace() for letter in word):
            raise Invalid(f"{word!r} holds what it may not, or nothing", to=what, hint="use letters, digits and -")
    if spec.state not in ("new", "existing"):
        raise Invalid(f"{spec.state!r} is not a state", to="initial-cluster-state", hint="use new or existing")


def _one(name: str, value: str | bool) -> str:  # noqa: FBT001 - true is a bare flag
    if value is True:
        return f"--{name}"
    return f"--{name}=false" if value is False else f"--{name}={value}"
