"""A running `multirootca`, real or ours, on a free loopback port."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab.serve_lab import NEWER, Serving, free_port, watched

REAL = (str(Path(NEWER or "/usr/bin") / "multirootca"),)
OURS = (
    sys.executable,
    "-c",
    "import sys; from groundplane.cli.cfssl.main import main; sys.exit(main('multirootca', sys.argv[1:]))",
)


@contextmanager
def roots_served(program: Sequence[str], *flags: str, at: Path, env: dict[str, str] | None = None) -> Iterator[Serving]:
    """`multirootca` with these flags, in the folder `at`."""
    port = free_port()
    log = at / f"multiroot-{port}.log"
    with log.open("wb") as err, log.with_suffix(".out").open("wb") as out:
        argv = (*program, "-a", f"127.0.0.1:{port}", *flags)
        process = subprocess.Popen(argv, cwd=at, stdout=out, stderr=err, env={**os.environ, **(env or {})})
    yield from watched(Serving(port, process, log))
