"""`cfssljson`: CFSSL's JSON from standard input into files.

Better than CFSSL in one thing: every file is replaced whole, with its mode set first, so an old key file that others
could read does not lend its mode to the new key. Each is written only once all of the input has been understood. What
cannot be replaced (a file that is mounted, one with two names, one in a directory that is closed) is written in place.
"""

import errno
import os
import stat
import sys
from pathlib import Path

from groundplane.cli.cfssl.context import go_error, read_input
from groundplane.cli.cfssl.main import version_lines
from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.cfssl.flag_table import JSON_FLAGS, json_usage
from groundplane.pki.cfssl.flags import BadFlags, HelpWanted, parse
from groundplane.pki.cfssl.unpack import path_of, unpack
from groundplane.system import files

_IN_PLACE = {errno.EBUSY, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG}


def run(words: list[str]) -> int:
    """The whole program; returns its exit code."""
    try:
        values, arguments = parse(words, JSON_FLAGS)
    except HelpWanted:
        sys.stderr.write(json_usage())
        return 0
    except BadFlags as bad:
        sys.stderr.write(f"{bad.line}\n{json_usage()}")
        return 2
    if values["version"]:
        sys.stdout.write(version_lines())
        return 0
    try:
        outputs = unpack(_read(str(values["f"])), bare=bool(values["bare"]))
        if values["stdout"]:
            for output in outputs:
                sys.stdout.buffer.write(output.shown + b"\n")
            return 0
        for output in outputs:
            _write(path_of(arguments[0] if arguments else "cert", output), output.content, output.mode)
    except Plain as bad:
        sys.stderr.write(f"{bad}\n")
        return 1
    return 0


def _read(name: str) -> bytes:
    try:
        return read_input(name)
    except Plain as bad:
        raise Plain(f"Failed to read input: {bad}") from bad


def _write(path: Path, content: bytes, mode: int) -> None:
    umask = os.umask(0)
    os.umask(umask)
    mode &= ~umask
    try:
        old = path.stat() if path.exists() else None
        if old is not None:
            mode = _mode(mode, old.st_mode & 0o7777)
        if old is not None and (old.st_nlink > 1 or not path.is_file()):
            _overwrite(path, content, mode)  # /dev/stdout and its like are not to be replaced
            return
        owner = (old.st_uid, old.st_gid) if old is not None and os.geteuid() == 0 else None
        try:
            files.replace(path.resolve(), content, mode=mode, owner=owner, durable=False)
        except OSError as bad:
            if bad.errno not in _IN_PLACE:
                raise
            _overwrite(path, content, mode)
    except OSError as bad:
        raise Plain(go_error("open", str(path), bad)) from bad


def _mode(new: int, old: int) -> int:
    """An old file keeps its mode, but a key is not lent one by which everybody can read it."""
    return new if old & 0o007 and not new & 0o077 else old


def _overwrite(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "wb") as out:
        if stat.S_ISREG(os.fstat(out.fileno()).st_mode) and os.fstat(out.fileno()).st_uid == os.geteuid():
            os.fchmod(out.fileno(), mode)
        out.write(content)
