"""What a database's refusal means: try again, it is there already, it is not there, or it failed; in Go's words too."""

import re
from dataclasses import dataclass
from enum import Enum, auto

import sqlalchemy as sa
import sqlalchemy.exc

from groundplane.errors import Failed


class Sort(Enum):
    """What to do about a refusal."""

    BUSY = auto()  # nothing was done: others were in the way
    LOST = auto()  # the connection is gone, and with it the answer
    UNREACHABLE = auto()  # there never was a connection
    TAKEN = auto()  # a row with this key exists
    ORPHAN = auto()  # the row that it belongs to is missing
    REFUSED = auto()


class StoreFailed(Failed):
    """The database refused; `words` are its own, as CFSSL's Go drivers say them."""

    def __init__(self, happened: str, *, to: object, hint: str = "", words: str = "") -> None:
        super().__init__(happened, to=to, hint=hint)
        self.words = words or happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A refusal, judged."""

    sort: Sort
    words: str


_SQLITE_BUSY, _SQLITE_LOCKED, _PRIMARY = 5, 6, 0xFF
_NOT_YET = ("starting up", "shutting down", "recovery mode", "not yet accepting")
_POSTGRES_BUSY = ("40001", "40P01", "55P03", "53300")
_POSTGRES_LOST = ("57P01", "57P02", "57P03", "08000", "08003", "08006")
_MYSQL_BUSY = frozenset({1205, 1213, 1020, 1040, 1203})
_MYSQL_LOST = frozenset({0, 1053, 1927, 2006, 2013, 2014, 2055, 4031})
# The driver tells numbers alone; Go's tells states too.
_MYSQL_STATES = {
    **dict.fromkeys((1062, 1452), "23000"),
    **dict.fromkeys((1044, 1049, 1064, 1142), "42000"),
    1146: "42S02",
    1045: "28000",
    1054: "42S22",
    1213: "40001",
    1292: "22007",
    1406: "22001",
}
_MYSQL_UNREACHABLE = frozenset({2002, 2003})


def judge(error: sqlalchemy.exc.SQLAlchemyError | Exception) -> Fault:
    """What `error` of SQLAlchemy, or of a driver under it, means."""
    origin = getattr(error, "orig", None) or error
    module = type(origin).__module__.partition(".")[0]
    if isinstance(error, sa.exc.TimeoutError):
        return Fault(sort=Sort.BUSY, words="too many calls at a time")
    match module:
        case "sqlite3":
            return _sqlite(origin)
        case "psycopg":
            return _postgres(origin)
        case "pymysql":
            return _mysql(origin)
        case _:
            return Fault(sort=Sort.REFUSED, words=str(origin))


def _sqlite(origin: BaseException) -> Fault:
    code = getattr(origin, "sqlite_errorcode", 0) or 0
    words = str(origin)
    if code & _PRIMARY in {_SQLITE_BUSY, _SQLITE_LOCKED}:
        return Fault(sort=Sort.BUSY, words=words)
    if words.startswith("UNIQUE constraint"):
        return Fault(sort=Sort.TAKEN, words=words)
    if words.startswith("FOREIGN KEY constraint"):
        return Fault(sort=Sort.ORPHAN, words=words)
    if words == "unable to open database file":
        words = "unable to open database file: no such file or directory"
    return Fault(sort=Sort.REFUSED, words=words)


def _postgres(origin: BaseException) -> Fault:
    state = getattr(origin, "sqlstate", None) or ""
    diagnosis = getattr(origin, "diag", None)
    primary = getattr(diagnosis, "message_primary", None) or str(origin).partition("\n")[0]
    sort = Sort.REFUSED
    if state.startswith(_POSTGRES_BUSY):
        sort = Sort.BUSY
    elif state.startswith(_POSTGRES_LOST):
        sort = Sort.LOST
    elif state == "23505":
        sort = Sort.TAKEN
    elif state == "23503":
        sort = Sort.ORPHAN
    elif not state and type(origin).__name__ in {"OperationalError", "ConnectionTimeout"}:
        return _postgres_connection(str(origin))
    return Fault(sort=sort, words=f"pq: {primary}")


def _postgres_connection(text: str) -> Fault:
    """The words of libpq, which has no code for what goes wrong before there is a connection."""
    primary = text.partition("\n")[0]
    if "FATAL:" in primary:  # the server's answer
        words = primary.rpartition("FATAL:")[2].strip()
        if any(word in words for word in _NOT_YET):
            return Fault(sort=Sort.UNREACHABLE, words=f"pq: {words}")
        return Fault(sort=Sort.BUSY if "too many" in words else Sort.REFUSED, words=f"pq: {words}")
    if "does not support SSL" in primary:
        return Fault(sort=Sort.REFUSED, words="pq: SSL is not enabled on the server")
    if found := re.search(r"failed to resolve host '([^']*)'", primary):
        return Fault(sort=Sort.UNREACHABLE, words=f"dial tcp: lookup {found[1]}: no such host")
    trying = primary.startswith(("connection failed", "connection is bad", "connection timeout"))
    return Fault(sort=Sort.UNREACHABLE if trying else Sort.LOST, words=_go_dial(primary))


def _mysql(origin: BaseException) -> Fault:
    number, *rest = origin.args or (0,)
    words = str(rest[0]) if rest else str(origin)
    if number in _MYSQL_UNREACHABLE:
        if found := re.search(r"on '([^']*)' \(\[Errno -", words):
            return Fault(sort=Sort.UNREACHABLE, words=f"dial tcp: lookup {found[1]}: no such host")
        return Fault(sort=Sort.UNREACHABLE, words=_go_dial(words))
    if not isinstance(number, int):
        return Fault(sort=Sort.LOST, words=str(origin))
    sort = {1062: Sort.TAKEN, 1452: Sort.ORPHAN}.get(number, Sort.REFUSED)
    if number in _MYSQL_BUSY:
        sort = Sort.BUSY
    elif number in _MYSQL_LOST or type(origin).__name__ == "InterfaceError":
        sort = Sort.LOST
    return Fault(sort=sort, words=f"Error {number} ({_MYSQL_STATES.get(number, 'HY000')}): {words}")


def _go_dial(words: str) -> str:
    """Nobody listens: as Go says it, without the address, which the caller adds if it wants to."""
    return "connect: connection refused" if "refused" in words.lower() else words
