"""`cfssljson`: CFSSL's JSON from standard input into files.

Better than CFSSL in one thing: every file is replaced whole, with its mode set first, so an old key file that others
could read does not lend its mode to the new key. Each is written only once all of the input has been understood.
"""

import os
import sys
from pathlib import Path

from groundplane.cli.cfssl.context import go_error, read_input
from groundplane.cli.cfssl.main import version_lines
from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.cfssl.flag_table import JSON_FLAGS, json_usage
from groundplane.pki.cfssl.flags import BadFlags, HelpWanted, parse
from groundplane.pki.cfssl.unpack import path_of, unpack
from groundplane.system import files


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
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)  # /dev/stdout and its like are not to be replaced
        else:
            files.replace(path.resolve(), content, mode=mode & ~umask, durable=False)
    except OSError as bad:
        raise Plain(go_error("open", str(path), bad)) from bad
