import socket
import threading
import time

import pytest

from groundplane.pki.scan.families import FAMILIES
from groundplane.pki.scan.line import Line
from groundplane.pki.scan.model import Family, Found, Grade, Refused, Scanner
from groundplane.pki.scan.negotiation import cipher_suites, curves, signature_algorithms
from groundplane.pki.scan.run import run_scans
from tests.unit.pki_scan.servers import Talk, old_record, talking

OFFLINE = {"CloudFlareStatus"}  # it asks a server that is not on loopback


def everything(_: str) -> bool:
    return True


def local(name: str) -> bool:
    return name not in OFFLINE


def endless(connection: socket.socket) -> None:
    connection.recv(4096)
    while True:
        connection.sendall(b"\x16\x03\x03\x40\x00" + bytes((11, 3, 0, 0)) + bytes((1 << 14) - 4))


def noise(connection: socket.socket) -> None:
    connection.recv(4096)
    while True:
        connection.sendall(bytes(range(256)) * 64)


def drip(connection: socket.socket) -> None:
    connection.recv(4096)
    for each in old_record():
        connection.sendall(bytes((each,)))
        time.sleep(0.05)


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def gone(connection: socket.socket) -> None:
    connection.recv(16)


def warnings_without_end(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"\x15\x03\x03\x00\x02\x01\x70" * 1000)


@pytest.mark.parametrize("talk", [endless, noise, drip, silent, gone, warnings_without_end])
def test_no_server_holds_a_scan_or_breaks_it(talk: Talk) -> None:
    begun = time.monotonic()
    with talking(talk, seconds=0.8) as line:
        found, _ = run_scans(line, family=everything, scanner=local)
    assert time.monotonic() - begun < 3
    assert found["Connectivity"]["TCPDial"] == Found(grade=Grade.GOOD)
    for scanners in found.values():
        for name, result in scanners.items():
            assert "scanner failed" not in result.error
            assert result.grade in {Grade.BAD, Grade.SKIPPED} or name in {"TCPDial", "DNSLookup", "ECCurves"}


def test_threads_end_with_the_time() -> None:
    before = {thread.ident for thread in threading.enumerate()}
    with talking(silent, seconds=0.3) as line:
        _, complete = run_scans(line, family=everything, scanner=local)
        assert not complete
        end = time.monotonic() + 8
        while mine := [t for t in threading.enumerate() if t.ident not in before and t.name.startswith("scan ")]:
            assert time.monotonic() < end, mine
            time.sleep(0.02)


def test_results_stand_in_the_order_of_the_families() -> None:
    def quick(_: Line) -> Found:
        return Found(grade=Grade.GOOD)

    def slow(_: Line) -> Found:
        time.sleep(0.1)
        return Found(grade=Grade.WARNING, output=[1])

    def refused(line: Line) -> Found:
        raise Refused("no", to=line.place)

    def broken(_: Line) -> Found:
        raise LookupError("a fault of ours")

    families = {
        "A": Family(description="", scanners={"one": Scanner(description="", scan=slow)}),
        "B": Family(
            description="",
            scanners={name: Scanner(description="", scan=it) for name, it in (("x", refused), ("y", broken))},
        ),
        "C": Family(description="", scanners={"two": Scanner(description="", scan=quick)}),
    }
    with talking(gone) as line:
        found, complete = run_scans(line, family=everything, scanner=everything, families=families)
        some, _ = run_scans(
            line, family=lambda name: name != "B", scanner=lambda name: name == "two", families=families
        )
    assert complete
    assert [*found] == ["A", "B", "C"]
    assert found["A"]["one"].document() == {"grade": "Warning", "output": [1]}
    assert found["B"]["x"].document() == {"grade": "Bad", "error": "no"}
    assert found["B"]["y"].error == "the scanner failed: LookupError: a fault of ours"
    assert some == {"C": {"two": Found(grade=Grade.GOOD)}}


def test_a_server_that_refuses_everything_has_nothing() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")

    with talking(refuse) as line:
        for scan, said in (
            (cipher_suites, "couldn't negotiate any cipher suites"),
            (signature_algorithms, "no SigAlgs supported"),
        ):
            with pytest.raises(Exception, match=said):
                scan(line)
        assert curves(line) == Found(grade=Grade.GOOD, output=None)


def test_every_scanner_says_what_it_is_for() -> None:
    assert all(family.description and family.scanners for family in FAMILIES.values())
    assert all(scanner.description for family in FAMILIES.values() for scanner in family.scanners.values())
