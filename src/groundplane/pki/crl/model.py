"""The words of certificate revocation lists (RFC 5280, 5)."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

UNSPECIFIED = 0
REMOVE_FROM_CRL = 8  # has a meaning in delta CRLs alone


class Scope(Enum):
    """What a list is about; its issuing distribution point says so."""

    ALL = "all"
    USER = "user"
    CA = "ca"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """A certificate on the list. `reason` is RFC 5280's code; `invalid_since`: from then on its key is not trusted."""

    serial: int
    revoked_at: datetime
    reason: int = UNSPECIFIED
    invalid_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlPlan:
    """A list to be signed. CFSSL's have no `number`; `points` are URLs of this list, for its distribution point."""

    revoked: tuple[Revoked, ...]
    this_update: datetime
    next_update: datetime
    number: int | None = None
    points: tuple[str, ...] = ()
    scope: Scope = Scope.ALL
