"""Our OCSP responders beside Debian's `cfssl ocspserve`, under the same load by wrk, turn by turn in one run.

    .venv/bin/python bench/ocsp.py [--seconds 4] [--rounds 3] [--connections 16]

3000 certificates of a CA with a P-256 key, a delegate that signs, and requests about all of them in turn. `file` is
`ocspserve -responses`; `table` is `ocspserve -db-config` after `ocsprefresh`; `live` is `groundplane pki ocsp`, which
looks into the database (SQLite) at each request; with nonces it signs each answer, too. CFSSL 1.6.5 takes part where
tools/conformance/cfssl.py has built it. Needs wrk and golang-cfssl.
"""

import argparse
import base64
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.pki.certdb import CertificateDatabase, read_database_config, record_of
from groundplane.pki.cfssl.ocsp import open_ocsp_signer
from groundplane.pki.keys import dump_key
from groundplane.pki.ocsp.identity import id_of
from groundplane.pki.ocsp.request import make_request
from tests.lab.ocsp_lab import NATIVE, OURS, serving
from tests.unit.pki_ocsp.samples import Pair, issue, key_of

NEWER = Path(__file__).resolve().parent.parent / "build/cfssl/bin/cfssl"
_COUNT = 3000
_RATE = re.compile(r"Requests/sec:\s+([0-9.]+)")
_P99 = re.compile(r"\s99%\s+([0-9.]+)(us|ms|s)\b")
_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_SCRIPT = """
local bodies = {}
for line in io.lines(os.getenv("BODIES")) do
  bodies[#bodies + 1] = line:gsub("%x%x", function(two) return string.char(tonumber(two, 16)) end)
end
local n = math.random(#bodies)
request = function()
  n = n % #bodies + 1
  return wrk.format("POST", "/", {["Content-Type"] = "application/ocsp-request"}, bodies[n])
end
"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        at = Path(folder)
        prepare(at)
        found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        file = ("ocspserve", "-responses", "responses")
        delegate = ("--responder", "delegate.pem", "--responder-key", "delegate-key.pem")
        live = ("ocsp", "--db-config", "db.json", "--ca", "ca.pem", *delegate)
        programs: list[tuple[str, str, Sequence[str], Sequence[str]]] = [
            ("file", "Debian's cfssl", ("/usr/bin/cfssl",), file),
            *([("file", "CFSSL 1.6.5", (str(NEWER),), file)] if NEWER.exists() else []),
            ("file", "ours", OURS, file),
            ("table", "ours", OURS, ("ocspserve", "-db-config", "db.json")),
            ("live", "ours", NATIVE, live),
            ("live, nonces", "ours", NATIVE, live),
        ]
        ports = [
            (load, who, running.enter_context(serving(program, *argv, at=at)).port)
            for load, who, program, argv in programs
        ]
        for turn in range(arguments.rounds + 1):
            for load, who, port in ports:
                bodies = at / ("nonced" if "nonces" in load else "plain")
                result = wrk(port, bodies, at, arguments.connections, arguments.seconds if turn else 1)
                if turn:
                    found[load, who].append(result)
    print("| load | responder | requests/s | p99 ms |\n|---|---|---|---|")
    for (load, who), results in found.items():
        rate, p99 = (statistics.median(values) for values in zip(*results, strict=True))
        print(f"| {load} | {who} | {rate:,.0f} | {p99:.1f} |")
    return 0


def prepare(at: Path) -> None:
    """A CA, its delegate, certificates in a database, answers in a file and in the database, requests."""
    key = key_of("p256")
    now = datetime.now(UTC)
    ca = issue("root", key, None, serial=1, start=now)
    delegate = issue("responder", key_of("p256"), ca, serial=2, ocsp_signing=True, start=now)
    for name, pair in (("ca", ca), ("delegate", delegate)):
        (at / f"{name}.pem").write_bytes(pem(pair))
        (at / f"{name}-key.pem").write_bytes(dump_key(pair.key))
    (at / "db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": str(at / "certs.db")}))
    database = CertificateDatabase.open(
        read_database_config((at / "db.json").read_bytes(), source="db.json"), migrate=True
    )
    signer = open_ocsp_signer(
        pem(ca), pem(delegate), dump_key(delegate.key), interval=timedelta(hours=96), clock=lambda: now
    )
    leaf_key = key_of("p256")
    answers, plain, nonced = [], [], []
    for number in range(_COUNT):
        leaf = issue(f"leaf {number}", leaf_key, ca, serial=(1 << 120) + number, start=now, authority=True)
        database.insert(record_of(leaf.certificate, now=now))
        answers.append(base64.b64encode(signer.sign_about(leaf.certificate, status="good")).decode())
        asked = [id_of(leaf.certificate.serial_number, ca.certificate)]
        plain.append(make_request(asked).hex())
        nonced.append(make_request(asked, nonce=os.urandom(16)).hex())
    database.close()
    (at / "responses").write_text("\n".join(answers))
    (at / "plain").write_text("\n".join(plain))
    (at / "nonced").write_text("\n".join(nonced))
    (at / "load.lua").write_text(_SCRIPT)
    refresh = ("ocsprefresh", "-db-config", "db.json", "-ca", "ca.pem", "-responder", "delegate.pem")
    subprocess.run((*OURS, *refresh, "-responder-key", "delegate-key.pem"), cwd=at, check=True)


def pem(pair: Pair) -> bytes:
    """Its certificate."""
    certificate: x509.Certificate = pair.certificate
    return certificate.public_bytes(Encoding.PEM)


def wrk(port: int, bodies: Path, at: Path, connections: int, seconds: int) -> tuple[float, float]:
    """Requests per second, and milliseconds that 99 of 100 stay below."""
    argv = ("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(at / "load.lua"))
    done = subprocess.run(
        (*argv, f"http://127.0.0.1:{port}/"),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BODIES": str(bodies)},
    )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(done.stdout)
    rate, p99 = _RATE.search(done.stdout), _P99.search(done.stdout)
    assert rate is not None
    assert p99 is not None
    return float(rate[1]), float(p99[1]) * _MS[p99[2]]


if __name__ == "__main__":
    sys.exit(main())
