"""Run the scanners that are wanted on one server, side by side, until they are done or the time is up."""

import contextvars
import threading
import time
from collections.abc import Callable, Mapping
from queue import Empty, Queue

from groundplane.pki.scan.families import FAMILIES
from groundplane.pki.scan.line import Line
from groundplane.pki.scan.model import Family, Found, Grade, OutOfTime, Scanner, Trouble

Wanted = Callable[[str], bool]


def run_scans(
    line: Line, *, family: Wanted, scanner: Wanted, families: Mapping[str, Family] = FAMILIES
) -> tuple[dict[str, dict[str, Found]], bool]:
    """What was found, by family and scanner, in their order; and whether all of it was.

    What a scanner does after the line's end is lost: its own waits end soon after, since each asks the line.
    """
    wanted = [
        (name, each, it)
        for name, group in families.items()
        if family(name)
        for each, it in group.scanners.items()
        if scanner(each)
    ]
    done: Queue[tuple[str, str, Found | None]] = Queue(len(wanted))
    for name, each, it in wanted:
        run = contextvars.copy_context().run  # so that a log knows whose call it is
        threading.Thread(target=run, args=(_work, done, name, each, it, line), name=f"scan {each}", daemon=True).start()
    found: dict[tuple[str, str], Found] = {}
    late = False
    for _ in wanted:
        try:
            name, each, result = done.get(timeout=max(0.0, line.ends - time.monotonic()))
        except Empty:
            late = True
            break
        if result is None:
            late = True
        else:
            found[name, each] = result
    ordered: dict[str, dict[str, Found]] = {}
    for name, each, _ in wanted:
        if (name, each) in found:
            ordered.setdefault(name, {})[each] = found[name, each]
    return ordered, not late


def _work(done: "Queue[tuple[str, str, Found | None]]", family: str, name: str, scanner: Scanner, line: Line) -> None:
    try:
        result: Found | None = scanner.scan(line)
    except OutOfTime:
        result = None
    except Trouble as bad:
        result = Found(grade=Grade.BAD, error=bad.happened)
    except Exception as bad:  # noqa: BLE001 - a stranger's bytes must not end the others' scans, nor this one in silence
        result = Found(grade=Grade.BAD, error=f"the scanner failed: {type(bad).__name__}: {bad}")
    done.put((family, name, result))
