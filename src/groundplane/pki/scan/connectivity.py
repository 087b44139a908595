"""The family Connectivity: names, connections, a handshake."""

import urllib.error
import urllib.request
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Final

from groundplane.pki.chain.build import Pool, chains_of
from groundplane.pki.chain.hostname import check_host
from groundplane.pki.chain.link import Link
from groundplane.pki.chain.model import ChainRefused, Purpose
from groundplane.pki.scan.handshake import any_client
from groundplane.pki.scan.line import DIAL_WITHIN, Line
from groundplane.pki.scan.model import Family, Found, Grade, Scanner, Trouble

PUBLISHER: Final = "www.cloudflare.com"
_LISTS: Final = (f"https://{PUBLISHER}/ips-v4", f"https://{PUBLISHER}/ips-v6")
_LONGEST_LIST = 1 << 16


def dns_lookup(line: Line) -> Found:
    """The addresses of the name that was asked for."""
    return Found(grade=Grade.GOOD, output=list(line.addresses(line.name)))


def on_cloudflare(line: Line) -> Found:
    """Whether each address is one of Cloudflare's."""
    try:
        networks = [ip_network(text) for text in line.site.ranges()]
    except (Trouble, ValueError) as bad:
        happened = bad.happened if isinstance(bad, Trouble) else f"Couldn't parse CIDR range: {bad}"
        return Found(grade=Grade.SKIPPED, error=happened)
    theirs = {}
    for text in line.addresses(line.name):
        address = ip_address(text.partition("%")[0])
        theirs[text] = any(address in network for network in networks if network.version == address.version)
    grade = Grade.GOOD if all(theirs.values()) else Grade.BAD
    return Found(grade=grade, output=dict(sorted(theirs.items())))


def tcp_dial(line: Line) -> Found:
    """Whether there is a connection."""
    line.connect().close()
    return Found(grade=Grade.GOOD)


def tls_dial(line: Line) -> Found:
    """Whether there is a handshake, and whether a strict client would go on after it."""
    _, shaken = any_client(line)
    if trouble := trouble_of(shaken.chain, line):
        return Found(grade=Grade.WARNING, error=trouble)
    return Found(grade=Grade.GOOD)


def trouble_of(chain: tuple[Link, ...], line: Line) -> str:
    """Why a strict client refuses this chain, in Go's words and order: dates, name, issuers; empty if it does not."""
    if not chain:
        return "tls: no certificates"
    leaf, now = chain[0], line.site.clock()
    try:
        if leaf.not_before <= now <= leaf.not_after:
            check_host(leaf, line.name)
        chains_of(leaf, roots=line.site.roots(), intermediates=Pool(chain[1:]), at=now, purpose=Purpose.SERVER)
    except ChainRefused as refused:
        return refused.happened
    return ""


@cache
def cloudflare_ranges() -> tuple[str, ...]:
    """As Cloudflare publishes them, asked for once. Raises Trouble."""
    found: list[str] = []
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for url in _LISTS:
        try:
            with opener.open(url, timeout=DIAL_WITHIN) as reply:
                found += reply.read(_LONGEST_LIST).decode("ascii").split()
        except (OSError, ValueError) as bad:
            reason = bad.reason if isinstance(bad, urllib.error.URLError) else bad
            raise Trouble(f"Couldn't download CloudFlare IPs: Get {url}: {reason}", to=url) from bad
    return tuple(found)


FAMILY = Family(
    description="Scans for basic connectivity with the host through DNS and TCP/TLS dials",
    scanners={
        "CloudFlareStatus": Scanner(description="Host is on CloudFlare", scan=on_cloudflare),
        "DNSLookup": Scanner(description="Host can be resolved through DNS", scan=dns_lookup),
        "TCPDial": Scanner(description="Host accepts TCP connection", scan=tcp_dial),
        "TLSDial": Scanner(description="Host can perform TLS handshake", scan=tls_dial),
    },
)
