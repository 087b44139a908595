"""scan and scaninfo: what a TLS server does, tried from here."""

from datetime import timedelta
from threading import Semaphore
from urllib.parse import parse_qs

from groundplane.pki.cfssl import gotext
from groundplane.pki.cfssl.errors import CfsslError, Plain
from groundplane.pki.server.model import Call, Refused, Result, bad_request
from groundplane.pki.server.services import Services

# In one process: a server that never answers holds a scan for as long as was asked, and with it a thread.
_AT_A_TIME = Semaphore(4)
_BUSY = 503
_SHORTEST, _LONGEST, _USUAL = timedelta(seconds=1), timedelta(minutes=5), timedelta(minutes=1)


def scan(services: Services, call: Call) -> Result:
    """One host, by the families and scanners whose names match."""
    asked = query_of(call)
    within = _USUAL
    if text := asked.get("timeout", ""):
        try:
            within = gotext.duration(text)
        except Plain as bad:
            raise bad_request(str(bad)) from bad
        if not _SHORTEST <= within <= _LONGEST:
            raise bad_request("invalid timeout given")
    host = asked.get("host", "")
    if not host:
        services.journal.warning("no host given")
        raise bad_request("no host given")
    assert services.scans is not None
    family, scanner = asked.get("family", ""), asked.get("scanner", "")
    if not _AT_A_TIME.acquire(blocking=False):
        raise Refused(_BUSY, "too many scans are running; try again later")
    try:
        found = services.scans.run(host, asked.get("ip", ""), family=family, scanner=scanner, within=within)
    except CfsslError as bad:
        raise bad_request(str(bad)) from bad
    finally:
        _AT_A_TIME.release()
    return Result(value=found)


def scaninfo(services: Services, _call: Call) -> Result:
    """Which families and scanners there are."""
    services.journal.info("setting up scaninfo handler")
    assert services.scans is not None
    return Result(value=services.scans.about())


def query_of(call: Call) -> dict[str, str]:
    """The first value of each parameter."""
    return {name: values[0] for name, values in parse_qs(call.query, keep_blank_values=True).items()}
