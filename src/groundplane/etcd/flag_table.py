"""Every flag of etcd 3.4 to 3.7 that a cluster file may carry: its kind, the versions that have it, its spelling then.

Many flags began as `experimental-NAME` and became `NAME` in 3.6 (3.7 dropped the old spelling); a few turned into
feature gates instead. The table holds each once, under its plain name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

Version = tuple[int, int, int]

FIRST: Version = (3, 4, 0)
_V35, _V36, _V37 = (3, 5, 0), (3, 6, 0), (3, 7, 0)


class Kind(Enum):
    """What a flag's value is."""

    SWITCH = "true or false"
    NUMBER = "a number"
    DURATION = "a duration such as 500ms, 10s or 1h30m"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag. `until`: the first version that lacks it.

    `trial`: the first version that has it as `experimental-NAME`, which ends where 3.7 begins. `since` None: it never
    got a plain name; then `gate` is the feature gate that replaced it.
    """

    kind: Kind
    since: Version | None = FIRST
    until: Version | None = None
    trial: Version | None = None
    gate: str = ""


def _flags() -> Iterator[tuple[str, Flag]]:
    def some(
        kind: Kind, names: str, *, since: Version = FIRST, until: Version | None = None, trial: Version | None = None
    ) -> Iterator[tuple[str, Flag]]:
        return ((name, Flag(kind=kind, since=since, until=until, trial=trial)) for name in names.split())

    yield from some(
        Kind.NUMBER,
        "auth-token-ttl backend-batch-limit bcrypt-cost election-timeout heartbeat-interval max-concurrent-streams"
        " max-request-bytes max-snapshots max-txn-ops max-wals quota-backend-bytes snapshot-count",
    )
    yield from some(Kind.NUMBER, "self-signed-cert-validity", since=_V35)
    yield from some(
        Kind.DURATION,
        "backend-batch-interval grpc-keepalive-interval grpc-keepalive-min-time grpc-keepalive-timeout",
    )
    yield from some(Kind.DURATION, "raft-read-timeout raft-write-timeout", since=_V35)
    yield from some(
        Kind.SWITCH, "enable-grpc-gateway enable-pprof initial-election-tick-advance pre-vote strict-reconfig-check"
    )
    yield from some(Kind.SWITCH, "enable-log-rotation socket-reuse-address socket-reuse-port", since=_V35)
    yield from some(Kind.SWITCH, "enable-v2", until=_V36)
    yield from some(Kind.SWITCH, "debug", until=_V35)
    yield from some(
        Kind.TEXT,
        "auth-token auto-compaction-mode auto-compaction-retention cipher-suites client-cert-allowed-hostname"
        " client-crl-file cors host-whitelist listen-metrics-urls log-level log-outputs"
        " logger metrics peer-cert-allowed-cn peer-cert-allowed-hostname peer-crl-file",
    )
    yield from some(Kind.TEXT, "log-package-levels", until=_V35)
    yield from some(
        Kind.TEXT,
        "client-cert-file client-key-file log-rotation-config-json peer-client-cert-file peer-client-key-file",
        since=_V35,
    )
    # Came to 3.4 and 3.5 late; 3.5.0 to 3.5.7 lack them, which a range cannot say: etcd itself then refuses them.
    yield from some(Kind.TEXT, "listen-client-http-urls tls-max-version tls-min-version", since=(3, 4, 25))
    yield from some(Kind.TEXT, "feature-gates log-format", since=_V36)

    yield from some(Kind.TEXT, "backend-bbolt-freelist-type", since=_V35, trial=FIRST)
    yield from some(
        Kind.DURATION,
        "corrupt-check-time warning-apply-duration watch-progress-notify-interval",
        since=_V36,
        trial=FIRST,
    )
    yield from some(Kind.NUMBER, "compaction-batch-limit", since=_V36, trial=FIRST)
    yield from some(Kind.SWITCH, "peer-skip-client-san-verification", since=_V36, trial=FIRST)
    yield from some(
        Kind.DURATION,
        "downgrade-check-time warning-unary-request-duration compaction-sleep-interval",
        since=_V36,
        trial=_V35,
    )
    yield from some(Kind.DURATION, "compact-hash-check-time", since=_V36, trial=(3, 5, 5))
    yield from some(Kind.NUMBER, "bootstrap-defrag-threshold-megabytes", since=_V36, trial=_V35)
    yield from some(Kind.NUMBER, "snapshot-catchup-entries", since=_V37, trial=_V36)
    yield from some(Kind.NUMBER, "max-learners", since=_V36, trial=_V36)
    yield from some(Kind.SWITCH, "memory-mlock enable-distributed-tracing", since=_V36, trial=_V35)
    yield from some(
        Kind.TEXT,
        "distributed-tracing-address distributed-tracing-instance-id distributed-tracing-service-name",
        since=_V36,
        trial=_V35,
    )
    yield from some(Kind.NUMBER, "distributed-tracing-sampling-rate", since=_V36, trial=_V35)

    for name, first, gate in (
        ("initial-corrupt-check", FIRST, "InitialCorruptCheck"),
        ("enable-lease-checkpoint", FIRST, "LeaseCheckpoint"),
        ("enable-lease-checkpoint-persist", (3, 4, 20), "LeaseCheckpointPersist"),
        ("compact-hash-check-enabled", (3, 5, 5), "CompactHashCheck"),
        ("stop-grpc-service-on-defrag", _V35, "StopGRPCServiceOnDefrag"),
        ("txn-mode-write-with-shared-buffer", _V35, "TxnModeWriteWithSharedBuffer"),
    ):
        yield name, Flag(kind=Kind.SWITCH, since=None, trial=first, gate=gate)


FLAGS: dict[str, Flag] = dict(_flags())

TRIAL = "experimental-"
TRIAL_ENDS = _V37

SPELLINGS = frozenset(
    {name for name, flag in FLAGS.items() if flag.since} | {TRIAL + name for name, flag in FLAGS.items() if flag.trial}
)
"""Every name that some version knows."""


def spelling(name: str, version: Version) -> str | None:
    """How `version` spells a flag, whichever way `name` does; None if it has no such flag."""
    plain = name.removeprefix(TRIAL)
    flag = FLAGS[plain]
    if flag.since and version >= flag.since and not (flag.until and version >= flag.until):
        return plain
    if flag.trial and flag.trial <= version < TRIAL_ENDS:
        return TRIAL + plain
    return None
