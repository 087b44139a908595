"""The family PKI: the chain that a server shows."""

from datetime import datetime, timedelta
from itertools import pairwise

from groundplane.pki.cfssl.certinfo import algorithm_name
from groundplane.pki.chain.link import Link
from groundplane.pki.chain.signature import trouble_with_signature
from groundplane.pki.scan.handshake import any_client
from groundplane.pki.scan.line import Line
from groundplane.pki.scan.model import Family, Found, Grade, OutOfTime, Scanner, Trouble

_SOON = timedelta(days=30)
# The CA/Browser Forum's longest lives, in months, by when a certificate was issued: CFSSL's table.
_JULY_2012, _APRIL_2015 = (2012, 7, 1), (2015, 4, 1)
_OLD_SIGNATURES = {"ECDSAWithSHA1": "ECDSAWithSHA1", "SHA1WithRSA": "RSAWithSHA1"}


def expiration(line: Line) -> Found:
    """When the first certificate of the chain ends."""
    ends = min(it.not_after for it in chain_of(line))
    now = line.site.clock()
    grade = Grade.BAD if now > ends else Grade.WARNING if now + _SOON > ends else Grade.GOOD
    return Found(grade=grade, output=f"{ends:%Y-%m-%dT%H:%M:%SZ}")


def validation(line: Line) -> Found:
    """Each certificate against the next."""
    warnings: list[str] = []
    for it, parent in pairwise(chain_of(line)):
        line.within(1)
        name = it.common_name
        if not lives_short_enough(it.not_before, it.not_after):
            warnings.append(f"Certificate for {name} is valid for too long")
        revoked = line.site.is_revoked(it)
        if revoked is None:
            warnings.append(f"couldn't check if {name} is revoked")
        if trouble := f"{name} is revoked" if revoked else _trouble(it, parent):
            raise Trouble(trouble, to=line.place)
        if old := _OLD_SIGNATURES.get(algorithm_name(it.certificate)):
            warnings.append(f"{name} is signed by {old}")
    if warnings:
        return Found(grade=Grade.WARNING, output=warnings)
    return Found(grade=Grade.GOOD)


def multiple(line: Line) -> Found:
    """Whether every address shows the same certificate; one that shows none does not count."""
    first = chain_of(line)[0]
    for address in line.addresses(line.host):
        try:
            other = chain_of(line.at(address))[0]
        except OutOfTime:
            raise
        except Trouble:
            continue
        if other != first:
            raise Trouble(f"{other.common_name} not equal to {first.common_name}", to=line.place)
    return Found(grade=Grade.GOOD)


def chain_of(line: Line) -> tuple[Link, ...]:
    """What the server shows, leaf first, at least one. Raises Trouble."""
    _, shaken = any_client(line)
    if not shaken.chain:
        raise Trouble(f"{line.place} returned empty certificate chain", to=line.place)
    return shaken.chain


def lives_short_enough(start: datetime, end: datetime) -> bool:
    """In months that were begun, as CFSSL counts."""
    months = (end.year - start.year) * 12 + end.month - start.month + (end.day > start.day)
    day = (start.year, start.month, start.day)
    if day >= _APRIL_2015:
        return months <= 39  # noqa: PLR2004 - the Forum's number
    return months <= (60 if day >= _JULY_2012 else 120)


def _trouble(it: Link, parent: Link) -> str:
    if not parent.is_ca:
        return f"{parent.common_name} is not a CA"
    if it.authority_key_id != parent.subject_key_id:
        return f"{it.common_name} AuthorityKeyId differs from {parent.common_name} SubjectKeyId"
    return trouble_with_signature(it, parent)


FAMILY = Family(
    description="Scans for the Public Key Infrastructure",
    scanners={
        "ChainExpiration": Scanner(
            description="Host's chain hasn't expired and won't expire in the next 30 days", scan=expiration
        ),
        "ChainValidation": Scanner(description="All certificates in host's chain are valid", scan=validation),
        "MultipleCerts": Scanner(description="Host serves same certificate chain across all IPs", scan=multiple),
    },
)
