"""The words of ACME (RFC 8555, 7.1): accounts, orders, authorizations, challenges, as frozen values.

Times are aware UTC. An identifier's value is in the one form that is compared: DNS names in lower case ASCII, without
the `*.` of a wildcard in an authorization (there it is a flag), addresses as `ipaddress` writes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class IdentifierType(StrEnum):
    """RFC 8555, 9.7.7, and RFC 8738 for addresses."""

    DNS = "dns"
    IP = "ip"


class ChallengeType(StrEnum):
    """How control over an identifier is proved: RFC 8555, 8.3 and 8.4; RFC 8737."""

    HTTP = "http-01"
    DNS = "dns-01"
    TLS_ALPN = "tls-alpn-01"


class AccountStatus(StrEnum):
    """RFC 8555, 7.1.6; nothing leads back to valid."""

    VALID = "valid"
    DEACTIVATED = "deactivated"
    REVOKED = "revoked"


class AuthorizationStatus(StrEnum):
    """RFC 8555, 7.1.6; `expired` is worked out from the time, never stored."""

    PENDING = "pending"
    VALID = "valid"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ChallengeStatus(StrEnum):
    """RFC 8555, 7.1.6."""

    PENDING = "pending"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


class OrderStatus(StrEnum):
    """RFC 8555, 7.1.6; `ready` is worked out from the authorizations, never stored."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """What a certificate is to name. A wildcard's value begins with `*.`."""

    type: IdentifierType
    value: str

    @property
    def wildcard(self) -> bool:
        """Whether it stands for every name one label below."""
        return self.value.startswith("*.")

    @property
    def base(self) -> str:
        """The value to prove control of: a wildcard's without its `*.`."""
        return self.value.removeprefix("*.")

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`jwk` is the public key's JSON, `thumbprint` its RFC 7638 digest in base64url."""

    id: str
    jwk: Mapping[str, str]
    thumbprint: str
    created: datetime
    status: AccountStatus = AccountStatus.VALID
    contact: tuple[str, ...] = ()
    terms_agreed: bool = False
    external: Mapping[str, object] | None = None
    external_kid: str = ""
    created_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way to prove it. While `processing`, the next attempt is due at `due`."""

    id: str
    authorization: str
    type: ChallengeType
    token: str
    status: ChallengeStatus = ChallengeStatus.PENDING
    validated: datetime | None = None
    error: Mapping[str, object] | None = None
    attempts: int = 0
    due: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """An account's right to have `identifier` named. `stored`: ask `plan.authorization_status` for the status now."""

    id: str
    account: str
    identifier: Identifier
    wildcard: bool
    stored: AuthorizationStatus
    expires: datetime
    created: datetime
    challenges: tuple[Challenge, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A wish for a certificate. `stored`: ask `plan.order_status` for the status now.

    From `processing` on, `csr`, `serial` and `decided` are fixed: whoever goes on issues the same certificate. `pem` is
    the certificate and its chain once it is valid.
    """

    id: str
    account: str
    identifiers: tuple[Identifier, ...]
    authorizations: tuple[str, ...]
    stored: OrderStatus
    expires: datetime
    created: datetime
    profile: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    error: Mapping[str, object] | None = None
    csr: bytes = field(default=b"", repr=False)
    serial: int | None = None
    decided: datetime | None = None
    pem: str = field(default="", repr=False)
    replaces: str = ""
