"""How results look: tables, and a line per step, in colour where a terminal watches and plain elsewhere.

Results go to standard output, progress and errors to standard error.
"""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

_RESET = "\x1b[0m"
_CODES = {"good": "\x1b[32m", "bad": "\x1b[31m", "dim": "\x1b[2m", "bold": "\x1b[1m", "warn": "\x1b[33m"}


def colourful(stream: TextIO) -> bool:
    """Whether colours are welcome there (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, stream: TextIO) -> str:
    """`text` in a style, or as it is."""
    return f"{_CODES[style]}{text}{_RESET}" if colourful(stream) else text


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, three spaces apart; ends with a newline."""
    widths = [max(len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]
    lines = [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (columns, *rows)
    ]
    return "\n".join(lines) + "\n"


class Progress:
    """A line per step on standard error: mark, name, seconds, what was done."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._out = sys.stderr
        self._quiet = quiet

    def __call__(self, step: str, seconds: float, detail: str, *, ok: bool = True) -> None:
        """Print the line of a step that ended."""
        if self._quiet:
            return
        mark = paint("✓", "good", self._out) if ok else paint("✗", "bad", self._out)
        took = paint(f"{seconds:6.2f} s", "dim", self._out)
        print(f"{mark} {step:<14} {took}  {detail}".rstrip(), file=self._out, flush=True)


def error(text: str) -> None:
    """One line, on standard error."""
    print(f"{paint('error:', 'bad', sys.stderr)} {text}", file=sys.stderr)
