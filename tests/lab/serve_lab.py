"""A running `cfssl serve`, real or ours, on a free loopback port; its log is a file."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NEWER = os.environ.get("GROUNDPLANE_CFSSL_1_6_5", "")  # tools/conformance/cfssl.py sets it
REAL = (str(Path(NEWER or "/usr/bin") / "cfssl"),)
OURS = (
    sys.executable,
    "-c",
    "import sys; from groundplane.cli.cfssl.main import main; sys.exit(main('cfssl', sys.argv[1:]))",
)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Serving:
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return Answer(reply.status, {n.lower(): v for n, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def wait_for(self, words: str, *, within: float = 15, after: int = 0) -> str:
        """The log from byte `after` on, once it has these words."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            text = self.log.read_text(errors="replace")[after:]
            if words in text:
                return text
            assert self.process.poll() is None or words in self.log.read_text(), text
            time.sleep(0.01)  # a file that another process writes: nothing to wait on
        raise AssertionError(f"{words!r} never came: {self.log.read_text()}")

    def mark(self) -> int:
        return len(self.log.read_text(errors="replace"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(program: Sequence[str], *flags: str, at: Path, env: dict[str, str] | None = None) -> Iterator[Serving]:
    """`cfssl serve` with these flags, in the folder `at`."""
    port = free_port()
    log = at / f"serve-{port}.log"
    with log.open("wb") as out:
        argv = (*program, "serve", "-port", str(port), *flags)
        process = subprocess.Popen(argv, cwd=at, stdout=out, stderr=out, env={**os.environ, **(env or {})})
    yield from watched(Serving(port, process, log))


def watched(running: "Serving") -> Iterator["Serving"]:
    """Until it listens; at the end it is told to go, and killed if it does not."""
    try:
        running.wait_for("Now listening")
        wait_for_port(running.port)
        yield running
    finally:
        running.process.send_signal(signal.SIGTERM)
        try:
            running.process.wait(30)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait()


def wait_for_port(port: int) -> None:
    end = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.02)  # the real one says that it listens before it does
        else:
            return
