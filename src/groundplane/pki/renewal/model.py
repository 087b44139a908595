"""The words of renewing. Nothing here reads a file or knows the time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from groundplane.pki.remote.ask import RemoteCA


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCA:
    """A CA. `key` is a file or a `pkcs11:` URI; `key_password` the file that holds the password of an encrypted one.

    `database`: CFSSL's db-config of where it records what it signs.
    """

    certificate: Path
    key: str
    key_password: Path | None = None
    database: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A pair to be kept fresh. `ca` None: the certificate signed itself, and will again.

    `before`: how long before its end it is renewed (None: 30 days or a third of its life, whichever is less);
    `jitter`: at most so much earlier, each pair by another amount; `lifetime` None: as long as the last one.
    `key_password`: `file:PATH` or `env:NAME` of what its key is encrypted with, the new one too.
    `hooks` are programs with their arguments, run one after the other when it has been renewed.
    """

    certificate: Path
    key: Path
    ca: LocalCA | RemoteCA | None = None
    before: timedelta | None = None
    jitter: timedelta = timedelta()
    lifetime: timedelta | None = None
    new_key: bool = False
    key_password: str = ""
    hooks: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """When a pair is to be renewed, and why then."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """What became of a pair: its new end, and what somebody should know about it."""

    not_after: datetime
    serial: int
    notes: tuple[str, ...] = ()
