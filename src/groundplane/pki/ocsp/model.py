"""The words of OCSP (RFC 6960): which certificate is asked about, and what can be said of it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

MAX_REQUEST_BYTES = 65536  # a signed request brings certificates; none needs more
MAX_ASKED = 32  # certificates in one request
MAX_SERIAL_BYTES = 128


class Digest(Enum):
    """What a certificate's issuer is named by: the identifier's bytes, and the size."""

    SHA1 = ("sha1", "1.3.14.3.2.26", 20)
    SHA256 = ("sha256", "2.16.840.1.101.3.4.2.1", 32)
    SHA384 = ("sha384", "2.16.840.1.101.3.4.2.2", 48)
    SHA512 = ("sha512", "2.16.840.1.101.3.4.2.3", 64)

    @property
    def oid(self) -> str:
        """Its dotted identifier."""
        return self.value[1]

    def of(self, data: bytes) -> bytes:
        """The digest of `data`."""
        return hashlib.new(self.value[0], data, usedforsecurity=False).digest()


class CertificateStatus(Enum):
    """What an answer says."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CertificateID:
    """A certificate, by its issuer's name and key and its own number."""

    digest: Digest
    name_hash: bytes
    key_hash: bytes
    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asks. `asked` is never empty. `nonce` is the content of its extension, to be sent back as it is."""

    asked: tuple[CertificateID, ...]
    nonce: bytes | None = None

    @property
    def first(self) -> CertificateID:
        """The one that a responder of ready answers looks at."""
        return self.asked[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether a certificate is to be trusted. `reason` is RFC 5280's number; 0 is left out of answers."""

    status: CertificateStatus
    revoked_at: datetime | None = None
    reason: int = 0


GOOD = Standing(status=CertificateStatus.GOOD)
UNKNOWN = Standing(status=CertificateStatus.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """One certificate's part of an answer: true from `this_update`, to be asked again by `next_update`."""

    id: CertificateID
    standing: Standing
    this_update: datetime
    next_update: datetime | None


class ErrorAnswer(Enum):
    """Answers that nobody signs, whole."""

    MALFORMED = b"\x30\x03\x0a\x01\x01"
    INTERNAL = b"\x30\x03\x0a\x01\x02"
    TRY_LATER = b"\x30\x03\x0a\x01\x03"
    UNAUTHORIZED = b"\x30\x03\x0a\x01\x06"
