"""How long `groundplane up` takes, phase by phase: of nothing, and a second time when there is nothing to do.

    .venv/bin/python bench/up.py [--runs 5] [--json] [FILE …]

Without FILE: the built-in cluster and examples/seed.yaml. Every run is a process of its own, as on the command line;
its wall time holds Python's start, too. Labs have names of their own and are purged. Phases overlap (`cluster/up.py`
shows how): they add up to more than the total. Needs root.

The seed asks for a heartbeat of 3 s and an election timeout of 15 s, so that its first election takes some whole
heartbeats, by chance how many. That is the file's own choice: the total is also given less the phase "etcd". What runs
in that phase's shadow (the images) is then not counted.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT_IN = ROOT / "src/groundplane/cluster/builtin/cluster.yaml"
SEED = ROOT / "examples/seed.yaml"
ETCD = "etcd"
TOTAL, WALL, WITHOUT_ETCD = "total", "wall", "less etcd"
GIVE_UP = 120.0

# What a child runs: the command's own function, whose answer holds the phases.
CHILD = """
import json, sys
from pathlib import Path
from groundplane.cluster import up
done = up.run(Path(sys.argv[1]), name=sys.argv[2], within=float(sys.argv[3]), progress=lambda *_, **__: None)
print(json.dumps({"healthy": done.healthy, "changed": done.changed, "phases": done.phases}))
"""


def up(file: Path, name: str, *, changes: bool) -> dict[str, float]:
    """One `up`, in a process of its own; its phases and its wall time. Ends the run if it is not what was asked for."""
    began = time.perf_counter()
    argv = [sys.executable, "-c", CHILD, str(file), name, str(GIVE_UP)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, timeout=GIVE_UP + 30)
    wall = time.perf_counter() - began
    answer = json.loads(done.stdout)
    if not answer["healthy"] or answer["changed"] != changes:
        raise SystemExit(f"{file.name}: healthy={answer['healthy']}, changed={answer['changed']}: not a measurement")
    phases: dict[str, float] = answer["phases"]
    return {**phases, WITHOUT_ETCD: phases[TOTAL] - phases[ETCD], WALL: wall}


def purge(file: Path, name: str) -> None:
    argv = [sys.executable, "-m", "groundplane.cli.main", "down", str(file), "--name", name, "--purge"]
    subprocess.run(argv, check=True, stderr=subprocess.DEVNULL, timeout=60)


def measure(file: Path, runs: int) -> dict[str, list[Mapping[str, float]]]:
    """`runs` pairs of a first and a second `up`."""
    found: dict[str, list[Mapping[str, float]]] = {"fresh": [], "again": []}
    name = f"bench-up-{os.getpid()}"
    try:
        for _ in range(runs):
            found["fresh"].append(up(file, name, changes=True))
            found["again"].append(up(file, name, changes=False))
            purge(file, name)
    finally:
        purge(file, name)  # once more does nothing
    return found


def table(title: str, runs: Sequence[Mapping[str, float]]) -> str:
    columns: defaultdict[str, list[float]] = defaultdict(list)
    for run in runs:
        for phase, seconds in run.items():
            columns[phase].append(seconds)
    last = (TOTAL, WITHOUT_ETCD, WALL)
    order = [*(phase for phase in columns if phase not in last), *last]
    lines = [title, f"  {'phase':13} {'min':>7} {'median':>7} {'max':>7}   (seconds, {len(runs)} runs)"]
    for phase in order:
        times = columns[phase]
        lines.append(f"  {phase:13} {min(times):7.2f} {statistics.median(times):7.2f} {max(times):7.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", default=[BUILT_IN, SEED])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="every run's figures")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `measure` purges
    found = {}
    for file in wanted.files:
        found[file.name] = measure(file, wanted.runs)
        if not wanted.json:
            load = os.getloadavg()[0]
            for kind, runs in found[file.name].items():
                print(table(f"{file.name}, {kind} (load {load:.1f} on {os.cpu_count()} processors)", runs), flush=True)
    if wanted.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
