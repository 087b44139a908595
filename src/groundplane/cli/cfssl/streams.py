"""Standard input, output and error as a program written in Go has them.

Missing ones are nobody's: what else is opened must not get their numbers. Text is UTF-8, and names that are not come
out as they came in. What is said on standard error may be lost; a reader of the output who has gone ends the program.
"""

import codecs
import errno
import io
import os
import signal
import sys
from typing import NoReturn, TextIO

from groundplane.errors import of_os

_OF_OUTPUT = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
_ERRORS = "groundplane-as-it-came"


def set_up() -> None:
    """For this process."""
    codecs.register_error(_ERRORS, _as_it_came)
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDWR), (2, os.O_RDWR)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # the lowest free number, which is this one; nobody can read the first
    if sys.stdin is None:
        sys.stdin = _text(io.BufferedReader(io.FileIO(0, closefd=False)))
    if sys.stdout is None:
        sys.stdout = _text(io.BufferedWriter(io.FileIO(1, "w", closefd=False)))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors=_ERRORS)
    sys.stderr = _Careless(io.BufferedWriter(io.FileIO(2, "w", closefd=False)), encoding="utf-8", errors=_ERRORS)


def end_of_pipe() -> NoReturn:
    """End as SIGPIPE ends programs that do not catch it."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    raise SystemExit(1)  # it was blocked


def trouble(refused: OSError) -> str:
    """A refusal that no command has put into words: the output's, by its number, or another's, by what it names."""
    if refused.filename is None and refused.errno in _OF_OUTPUT:
        return f"write /dev/stdout: {(refused.strerror or str(refused)).lower()}"
    return str(of_os(refused))


def forget_output() -> None:
    """Nothing more can be written there, not even at exit."""
    sys.stdout = None  # which Python takes for no output


class _Careless(io.TextIOWrapper):
    """Written at once, and if it cannot be, lost."""

    def write(self, text: str) -> int:
        try:
            super().write(text)
        except OSError:
            return len(text)
        self.flush()
        return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            pass  # nobody is left to be told


def _text(binary: io.BufferedReader | io.BufferedWriter) -> TextIO:
    return io.TextIOWrapper(binary, encoding="utf-8", errors=_ERRORS)


def _as_it_came(trouble: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes of names that were no UTF-8 are themselves again; what is no character at all is a question mark."""
    if isinstance(trouble, UnicodeDecodeError):
        return codecs.lookup_error("surrogateescape")(trouble)
    if not isinstance(trouble, UnicodeEncodeError):
        raise trouble
    first = trouble.object[trouble.start]
    escaped = "\udc80" <= first <= "\udcff"
    return bytes([ord(first) - 0xDC00]) if escaped else b"?", trouble.start + 1
