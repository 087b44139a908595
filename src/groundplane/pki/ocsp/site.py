"""A responder for the worker processes of `groundplane.pki.server`: opened in each, as databases must be."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.ocsp.app import ResponderApp
from groundplane.pki.ocsp.sources import Source


@dataclass(slots=True, kw_only=True)
class ResponderSite:
    """`open_source` is called in each worker; what it returns beside the source is called at the end."""

    open_source: Callable[[], tuple[Source, Callable[[], None]]]
    journal: Journal
    path: str = "/"
    tls: ssl.SSLContext | None = None
    _app: ResponderApp | None = field(default=None, init=False)
    _end: Callable[[], None] = field(default=lambda: None, init=False)

    @property
    def application(self) -> ResponderApp:
        """Once it is started."""
        assert self._app is not None
        return self._app

    def refuses(self, der: bytes) -> str | None:  # noqa: ARG002 - every client is welcome
        """Nobody."""
        return None

    def start(self) -> None:
        """Open the source."""
        source, self._end = self.open_source()
        self._app = ResponderApp(source, journal=self.journal, path=self.path)

    def close(self) -> None:
        """Let it go."""
        if self._app is not None:
            self._app.close()
        self._end()


def nothing_to_close() -> None:
    """For sources in memory."""
