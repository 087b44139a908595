"""Passwords: from a file, from a variable, or asked for at the terminal; never from the command line's own words."""

import getpass
import os
import sys
from pathlib import Path

from groundplane.errors import Invalid

_LONGEST = 1024


def read_password(source: str, *, what: str) -> bytes:
    """`file:PATH`, `env:NAME`, or `ask`. A file's last line end does not count. Raises Invalid; never says it."""
    prefix, _, rest = source.partition(":")
    match prefix:
        case "file" | "env" if not rest:
            raise Invalid("it names nothing", to=f"{what}: {source}", hint="write file:PATH, env:NAME or ask")
        case "file":
            found = secret_in(Path(rest), what="password")
        case "env":
            if rest not in os.environ:
                raise Invalid("the variable is not set", to=f"{what}: {rest}", hint=f"export {rest}")
            found = os.environ[rest].encode()
        case "ask":
            found = _asked(what)
        case _:
            hint = "write file:PATH, env:NAME or ask"
            raise Invalid("a password does not belong on the command line", to=what, hint=hint)
    if not found:
        raise Invalid("the password is empty", to=what, hint="choose one")
    if len(found) > _LONGEST:
        raise Invalid(f"the password has more than {_LONGEST} bytes", to=what, hint="is it the right file?")
    return found


def secret_in(path: Path, *, what: str = "secret") -> bytes:
    """A file's content without the newline at its end; others than its owner must not read it. Raises Invalid."""
    try:
        if path.stat().st_mode & 0o077:
            raise Invalid(f"others can read this {what}", to=path, hint=f"chmod 600 {path}")
        return path.read_bytes().rstrip(b"\r\n")
    except OSError as bad:
        raise Invalid(f"cannot be read: {bad.strerror or bad}", to=path, hint="name another file") from bad


def _asked(what: str) -> bytes:
    if not sys.stdin.isatty():
        raise Invalid("there is no terminal to ask at", to=what, hint="use file:PATH or env:NAME")
    return getpass.getpass(f"{what}: ").encode()
