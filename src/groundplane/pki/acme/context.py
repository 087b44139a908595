"""What every handler of a request is given, the request it gets, and the answer it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from groundplane.pki.acme.config import Config
from groundplane.pki.acme.issuer import Issuer
from groundplane.pki.acme.jose import PublicKey
from groundplane.pki.acme.model import Account
from groundplane.pki.acme.order_store import OrderStore
from groundplane.system.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Urls:
    """Where things are; `base` has no final slash."""

    base: str

    def of(self, *parts: object) -> str:
        """A URL of the server."""
        return "/".join((self.base, "acme", *map(str, parts)))

    @property
    def directory(self) -> str:
        """Where clients begin."""
        return f"{self.base}/directory"

    def account(self, identifier: str) -> str:
        """An account's, which is also its `kid`."""
        return self.of("account", identifier)

    def order(self, identifier: str) -> str:
        """An order's."""
        return self.of("order", identifier)

    def authorization(self, identifier: str) -> str:
        """An authorization's."""
        return self.of("authz", identifier)

    def challenge(self, identifier: str) -> str:
        """A challenge's."""
        return self.of("challenge", identifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The server's parts. `external_keys`: secrets for external account binding. `wake`: a challenge is due."""

    config: Config
    urls: Urls
    store: OrderStore
    issuer: Issuer
    clock: Clock
    wake: Callable[[], None]
    external_keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def now(self) -> datetime:
        """The time, in UTC, as the database keeps it: to the millisecond."""
        now = self.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that is signed, fresh and meant for this URL. `account` None: `jwk` came with it instead."""

    url: str
    key: PublicKey
    jwk: Mapping[str, str]
    account: Account | None
    payload: bytes
    client: str
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def reads(self) -> bool:
        """Whether it is a POST-as-GET."""
        return not self.payload

    @property
    def owner(self) -> Account:
        """The account, where a request without one was refused already."""
        assert self.account is not None
        return self.account


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back. `document` is JSON; `text` something else, of `content_type`."""

    status: int = 200
    document: Mapping[str, object] | None = None
    text: str = ""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def rfc3339(moment: datetime) -> str:
    """In UTC, with a Z, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def link(url: str, relation: str) -> tuple[str, str]:
    """A Link header."""
    return "Link", f'<{url}>;rel="{relation}"'
