"""The words of the certificate database: what it keeps of a certificate and of an OCSP response, and what one may ask.

CFSSL's tables are the form in which they are kept (see `tables`); here a serial is a number, a time an aware UTC
`datetime`, and what is unset is None.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from groundplane.errors import Invalid

DRIVERS = ("sqlite3", "postgres", "mysql")
_HEX = frozenset("0123456789abcdef")


class Status(StrEnum):
    """Whether a certificate was taken back. That it has run out is no status: its date says so."""

    GOOD = "good"
    REVOKED = "revoked"


# RFC 5280, 5.3.1; 7 is not used there.
REASONS: Mapping[str, int] = {
    "unspecified": 0,
    "keyCompromise": 1,
    "cACompromise": 2,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
    "certificateHold": 6,
    "removeFromCRL": 8,
    "privilegeWithdrawn": 9,
    "aACompromise": 10,
}
REASON_NAMES: Mapping[int, str] = {code: name for name, code in REASONS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRecord:
    """A certificate that was issued, and what became of it. Together, serial and issuer's key name it.

    `sans` are its DNS names alone, as in CFSSL. `authority_key_id` is lower hex without colons; empty where the
    certificate does not say.
    """

    serial: int
    authority_key_id: str
    pem: str
    expiry: datetime
    status: Status = Status.GOOD
    reason: int = 0
    revoked_at: datetime | None = None
    ca_label: str = ""
    issued_at: datetime | None = None
    not_before: datetime | None = None
    metadata: Mapping[str, object] | None = None
    sans: tuple[str, ...] = ()
    common_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspRecord:
    """A response that was signed beforehand, as DER, and when it runs out."""

    serial: int
    authority_key_id: str
    body: bytes
    expiry: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseConfig:
    """Which database: one of DRIVERS, and where, in the form of CFSSL's driver. That may hold a password."""

    driver: str
    data_source: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to list; None and empty ask for everything. `name` is a part of the common name or of a DNS name."""

    status: Status | None = None
    label: str | None = None
    authority_key_id: str | None = None
    serial: int | None = None
    name: str = ""
    expires_before: datetime | None = None
    expires_after: datetime | None = None
    limit: int | None = None


def key_id(text: str) -> str:
    """The identifier of a key as it is stored, from any letter case, with or without colons. Raises Invalid."""
    plain = text.strip().replace(":", "").lower()
    if len(plain) % 2 or not _HEX.issuperset(plain):
        raise Invalid("this is no key identifier", to=repr(text), hint="give hex digits, two for each octet")
    return plain


def serial_number(text: str) -> int:
    """A serial in decimal, or in hex after 0x or with colons. Raises Invalid."""
    word = text.strip().lower()
    try:
        if ":" in word or word.startswith("0x"):
            return int(word.removeprefix("0x").replace(":", ""), 16)
        return int(word)
    except ValueError as bad:
        hint = "give it in decimal, or in hex after 0x"
        raise Invalid("this is no serial number", to=repr(text), hint=hint) from bad


def reason_code(text: str) -> int:
    """A reason by its name in RFC 5280, whatever its letter case, or by its number. Raises Invalid."""
    word = text.strip()
    for name, code in REASONS.items():
        if word.lower() == name.lower() or word == str(code):
            return code
    hint = f"give one of {', '.join(REASONS)}"
    raise Invalid("this is no reason to revoke", to=repr(text), hint=hint)
