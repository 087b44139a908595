"""An append-only file of JSON lines: who had what issued or revoked, and when.

A line comes before what it tells of: what then fails has a second line that says so, and nothing happens without one.
The file is opened anew for each line, so that it may be moved away at any time; several processes may share it.
`GROUNDPLANE_PKI_AUDIT` names the file for commands.
"""

import contextlib
import fcntl
import json
import os
import pwd
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.errors import GroundplaneError, Unavailable, of_os
from groundplane.pki.operators.place import need_writable

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

VARIABLE = "GROUNDPLANE_PKI_AUDIT"
_MODE = 0o600
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC  # what is there is read for its last byte alone
_PATIENCE, _TURN = 5.0, 0.002  # seconds, for others who write
_LOGIN = Path("/proc/self/loginuid")
_NOBODY = 2**32 - 1  # the login of what no login began


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLog:
    """Appends to `path`, which is made 0600."""

    path: Path
    clock: Callable[[], datetime] = _now

    def write(self, fields: Mapping[str, object]) -> None:
        """A line of these, after the time: whole, or not at all. Returns when the kernel has it. Raises Unavailable."""
        line = {"timestamp": f"{self.clock():%Y-%m-%dT%H:%M:%S.%fZ}", **fields}
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode(errors="replace")
        try:
            descriptor = os.open(self.path, _FLAGS | os.O_CREAT, _MODE)
            try:
                _append(descriptor, data)
            finally:
                os.close(descriptor)
        except OSError as bad:
            raise self._unwritable(bad) from bad

    def check(self) -> None:
        """Returns if a line could be written now; writes and makes nothing. Raises Unavailable."""
        try:
            need_writable(self.path)
        except OSError as bad:
            raise self._unwritable(bad) from bad

    def _unwritable(self, bad: OSError) -> Unavailable:
        words = of_os(bad, to=self.path)
        return Unavailable(f"the audit cannot be written: {words.happened}", to=self.path, hint=words.hint)


def command(event: str, **fields: object) -> None:
    """A line about what a command is about to do, where the variable names a file. Raises Unavailable."""
    if path := os.environ.get(VARIABLE):
        AuditLog(path=Path(path)).write({"door": "command", **_caller(), "event": event, **fields})


@contextlib.contextmanager
def acting(event: str, **fields: object) -> Iterator[None]:
    """A command's line before the block does what it says; a second one if the block fails. Raises Unavailable."""
    with before(lambda line: command(event, **line), fields):
        yield


@contextlib.contextmanager
def before(write: Callable[[Mapping[str, object]], None], line: Mapping[str, object]) -> Iterator[None]:
    """The same at any door: `write` the line before the block, and again, as failed, if the block fails."""
    write(line)
    try:
        yield
    except BaseException as failed:
        with contextlib.suppress(Unavailable):  # the first line stands, and why it failed is what the caller is told
            write({**line, "outcome": "failed", "error": str(failed) or type(failed).__name__})
        raise


@contextlib.contextmanager
def issuing(certificate: "Certificate", *, event: str = "issued", **fields: object) -> Iterator[None]:
    """`acting` for a block that records and hands out a certificate; see `about`. Raises Unavailable."""
    if VARIABLE not in os.environ:  # nobody asks what it says
        yield
        return
    with acting(event, **about(certificate), **fields):
        yield


def about(certificate: "Certificate") -> dict[str, object]:
    """What every door's line says of a certificate: serial (decimal), subject, names, is_ca, not_after.

    Of one that is too odd to be understood: its serial, and what of the others can be read.
    """
    from groundplane.pki.seen import see

    found: dict[str, object] = {"serial": str(certificate.serial_number)}
    try:
        seen = see(certificate)
    except GroundplaneError as odd:
        return {**found, "not_after": f"{certificate.not_valid_after_utc:%FT%TZ}", "trouble": str(odd)}
    return {
        **found,
        "subject": str(seen.subject),
        "names": list(seen.names.texts()),
        "is_ca": seen.is_ca,
        "not_after": f"{seen.not_after:%FT%TZ}",
    }


def _append(descriptor: int, data: bytes) -> None:
    """Under a lock, so that what is cut off after a failure is nobody else's."""
    _lock(descriptor)  # until it is closed
    state = os.fstat(descriptor)
    is_file = stat.S_ISREG(state.st_mode)
    if is_file and state.st_size and os.pread(descriptor, 1, state.st_size - 1) != b"\n":
        data = b"\n" + data  # a writer was stopped in the midst of its line: ours begins one of its own
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        if is_file and os.fstat(descriptor).st_size > state.st_size:
            with contextlib.suppress(OSError):  # a file that can only grow: the next line begins anew
                os.ftruncate(descriptor, state.st_size)
        raise


def _lock(descriptor: int) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(_TURN)
        else:
            return


def _caller() -> dict[str, object]:
    """By what the kernel says, never by the environment, which is the caller's own."""
    uid = os.getuid()
    found: dict[str, object] = {"caller": _name(uid)}
    try:
        login = int(_LOGIN.read_text())
    except (OSError, ValueError):
        return found  # a kernel without auditing
    return found if login in {uid, _NOBODY} else {**found, "login": _name(login)}


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a user id without a name
        return str(uid)
