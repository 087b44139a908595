"""The family TLSSession: whether a session is resumed at every address of a name."""

from groundplane.pki.scan.handshake import Client, Shaken, any_client
from groundplane.pki.scan.line import Line
from groundplane.pki.scan.model import Family, Found, Grade, Scanner


def resume(line: Line) -> Found:
    """Whether each address takes up the session that the name began."""
    client, first = any_client(line, server_waits=True)
    return resumed_everywhere(line, client, first, tickets=first.version == "TLSv1.3")


def resumed_everywhere(line: Line, client: Client, first: Shaken, *, tickets: bool) -> Found:
    """The grade is the worst of all addresses'. Raises Trouble if one cannot be reached."""
    taken: dict[str, object] = {}
    session = first.session
    for address in line.addresses(line.host):
        again = client.shake(line.at(address), session=session, ticket=tickets)
        taken[address] = again.resumed
        session = again.session if tickets else session  # a ticket of TLS 1.3 is for one use
    return Found(grade=Grade.GOOD if all(taken.values()) else Grade.BAD, output=dict(sorted(taken.items())))


FAMILY = Family(
    description="Scans host's implementation of TLS session resumption using session tickets/session IDs",
    scanners={
        "SessionResume": Scanner(description="Host is able to resume sessions across all addresses", scan=resume)
    },
)
