"""The words of an etcd cluster: keys with their revisions, transactions, members, health."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from groundplane.errors import Failed, GroundplaneError, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSFiles:
    """A client's identity and the authority it trusts, as PEM files that are read again when they change."""

    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValue:
    """A key as it is at a revision. `lease` 0: none. `version` counts writes since the key was created, from 1."""

    key: bytes
    value: bytes
    mod_revision: int
    create_revision: int
    version: int
    lease: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Every key under a prefix at one revision, ascending by key. Watch from `revision` + 1 to miss nothing."""

    kvs: tuple[KeyValue, ...]
    revision: int


class Target(Enum):
    """What of a key a comparison looks at."""

    VERSION = "version"
    CREATE = "create_revision"
    MOD = "mod_revision"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Compare:
    """A condition of a transaction; `relation` is one of = > < !=. A key that is not there has version 0."""

    key: bytes
    target: Target
    relation: str
    operand: int | bytes

    @classmethod
    def version(cls, key: bytes, relation: str, number: int) -> "Compare":
        """Compare how often the key was written since it was created."""
        return cls(key, Target.VERSION, relation, number)

    @classmethod
    def create_revision(cls, key: bytes, relation: str, revision: int) -> "Compare":
        """Compare the revision that created the key."""
        return cls(key, Target.CREATE, relation, revision)

    @classmethod
    def mod_revision(cls, key: bytes, relation: str, revision: int) -> "Compare":
        """Compare the revision that last wrote the key."""
        return cls(key, Target.MOD, relation, revision)

    @classmethod
    def value(cls, key: bytes, relation: str, value: bytes) -> "Compare":
        """Compare the value, bytewise."""
        return cls(key, Target.VALUE, relation, value)


class OpKind(Enum):
    """What an operation of a transaction does."""

    PUT = "put"
    GET = "get"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Op:
    """One operation of a transaction. `prefix`: every key that begins with `key` (get and delete only)."""

    kind: OpKind
    key: bytes
    data: bytes = b""
    lease: int = 0
    prefix: bool = False

    @classmethod
    def put(cls, key: bytes, value: bytes, *, lease: int = 0) -> "Op":
        """Write a key."""
        return cls(OpKind.PUT, key, value, lease)

    @classmethod
    def get(cls, key: bytes, *, prefix: bool = False) -> "Op":
        """Read a key."""
        return cls(OpKind.GET, key, prefix=prefix)

    @classmethod
    def delete(cls, key: bytes, *, prefix: bool = False) -> "Op":
        """Remove a key."""
        return cls(OpKind.DELETE, key, prefix=prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpResult:
    """What one operation gave: keys read, or the number removed."""

    kvs: tuple[KeyValue, ...] = ()
    deleted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TxnResult:
    """Which branch ran, at which revision, and what each of its operations gave."""

    succeeded: bool
    revision: int
    responses: tuple[OpResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change. For a deletion `kv` has only key and mod_revision; `previous` is what was there, if asked for."""

    kv: KeyValue
    deleted: bool = False
    previous: KeyValue | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBatch:
    """All changes of one or more whole revisions, in order; `revision` is the last of them."""

    revision: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member as the cluster knows it; one that has never started has no name."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    is_learner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberList:
    """The members and who answered."""

    cluster_id: int
    member_id: int
    raft_term: int
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberStatus:
    """What one member says of itself; `leader` 0: it knows of none. Sizes in bytes."""

    endpoint: str
    cluster_id: int
    member_id: int
    revision: int
    version: str
    db_size: int
    db_size_in_use: int
    leader: int
    raft_index: int
    raft_term: int
    raft_applied_index: int
    is_learner: bool
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether an endpoint commits a proposal, and how long it took."""

    endpoint: str
    healthy: bool
    seconds: float
    error: str = ""


class Compacted(GroundplaneError):
    """A watch asks for revisions that have been compacted away: list again, and watch from there."""

    kind = Kind.WRONG_STATE

    def __init__(self, happened: str, *, to: object, hint: str = "", revision: int = 0) -> None:
        super().__init__(happened, to=to, hint=hint)
        self.revision = revision


class EtcdRefused(Failed):
    """etcd refused a request; its own words."""


def prefix_end(prefix: bytes) -> bytes:
    """The range_end that makes a range of every key that begins with `prefix` (etcd's API: carry, dropping 0xff)."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else b"\0"
