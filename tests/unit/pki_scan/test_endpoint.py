import threading
from datetime import UTC, datetime, timedelta

import pytest

from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.scan import Scans
from groundplane.pki.chain.fetch import Limits
from groundplane.pki.server.endpoints.scans import scan
from groundplane.pki.server.model import Call, Refused
from groundplane.pki.server.services import Services


class Slow:
    """A scan that takes until it is let go."""

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Semaphore(0)

    def run(self, host: str, address: str, *, family: str, scanner: str, within: timedelta) -> object:  # noqa: ARG002
        self.begun.release()
        assert self.go.wait(10)
        return {}

    def about(self) -> object:
        return {}


def journal() -> Journal:
    return Journal(write=lambda _: None, clock=lambda: datetime.now(UTC))


def call(query: str) -> Call:
    return Call(method="GET", path="/api/v1/cfssl/scan", query=query)


def test_scans_leave_threads_to_other_calls() -> None:
    slow = Slow()
    services = Services(journal=journal(), scans=slow)
    threads = [threading.Thread(target=scan, args=(services, call("host=a"))) for _ in range(4)]
    for thread in threads:
        thread.start()
        assert slow.begun.acquire(timeout=10)
    with pytest.raises(Refused, match="too many scans") as refused:
        scan(services, call("host=a"))
    assert refused.value.status == 503
    slow.go.set()
    for thread in threads:
        thread.join()
    assert scan(services, call("host=a")).value == {}


@pytest.mark.parametrize("query", ["", "host=", "host=a&timeout=1", "host=a&timeout=999ms", "host=a&timeout=5m1s"])
def test_what_is_no_scan_is_a_bad_request(query: str) -> None:
    with pytest.raises(Refused) as refused:
        scan(Services(journal=journal(), scans=Slow()), call(query))
    assert refused.value.status == 400


def test_where_hosts_are_limited_nobody_else_is_asked() -> None:
    scans = Scans(ca_bundle="", journal=journal(), limits=Limits(hosts=frozenset({""})))
    found = scans.run("127.0.0.1:1", "", family="", scanner="CloudFlareStatus", within=timedelta(seconds=2))
    assert found == {
        "Connectivity": {
            "CloudFlareStatus": {
                "grade": "Skipped",
                "error": "Couldn't download CloudFlare IPs: www.cloudflare.com may not be asked",
            }
        }
    }
