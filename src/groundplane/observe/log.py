"""structlog, set up once per process: JSON lines on stderr, colours when a terminal is watching.

Values under keys that name a secret are masked here, so that no call site can leak one.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET = ("password", "secret", "token", "private_key", "key_pem", "authorization", "identity_token")


def _mask(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in event:
        if name.lower() in _SECRET:
            event[name] = "***"
    return event


class _StandardError:
    """Whatever standard error is when a line is written."""

    def write(self, text: str) -> int:
        """Pass it on."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Pass it on."""
        sys.stderr.flush()


def set_up(*, level: str = "info") -> None:
    """Configure logging for this process; the last call wins."""
    watching = sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if watching else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=_StandardError()),  # type: ignore[arg-type] # all it uses
        cache_logger_on_first_use=False,
    )


def logger(component: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose every line carries `component`."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(component=component)
    return bound
