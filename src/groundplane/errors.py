"""Kinds of failure, and what each door says for them.

Every error that groundplane raises on purpose is a `GroundplaneError` leaf, defined next to the code that raises it.
Its `kind` decides what the command line exits with, and what gRPC, HTTP and CNI answer. This is the only such table
in the project; a borrowed interface (CFSSL's codes, etcdctl's exit codes) maps kinds to its own in its own `wire.py`.
"""

import errno
from enum import Enum
from typing import ClassVar


class Kind(Enum):
    """What went wrong, as each door reports it: (exit code, gRPC status name, HTTP status, CNI error code).

    Exit 0 is success, 1 an unexpected failure (a bug: please report it), 2 a usage error from the argument parser.
    CNI codes below 100 are the specification's; 100 and up are a plugin's own.
    """

    INVALID = (3, "INVALID_ARGUMENT", 400, 7)
    NOT_FOUND = (4, "NOT_FOUND", 404, 3)
    WRONG_STATE = (5, "FAILED_PRECONDITION", 409, 101)
    EXHAUSTED = (6, "RESOURCE_EXHAUSTED", 507, 102)
    UNAVAILABLE = (7, "UNAVAILABLE", 503, 11)  # the only kind `Retry` will retry
    DENIED = (8, "PERMISSION_DENIED", 403, 103)
    EXISTS = (9, "ALREADY_EXISTS", 409, 104)
    DEADLINE = (10, "DEADLINE_EXCEEDED", 504, 105)
    UNIMPLEMENTED = (11, "UNIMPLEMENTED", 501, 2)
    FAILED = (12, "INTERNAL", 500, 106)  # an outside program or the kernel refused: its words are in the message

    @property
    def exit_code(self) -> int:
        """What the command line exits with."""
        return self.value[0]

    @property
    def grpc_status(self) -> str:
        """The name of the `grpc.StatusCode`."""
        return self.value[1]

    @property
    def http_status(self) -> int:
        """The HTTP status code."""
        return self.value[2]

    @property
    def cni_code(self) -> int:
        """The `code` of a CNI error object."""
        return self.value[3]


class GroundplaneError(Exception):
    """Something happened (`happened`, lower case, no full stop) to something (`to`), and this mends it (`hint`).

    Reads as: `10.244.3.64/26: 2 free of 3 wanted; add a pool, or raise its block size`.
    """

    kind: ClassVar[Kind] = Kind.FAILED

    def __init__(self, happened: str, *, to: object, hint: str = "") -> None:
        self.happened = happened
        self.to = to
        self.hint = hint
        super().__init__(happened)

    def __str__(self) -> str:
        text = f"{self.to}: {self.happened}"
        return f"{text}; {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.happened, str(self.to), self.hint)


def _rebuild(cls: type[GroundplaneError], happened: str, to: str, hint: str) -> GroundplaneError:
    return cls(happened, to=to, hint=hint)


class Invalid(GroundplaneError):
    """The caller's input breaks a rule; nothing was changed."""

    kind = Kind.INVALID


class NotFound(GroundplaneError):
    """The named thing does not exist."""

    kind = Kind.NOT_FOUND


class WrongState(GroundplaneError):
    """The thing exists, but is not in a state that allows this."""

    kind = Kind.WRONG_STATE


class Exhausted(GroundplaneError):
    """There is no more of it: addresses, space, tokens."""

    kind = Kind.EXHAUSTED


class Unavailable(GroundplaneError):
    """A peer cannot be reached now; the same call may succeed later."""

    kind = Kind.UNAVAILABLE


class Denied(GroundplaneError):
    """The caller may not do this."""

    kind = Kind.DENIED


class Exists(GroundplaneError):
    """Something else already has this name."""

    kind = Kind.EXISTS


class DeadlineExceeded(GroundplaneError):
    """It did not finish within its time."""

    kind = Kind.DEADLINE


class Unimplemented(GroundplaneError):
    """A part of the interface that is not built."""

    kind = Kind.UNIMPLEMENTED


class Failed(GroundplaneError):
    """An outside program or the kernel refused."""

    kind = Kind.FAILED


_BY_NUMBER: dict[int, tuple[type[GroundplaneError], str]] = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), (NotFound, "make it first, or name another place")),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS), (Denied, "run as somebody who may, or name another place")
    ),
    **dict.fromkeys((errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY), (Exists, "move it away, or name another place")),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), (Exhausted, "make room, then run this again")),
    **dict.fromkeys((errno.ENOMEM, errno.EMFILE, errno.ENFILE), (Exhausted, "")),
}


def of_os(failed: OSError, *, to: object = None) -> GroundplaneError:
    """What the kernel refused, in our words and kinds; `to` None: the file that the error itself names."""
    kind, hint = _BY_NUMBER.get(failed.errno or 0, (Failed, ""))
    where = to if to is not None else failed.filename2 or failed.filename or "input or output"
    words = failed.strerror or str(failed) or type(failed).__name__
    return kind(words[:1].lower() + words[1:], to=where, hint=hint)
