"""`groundplane pki gencert` of an ECDSA leaf as a whole process, beside Debian's cfssl where it is installed.

    .venv/bin/python bench/gencert.py [--runs 30] [--most 150]

From the start of Python to its end: the CSR JSON, the policy, the CA and its key are read, a key is made, the
certificate signed, both written. Turn by turn in one run. Exits 1 if the median is more than `--most` milliseconds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from groundplane.cli.main import main as groundplane

_CFSSL = "/usr/bin/cfssl"
_POLICY = {"signing": {"default": {"expiry": "8760h", "usages": ["digital signature", "server auth"]}}}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--most", type=float, default=150.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        return _measure(arguments.runs, arguments.most)


def _measure(runs: int, most: float) -> int:
    Path("ca.json").write_text('{"CN":"root"}')
    Path("leaf.json").write_text('{"CN":"leaf","hosts":["leaf.example"]}')
    Path("policy.json").write_text(json.dumps(_POLICY))
    if groundplane(["pki", "gencert", "--initca", "ca.json", "--out", "ca"]):
        return 1
    ours = [sys.executable, "-m", "groundplane.cli.main", "pki", "gencert", "leaf.json", "--ca", "ca.pem"]
    ours += ["--ca-key", "ca-key.pem", "--config", "policy.json"]
    rows = {"groundplane pki gencert": ours}
    if Path(_CFSSL).exists():
        theirs = [_CFSSL, "gencert", "-ca", "ca.pem", "-ca-key", "ca-key.pem", "-config", "policy.json", "leaf.json"]
        rows["cfssl gencert, Debian's 1.2.0"] = theirs
    rows["python -c pass"] = [sys.executable, "-c", "pass"]
    taken: dict[str, list[float]] = {name: [] for name in rows}
    for turn in range(runs + 1):
        for name, argv in rows.items():
            start = time.perf_counter()
            subprocess.run(argv, check=True, capture_output=True)
            if turn:  # the first fills the caches
                taken[name].append((time.perf_counter() - start) * 1000)
    print(f"| one process ({runs} runs, load {os.getloadavg()[0]:.1f}) | min ms | median | max |\n|---|---|---|---|")
    for name, times in taken.items():
        print(f"| {name} | {min(times):.0f} | **{statistics.median(times):.0f}** | {max(times):.0f} |")
    return int(statistics.median(taken["groundplane pki gencert"]) > most)


if __name__ == "__main__":
    sys.exit(main())
