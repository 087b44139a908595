"""A responder for the worker processes of `groundplane.pki.server`: opened in each, as databases must be."""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.ocsp.app import ResponderApp
from groundplane.pki.ocsp.sources import Source

if TYPE_CHECKING:
    from groundplane.pki.operators.side import Side, SideServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a worker opened: a source, what is called at the end, and the operators' door if there is one.

    `answered`: see `ResponderApp`.
    """

    source: Source
    end: Callable[[], None]
    side: "Side | None" = None
    answered: Callable[[str, float], None] | None = None


@dataclass(slots=True, kw_only=True)
class ResponderSite:
    """`open` is called in each worker. `door` is the operators' listener, which all share; None: there is none."""

    open: Callable[[], Opened]
    journal: Journal
    path: str = "/"
    tls: ssl.SSLContext | None = None
    door: socket.socket | None = None
    flush: Callable[[], None] = lambda: None
    _app: ResponderApp | None = field(default=None, init=False)
    _end: Callable[[], None] = field(default=lambda: None, init=False)
    _side: "tuple[SideServer, Any] | None" = field(default=None, init=False)

    @property
    def application(self) -> ResponderApp:
        """Once it is started."""
        assert self._app is not None
        return self._app

    def refuses(self, der: bytes) -> str | None:  # noqa: ARG002 - every client is welcome
        """Nobody."""
        return None

    def start(self) -> None:
        """Open the source, and the second door."""
        opened = self.open()
        self._end = opened.end
        self._app = ResponderApp(opened.source, journal=self.journal, path=self.path, answered=opened.answered)
        if opened.side is not None and self.door is not None:
            from groundplane.pki.operators.side import serve

            self._side = serve(opened.side, self.door)

    def retire(self) -> None:
        """The successor has the second door."""
        if self._side is not None:
            self._side[0].should_exit = True

    def close(self) -> None:
        """Let it go."""
        self.retire()
        if self._app is not None:
            self._app.close()
        self._end()


def nothing_to_close() -> None:
    """For sources in memory."""
