"""`groundplane links DIR`: the programs that groundplane stands in for, under their own names."""

import argparse
import os
import sys
from pathlib import Path

from groundplane.cli.cfssl.main import PROGRAMS
from groundplane.errors import Exists
from groundplane.system import files

_MARK = "# groundplane's stand-in for "
_EXECUTABLE = 0o755


def links(arguments: argparse.Namespace) -> int:
    """Write a small script for each program. What others have put there is left alone, unless --force."""
    directory: Path = arguments.directory
    if not directory.exists():
        files.ensure_directory(directory)
    wanted = {name: script(name, python=sys.executable, source=_source()) for name in PROGRAMS}
    taken = [name for name in wanted if not arguments.force and not _is_ours(directory / name)]
    if taken:
        where = f"{directory}: {', '.join(taken)}"
        raise Exists("other programs stand here", to=where, hint="choose another directory, or give --force")
    for name, text in wanted.items():
        files.replace(directory / name, text.encode(), mode=_EXECUTABLE)
        print(directory / name)
    if str(directory.resolve()) not in os.environ.get("PATH", "").split(os.pathsep):
        print(f"to use them: PATH={directory.resolve()}:$PATH", file=sys.stderr)
    return 0


def script(name: str, *, python: str, source: Path) -> str:
    """The script: this very Python, told where groundplane is, and nothing else that takes time."""
    return f"""#!{python}
{_MARK}{name}
import gc
import sys

gc.disable()  # it ends before there is anything worth collecting
sys.path[0] = {str(source)!r}
from groundplane.cli.cfssl.main import main

sys.exit(main({name!r}))
"""


def _source() -> Path:
    """The directory that the package is in."""
    import groundplane

    assert groundplane.__file__ is not None
    return Path(groundplane.__file__).resolve().parents[1]


def _is_ours(path: Path) -> bool:
    """Free, or written by an earlier `links`."""
    try:
        return _MARK.encode() in path.read_bytes()[:4096]
    except FileNotFoundError:
        return not path.is_symlink()
