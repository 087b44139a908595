"""What passes between the decisions and the store: values with revisions, and the changes to make together."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """A value, and the revision that a change of it must name."""

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """Write (or, with None, delete) a key, if it is still at `revision`; 0 means that it must not exist."""

    key: str
    revision: int
    value: bytes | None
