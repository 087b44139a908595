"""Our `cfssl serve` beside Debian's, under the same load by wrk, turn by turn in one run.

    .venv/bin/python bench/pki.py [--seconds 4] [--rounds 3] [--connections 8] [--check]

`sign`: the same request again and again, as a client has it that renews with its key; `all new`: 3000 requests in
turn, more than any cache of ours holds. CFSSL 1.6.5 takes part where tools/conformance/cfssl.py has built it. With
--check the exit code says whether the goals are met against Debian's (see GOALS). Needs wrk and golang-cfssl.

Beside the rate stands the processor time that a server took for a request, in microseconds: other work on the machine
changes it less.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from groundplane.pki.csr import make_csr
from groundplane.pki.hosts import alternative_names
from groundplane.pki.keys import generate
from groundplane.pki.model import P256
from groundplane.pki.name import COMMON_NAME, Attribute, Subject
from tests.lab.serve_lab import OURS, Serving, serving

NEWER = Path(__file__).resolve().parent.parent / "build/cfssl/bin/cfssl"
# Requests per second, ours to Debian's, at least.
GOALS = {
    "sign, RSA-2048 CA": 1.5,
    "newcert, RSA-2048": 2.0,
    "sign, ECDSA CA": 1.0,
}
_RATE = re.compile(r"Requests/sec:\s+([0-9.]+)")
_LATENCY = re.compile(r"\s(50|99)%\s+([0-9.]+)(us|ms|s)\b")
_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    name: str
    ca: str
    endpoint: str
    bodies: list[bytes]


@dataclass(frozen=True)
class Run:
    rate: float
    p50: float
    p99: float
    cpu: float


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--check", action="store_true")
    wanted = parser.parse_args()
    programs = {"Debian's cfssl 1.2.0": ("/usr/bin/cfssl",), "groundplane": OURS}
    if NEWER.exists():
        programs["cfssl 1.6.5"] = (str(NEWER),)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        at = Path(name)
        _make_cas(at)
        servers = {
            (program, ca): stack.enter_context(serving(argv, "-ca", f"{ca}.pem", "-ca-key", f"{ca}-key.pem", at=at))
            for program, argv in programs.items()
            for ca in ("rsa", "ecdsa")
        }
        found: dict[tuple[str, str], list[Run]] = defaultdict(list)
        loads = list(_loads())
        for _ in range(wanted.rounds):
            for load in loads:
                for program in programs:
                    found[load.name, program].append(_wrk(at, servers[program, load.ca], load, wanted))
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} processors, load {os.getloadavg()[0]:.1f}; {wanted.connections} connections, ", end="")
    print(f"median of {wanted.rounds} turns of {wanted.seconds} s")
    return _report(found, list(programs), check=wanted.check)


def _report(found: dict[tuple[str, str], list[Run]], programs: list[str], *, check: bool) -> int:
    met = True
    reference = programs[0]
    print(f"{'':24}{'':24}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}{'to 1.2.0':>10}{'CPU':>7}")
    for load in dict.fromkeys(load for load, _ in found):
        for program in programs:
            run, base = _median(found[load, program]), _median(found[load, reference])
            ratio = "" if program == reference else f"{run.rate / base.rate:10.2f}{base.cpu / run.cpu:7.2f}"
            print(f"{load:24}{program:24}{run.rate:12.0f}{run.p50:9.1f}{run.p99:9.1f}{run.cpu:9.0f}{ratio}")
            if program == "groundplane" and load in GOALS:
                met &= run.rate / base.rate >= GOALS[load] and run.p99 <= base.p99
    print(f"goals {'met' if met else 'missed'}: {', '.join(f'{name} {goal}' for name, goal in GOALS.items())}; p99")
    return 0 if met or not check else 1


def _median(runs: list[Run]) -> Run:
    return Run(*(statistics.median(getattr(run, field) for run in runs) for field in ("rate", "p50", "p99", "cpu")))


def _cpu(pid: int) -> float:
    """Seconds that a process and its children have taken until now."""
    numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")
    children = [
        child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return own + sum(map(_cpu, map(int, children)))


def _make_cas(at: Path) -> None:
    for name, size in (("rsa", 2048), ("ecdsa", 256)):
        request = json.dumps({"CN": name, "key": {"algo": name, "size": size}}).encode()
        argv = ("/usr/bin/cfssl", "gencert", "-initca", "-")
        made = subprocess.run(argv, input=request, capture_output=True, check=True, cwd=at).stdout
        subprocess.run(("cfssljson", "-bare", name), input=made, check=True, cwd=at)


def _loads() -> Iterator[Load]:
    bodies = [_signing(number) for number in range(3000)]
    yield Load("sign, RSA-2048 CA", "rsa", "sign", bodies[:1])
    yield Load("sign, RSA-2048, all new", "rsa", "sign", bodies)
    yield Load("sign, ECDSA CA", "ecdsa", "sign", bodies[:1])
    yield Load("sign, ECDSA CA, all new", "ecdsa", "sign", bodies)
    request = {"CN": "a", "hosts": ["a.example"], "key": {"algo": "rsa", "size": 2048}}
    yield Load("newcert, RSA-2048", "rsa", "newcert", [json.dumps({"request": request}).encode()])


def _signing(number: int) -> bytes:
    host = f"host-{number}.example.com"
    subject = Subject(((Attribute(oid=COMMON_NAME, value=host),),))
    pem = make_csr(generate(P256), subject=subject, names=alternative_names((host,), source="hosts"))
    return json.dumps({"certificate_request": pem.decode(), "hosts": [host, "10.0.0.1"]}).encode()


def _wrk(at: Path, server: Serving, load: Load, wanted: argparse.Namespace) -> Run:
    script = at / "load.lua"
    listed = ",\n".join(f"[==[{body.decode()}]==]" for body in load.bodies)
    script.write_text(
        f"local bodies = {{{listed}}}\nlocal turn = 0\nwrk.method = 'POST'\n"
        "request = function()\n  turn = turn % #bodies + 1\n  return wrk.format(nil, nil, nil, bodies[turn])\nend\n"
    )
    argv = (
        "wrk",
        "-t1",
        f"-c{wanted.connections}",
        f"-d{wanted.seconds}s",
        "--timeout",
        "30s",
        "--latency",
        "-s",
        str(script),
        f"http://127.0.0.1:{server.port}/api/v1/cfssl/{load.endpoint}",
    )
    before = _cpu(server.process.pid)
    out = subprocess.run(argv, capture_output=True, check=True, text=True).stdout
    assert "Non-2xx" not in out, out
    assert "Socket errors" not in out, out
    rate = _RATE.search(out)
    latency = {percent: float(value) * _MS[unit] for percent, value, unit in _LATENCY.findall(out)}
    assert rate is not None
    spent = (_cpu(server.process.pid) - before) / (float(rate[1]) * wanted.seconds)
    return Run(float(rate[1]), latency["50"], latency["99"], spent * 1e6)


if __name__ == "__main__":
    sys.exit(main())
