"""The words of the service: where it listens, what it serves, who may call."""

import re
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from groundplane.pki.server.settings import Settings

# Whoever calls these learns what is public anyway, or proves in the call that he may (authsign).
HARMLESS = frozenset({"info", "health", "scaninfo", "crl", "authsign"})
EVERY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Host and port."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Who may call some endpoints: clients whose certificate has one of these names, bearers of a token, or anyone.

    `clients` are patterns for the whole of a common name or a subject alternative name; `tokens` SHA-256 digests.
    """

    endpoints: frozenset[str]
    clients: tuple[re.Pattern[str], ...] = ()
    tokens: frozenset[bytes] = field(default=frozenset(), repr=False)
    anyone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: the names of its certificate (None: it showed none), and the digest of its token."""

    names: frozenset[str] | None = None
    token: bytes | None = field(default=None, repr=False)

    @property
    def word(self) -> str:
        """For logs."""
        if self.names:
            return f"certificate {min(self.names)}"
        return "bearer of a token" if self.token else "anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The whole. `settings` is what CFSSL's own server is told; `metrics` and `audit` None: not wanted.

    With `replay_window`, authsign answers no request twice; `replay_state` is where it remembers them.
    """

    listen: Address
    settings: Settings
    rules: tuple[Rule, ...] = ()
    enabled: frozenset[str] = frozenset()
    metrics: Address | None = None
    audit: Path | None = None
    replay_window: timedelta | None = None
    replay_state: Path | None = None
    workers: int = 0
    level: str = "info"
    source: str = "configuration"


CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)
