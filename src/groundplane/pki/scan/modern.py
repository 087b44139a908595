"""The family Modern, which CFSSL does not have: TLS 1.3, and what of TLS 1.2 came after CFSSL's lists.

Its names match no pattern that is meant for one of CFSSL's: those families say what they always said.
"""

from groundplane.pki.scan.ask import Heard, ask_certificates
from groundplane.pki.scan.handshake import new_client
from groundplane.pki.scan.line import Line
from groundplane.pki.scan.model import Family, Found, Grade, Refused, Scanner, Trouble
from groundplane.pki.scan.negotiation import agreed, offer, preferred_groups, signature_of
from groundplane.pki.scan.registry import (
    GROUPS,
    NEW_GROUPS,
    OLD_GROUPS,
    ONLY_IN_CERTIFICATES,
    SCHEMES,
    TLS12,
    TLS13,
    suites,
)
from groundplane.pki.scan.schedule import SHAREABLE
from groundplane.pki.scan.sessions import resumed_everywhere

_NEWEST = tuple(number for number, suite in suites().items() if suite.for_tls13)
_BEFORE = tuple(number for number, suite in suites().items() if not suite.for_tls13)
_ALL_GROUPS = (*NEW_GROUPS, *(group for group in OLD_GROUPS if group not in NEW_GROUPS))
_NOT_SPOKEN = "the server does not speak TLS 1.3"


def all_suites(line: Line) -> Found:
    """Of TLS 1.3 and 1.2, with all groups; a warning without the former, bad without both."""
    new = agreed(line, (TLS13,), among=_NEWEST, groups=tuple(NEW_GROUPS), schemes=tuple(SCHEMES))
    old = agreed(line, (TLS12,), among=_BEFORE, groups=_ALL_GROUPS, schemes=tuple(SCHEMES))
    if not new and not old:
        raise Trouble("the server speaks neither TLS 1.3 nor TLS 1.2", to=line.place)
    grade = Grade.GOOD if new else Grade.WARNING
    return Found(grade=grade, output=[each.document() for each in (*new, *old)])


def all_groups(line: Line) -> Found:
    """For the key exchange of TLS 1.3, as the server prefers."""
    return Found(grade=Grade.GOOD, output=[GROUPS[group] for group in _groups(line)])


def signatures(line: Line) -> Found:
    """Those that the server signs a TLS 1.3 handshake with, each asked for alone."""
    return Found(grade=Grade.GOOD, output=list(_by_scheme(line)))


def certificates(line: Line) -> Found:
    """What the certificate is signed with that each of them brings forth."""
    shown = {name: signature_of(heard.certificates[0], line) for name, heard in _by_scheme(line).items()}
    return Found(grade=Grade.GOOD, output=dict(sorted(shown.items())))


def resumption(line: Line) -> Found:
    """With TLS 1.3's tickets."""
    client = new_client()
    return resumed_everywhere(line, client, client.shake(line, ticket=True), tickets=True)


def _groups(line: Line) -> tuple[int, ...]:
    base = offer(line, version=TLS13, suites=_NEWEST, schemes=tuple(SCHEMES))
    found = preferred_groups(line, base, tuple(NEW_GROUPS))
    if not found:
        raise Trouble(_NOT_SPOKEN, to=line.place)
    return found


def _by_scheme(line: Line) -> dict[str, Heard]:
    """Certificates may be signed with anything, handshakes with one."""
    group = next((group for group in _groups(line) if group in SHAREABLE), None)
    if group is None:
        raise Trouble("the server takes no group that groundplane can compute in", to=line.place)
    taken: dict[str, Heard] = {}
    for number, name in SCHEMES.items():
        if number in ONLY_IN_CERTIFICATES:
            continue
        asked = offer(line, suites=_NEWEST, schemes=(number, *sorted(ONLY_IN_CERTIFICATES)))
        try:
            heard = ask_certificates(line, asked, group)
        except Refused:
            continue
        if heard.scheme == number and heard.certificates:
            taken[name] = heard
    if not taken:
        raise Trouble("no signature algorithm will do", to=line.place)
    return taken


FAMILY = Family(
    description="Scans for TLS 1.3, and for cipher suites and groups that came after CFSSL's",
    scanners={
        "Certificates": Scanner(
            description="What host's certificate is signed with, by the TLS 1.3 signature algorithm asked for",
            scan=certificates,
        ),
        "Groups": Scanner(description="Groups of host's TLS 1.3 key exchange, as host prefers", scan=all_groups),
        "Resumption": Scanner(description="Host resumes TLS 1.3 sessions across all addresses", scan=resumption),
        "Signatures": Scanner(description="Signature algorithms of host's TLS 1.3 handshakes", scan=signatures),
        "Suites": Scanner(
            description="Cipher suites of TLS 1.3 and 1.2 with their groups, as host prefers", scan=all_suites
        ),
    },
)
