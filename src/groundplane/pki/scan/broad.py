"""The family Broad: many servers at once."""

from ipaddress import IPv4Network, IPv6Network, ip_network

from groundplane.pki.chain.link import Link
from groundplane.pki.scan.chains import chain_of
from groundplane.pki.scan.line import Line
from groundplane.pki.scan.model import Family, Found, Grade, OutOfTime, Scanner, Trouble
from groundplane.pki.scan.spread import spread

_AT_A_TIME = 32  # CFSSL's
_MOST = 1 << 16  # addresses: a /16, or a /112


def intermediates(line: Line) -> Found:
    """CA certificates that nobody here knows, shown by the servers of a network; no output if there are none."""
    network = _network(line.host)
    if network is None:
        return Found(grade=Grade.SKIPPED)
    line.site.strangers(())  # what is known must be readable before anybody is asked
    if network.num_addresses > _MOST:
        raise Trouble(f"{network} has more than {_MOST} addresses", to=line.place, hint="scan it in parts")
    seen: dict[Link, list[str]] = {}
    places = [line.at(str(address)) for address in network]
    for place, chain in zip(places, spread(_shown, places, at_a_time=_AT_A_TIME), strict=True):
        for it in line.site.strangers(chain):
            seen.setdefault(it, []).append(place.host)
    found = [_document(it, where) for it, where in seen.items()]
    return Found(grade=Grade.GOOD, output=found) if found else Found(grade=Grade.GOOD)


def _shown(line: Line) -> tuple[Link, ...]:
    """Nothing, where there is no server."""
    try:
        return chain_of(line)
    except Trouble as bad:
        if isinstance(bad, OutOfTime):
            raise
        return ()


def _network(text: str) -> IPv4Network | IPv6Network | None:
    """Of a CIDR; None for what is none. Bits beyond the prefix do not count."""
    if "/" not in text:
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _document(it: Link, where: list[str]) -> dict[str, object]:
    return {
        "subject": it.certificate.subject.rfc4514_string(),
        "issuer": it.certificate.issuer.rfc4514_string(),
        "pem": it.pem,
        "seen_at": where,
    }


FAMILY = Family(
    description="Large scale scans of TLS hosts",
    scanners={
        "IntermediateCAs": Scanner(description="Scans a CIDR IP range for unknown Intermediate CAs", scan=intermediates)
    },
)
