"""A running OCSP responder, CFSSL's or ours, on a free loopback port; its log is a file."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

NEWER = os.environ.get("GROUNDPLANE_CFSSL_1_6_5", "")  # where its programs are: tools/conformance/cfssl.py sets it
REAL = (str(Path(NEWER or "/usr/bin") / "cfssl"),)
OURS = (
    sys.executable,
    "-c",
    "import sys; from groundplane.cli.cfssl.main import main; sys.exit(main('cfssl', sys.argv[1:]))",
)
NATIVE = (sys.executable, "-c", "import sys; from groundplane.cli.main import main; sys.exit(main())", "pki")


@dataclass(frozen=True)
class Serving:
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    def ask(
        self, method: str, path: str = "/", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return reply.status, {n.lower(): v for n, v in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    def wait_for(self, words: str) -> None:
        end = time.monotonic() + 20
        while words not in self.log.read_text():
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)  # another process writes it


@contextmanager
def serving(program: Sequence[str], *argv: str, at: Path) -> Iterator[Serving]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = at / f"serve-{port}.log"
    with log.open("wb") as out:
        argv = (*argv, *(("--port", str(port)) if program is NATIVE else ("-port", str(port))))
        process = subprocess.Popen((*program, *argv), cwd=at, stdout=out, stderr=out)
    try:
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.02)  # the real one says that it listens before it does
        yield Serving(port, log, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
