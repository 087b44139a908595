"""The words of the HTTP API: a call, an answer, an endpoint, and what refuses a call.

An endpoint is a function from a call to a result: bytes in, values out. What speaks HTTP around it is `app`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from groundplane.pki.cfssl.errors import CfsslError

PREFIX = "/api/v1/cfssl/"
ANY = "*"  # an endpoint that takes every method
PEER = "groundplane.peer"  # in an ASGI scope: the certificate that the client showed, in DER


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `client` is its address and port as the log says them; `query` is still encoded."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    client: str = ""

    @property
    def url(self) -> str:
        """Path and query, for the log."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back. `code` is what CFSSL's access log says of it: 200, or the number of the error."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An endpoint's success. `note`: code and text of the one message that may go with it."""

    value: object
    note: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One door of the API. `blocking`: it may take long (a key, a disk, another host), so it runs in a thread.

    `dangerous`: it makes or hands out what should not be had unasked; a hardened server leaves it off. An endpoint that
    returns an Answer words it itself. `logged` False: it has lines of its own instead of the access log's.
    """

    name: str
    method: str
    run: Callable[[Call], Result | Answer]
    blocking: bool = False
    dangerous: bool = False
    logged: bool = True


class Refused(CfsslError):
    """An HTTP error of the server itself: CFSSL takes the status for the code."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


def bad_request(text: str) -> Refused:
    """400."""
    return Refused(400, text)


class Off(CfsslError):
    """Why an endpoint is not there, for the log."""


class Observer(Protocol):
    """Whoever counts, audits or decides. `admit` may raise Refused; `answered` comes before every answer."""

    def admit(self, endpoint: Endpoint, call: Call) -> None:
        """Let this call be made."""

    def answered(self, endpoint: Endpoint, call: Call, answer: Answer, *, seconds: float) -> Answer:
        """Note that it was made; what the caller gets is returned. Raises nothing."""
