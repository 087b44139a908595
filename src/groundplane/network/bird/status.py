"""BIRD's answers, parsed.

A reply is lines of `NNNN-text`, the last one `NNNN text`; a line that begins with a blank goes on with the code before
it, one with `+` is a log line in between.

Codes: 0 and 1 are success and tables, 8 and 9 errors of the action and of the command line (BIRD's doc/reply_codes).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from groundplane.network.bird.model import Session
from groundplane.network.bird.render import peer_of

_CODED = re.compile(r"(\d{4})([ -])(.*)")
_PROTOCOL, _DETAIL = 1002, 1006
_FIRST_ERROR = 8000
_STATE = re.compile(r"\s+BGP state:\s+(\S+)")
_ERROR = re.compile(r"\s+Last error:\s+(.*\S)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """All lines of one answer, each with its code."""

    lines: tuple[tuple[int, str], ...]

    @property
    def failure(self) -> str:
        """The words of the first error; empty for a success."""
        return next((text for code, text in self.lines if code >= _FIRST_ERROR), "")


def complete(line: str) -> bool:
    """Whether this line ends a reply."""
    coded = _CODED.fullmatch(line)
    return coded is not None and coded[2] == " "


def parse_reply(lines: Iterable[str]) -> Reply:
    """Lines without their newlines. What is not in the protocol's form is left out."""
    found: list[tuple[int, str]] = []
    code = 0
    for line in lines:
        coded = _CODED.fullmatch(line)
        if coded is not None:
            code = int(coded[1])
            found.append((code, coded[3]))
        elif line.startswith(" ") and found:
            found.append((code, line[1:]))
    return Reply(lines=tuple(found))


def parse_sessions(reply: Reply) -> tuple[Session, ...]:
    """The mesh's BGP sessions in the answer to `show protocols all`."""
    sessions: list[Session] = []
    name, details = "", list[str]()
    head: list[str] = []
    for code, text in (*reply.lines, (_PROTOCOL, "")):
        if code == _PROTOCOL:
            session = _session(name, head, details)
            if session is not None:
                sessions.append(session)
            head, details = text.split(), []
            name = head[0] if head else ""
        elif code == _DETAIL:
            details.append(text)
    return tuple(sessions)


def _session(name: str, head: list[str], details: list[str]) -> Session | None:
    # Name Proto Table State Since(date time) Info…
    peer = peer_of(name)
    if peer is None or len(head) < 6:  # noqa: PLR2004 - the columns above
        return None
    bgp = next((found[1] for line in details if (found := _STATE.match(line))), "")
    error = next((found[1] for line in details if (found := _ERROR.match(line))), "")
    info = " ".join(head[6:])
    return Session(
        name=name,
        peer=peer,
        state=head[3],
        bgp=bgp or (head[6] if len(head) > 6 else ""),  # noqa: PLR2004
        since=f"{head[4]} {head[5]}",
        info=error or info,
    )
