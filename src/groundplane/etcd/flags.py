"""The argument list of an etcd member, from what the cluster file says. Pure.

Follows etcd 3.4 to 3.6's own flag names. Refused: a flag that etcd does not have, one that groundplane sets itself, one
that would lose data or identity if it stayed in a unit file, and a heartbeat and election that etcd would refuse.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from groundplane.errors import Invalid

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

_UNSAFE: Mapping[str, str] = {
    "force-new-cluster": "it throws every other member out, at each start",
    "unsafe-no-fsync": "a power cut would lose data",
    "auto-tls": "certificates come from the cluster's CA",
    "peer-auto-tls": "certificates come from the cluster's CA",
    "config-file": "etcd would then ignore every other flag",
}

KNOWN = frozenset(
    {
        *("auth-token", "auth-token-ttl", "auto-compaction-mode", "auto-compaction-retention", "bcrypt-cost"),
        *("backend-batch-interval", "backend-batch-limit", "backend-bbolt-freelist-type", "cipher-suites"),
        *("client-cert-allowed-hostname", "client-crl-file", "compact-hash-check-time", "compaction-batch-limit"),
        *("compaction-sleep-interval", "corrupt-check-time", "cors", "debug", "discovery-srv", "discovery-srv-name"),
        *("election-timeout", "enable-grpc-gateway", "enable-log-rotation", "enable-pprof", "enable-v2"),
        *("experimental-backend-bbolt-freelist-type", "experimental-compaction-batch-limit"),
        *("experimental-corrupt-check-time", "experimental-enable-lease-checkpoint"),
        *("experimental-initial-corrupt-check", "experimental-peer-skip-client-san-verification"),
        *("experimental-warning-apply-duration", "experimental-watch-progress-notify-interval"),
        *("experimental-compact-hash-check-enabled", "experimental-compact-hash-check-time", "feature-gates"),
        *("experimental-max-learners", "experimental-memory-mlock", "experimental-txn-mode-write-with-shared-buffer"),
        *("experimental-bootstrap-defrag-threshold-megabytes", "experimental-enable-lease-checkpoint-persist"),
        *("experimental-warning-unary-request-duration", "experimental-distributed-tracing-address"),
        *("experimental-enable-distributed-tracing", "experimental-distributed-tracing-service-name"),
        *("grpc-keepalive-interval", "grpc-keepalive-min-time", "grpc-keepalive-timeout", "heartbeat-interval"),
        *("host-whitelist", "initial-election-tick-advance", "listen-client-http-urls", "listen-metrics-urls"),
        *("log-format", "log-level", "log-outputs", "log-package-levels", "log-rotation-config-json", "logger"),
        *("max-concurrent-streams", "max-learners", "max-request-bytes", "max-snapshots", "max-txn-ops", "max-wals"),
        *("memory-mlock", "metrics", "peer-cert-allowed-cn", "peer-cert-allowed-hostname", "peer-crl-file"),
        *("peer-skip-client-san-verification", "pre-vote", "quota-backend-bytes", "raft-read-timeout"),
        *("raft-write-timeout", "self-signed-cert-validity", "snapshot-catchup-entries", "snapshot-count"),
        *("socket-reuse-address", "socket-reuse-port", "strict-reconfig-check", "tls-max-version", "tls-min-version"),
        *("warning-apply-duration", "warning-unary-request-duration", "watch-progress-notify-interval"),
        *("bootstrap-defrag-threshold-megabytes", "client-cert-file", "client-key-file", "peer-client-cert-file"),
        *("peer-client-key-file", "downgrade-check-time"),
    }
)


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
        if name not in KNOWN:
            near = difflib.get_close_matches(name, KNOWN, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see `etcd --help`"
            raise Invalid("is not a flag of etcd", to=where, hint=hint)
        if isinstance(value, str) and (not value or any(ord(letter) < 32 for letter in value)):  # noqa: PLR2004
            raise Invalid("its value is empty or holds a control character", to=where)
    _check_timing(flags, at)


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
    if spec.name not in spec.peers:
        raise Invalid(f"{spec.name!r} is not among the peers", to="initial-cluster", hint="add it there")
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


def _one(name: str, value: str | bool) -> str:  # noqa: FBT001 - true is a bare flag
    if value is True:
        return f"--{name}"
    return f"--{name}=false" if value is False else f"--{name}={value}"
