"""Words of chains: how one is chosen, and why a certificate is refused.

A refusal has the words of Go's verifier, which CFSSL's callers match on and users of Go programs know.
"""

from enum import Enum
from typing import Protocol

from groundplane.errors import GroundplaneError, Kind


class Flavor(Enum):
    """Which of several chains to choose: the widest trusted, the shortest, or the one that was given."""

    UBIQUITOUS = "ubiquitous"
    OPTIMAL = "optimal"
    FORCE = "force"


class Purpose(Enum):
    """What a chain shall be good for: the extended key usage that each of its certificates must allow."""

    ANY = ""
    SERVER = "1.3.6.1.5.5.7.3.1"
    CLIENT = "1.3.6.1.5.5.7.3.2"


class Reason(Enum):
    """Why there is no chain. The first ten have Go's numbers; CFSSL's codes are 1210 and that number."""

    NOT_AUTHORIZED_TO_SIGN = 0
    EXPIRED = 1
    NAME_NOT_ALLOWED = 2
    TOO_MANY_INTERMEDIATES = 3
    INCOMPATIBLE_USAGE = 4
    NAME_MISMATCH = 5
    CONSTRAINTS_WITHOUT_NAMES = 6
    UNCONSTRAINED_NAME = 7
    TOO_MANY_CONSTRAINTS = 8
    USAGE_NOT_ALLOWED = 9
    UNKNOWN_AUTHORITY = 10
    OTHER = 11  # a broken signature, a wrong host, an extension that nobody here understands
    SELF_SIGNED = 12
    KEY_MISMATCH = 13
    KEY_KIND = 14
    REVOKED = 15
    UNCHECKED = 16  # whether it is revoked could not be found out


class ChainRefused(GroundplaneError):
    """No chain can be made of it; `happened` is why, in Go's words, and `reason` the kind of that."""

    kind = Kind.INVALID

    def __init__(self, reason: Reason, happened: str, *, to: object, hint: str = "") -> None:
        self.reason = reason
        super().__init__(happened, to=to, hint=hint)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.reason.value, self.happened, str(self.to), self.hint)


def _rebuild(reason: int, happened: str, to: str, hint: str) -> ChainRefused:
    return ChainRefused(Reason(reason), happened, to=to, hint=hint)


class Log(Protocol):
    """Who is told what was done on the way."""

    def info(self, text: str) -> None:
        """What was done."""

    def error(self, text: str) -> None:
        """What went wrong, and was passed over."""


class Silent:
    """Tells nobody."""

    def info(self, text: str) -> None:
        """Nothing."""

    def error(self, text: str) -> None:
        """Nothing."""
