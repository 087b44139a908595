"""What the server refuses, as ACME says it: `application/problem+json` with a type of RFC 8555, 6.7.

One table: the type's name, and the HTTP status that goes with it unless the caller knows better. A `Problem` is also
kept in challenges and orders as their `error`.
"""

from collections.abc import Mapping
from enum import Enum

from groundplane.errors import GroundplaneError, Kind
from groundplane.pki.acme.model import Identifier

_URN = "urn:ietf:params:acme:error:"


class Type(Enum):
    """Names of problems and their HTTP statuses; the last five are RFC 9773's and of the draft on profiles."""

    ACCOUNT_DOES_NOT_EXIST = ("accountDoesNotExist", 400)
    ALREADY_REVOKED = ("alreadyRevoked", 400)
    BAD_CSR = ("badCSR", 400)
    BAD_NONCE = ("badNonce", 400)
    BAD_PUBLIC_KEY = ("badPublicKey", 400)
    BAD_REVOCATION_REASON = ("badRevocationReason", 400)
    BAD_SIGNATURE_ALGORITHM = ("badSignatureAlgorithm", 400)
    CAA = ("caa", 403)
    CONNECTION = ("connection", 400)
    DNS = ("dns", 400)
    EXTERNAL_ACCOUNT_REQUIRED = ("externalAccountRequired", 403)
    INCORRECT_RESPONSE = ("incorrectResponse", 403)
    INVALID_CONTACT = ("invalidContact", 400)
    MALFORMED = ("malformed", 400)
    ORDER_NOT_READY = ("orderNotReady", 403)
    RATE_LIMITED = ("rateLimited", 429)
    REJECTED_IDENTIFIER = ("rejectedIdentifier", 400)
    SERVER_INTERNAL = ("serverInternal", 500)
    TLS = ("tls", 400)
    UNAUTHORIZED = ("unauthorized", 403)
    UNSUPPORTED_CONTACT = ("unsupportedContact", 400)
    UNSUPPORTED_IDENTIFIER = ("unsupportedIdentifier", 400)
    USER_ACTION_REQUIRED = ("userActionRequired", 403)
    ALREADY_REPLACED = ("alreadyReplaced", 409)
    INVALID_PROFILE = ("invalidProfile", 400)

    @property
    def urn(self) -> str:
        """As it stands in a problem document."""
        return _URN + self.value[0]

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[1]


class Problem(GroundplaneError):
    """A refusal. `headers` go with it (Retry-After, Location, Link); `extra` are further members of the document."""

    kind = Kind.DENIED

    def __init__(
        self,
        type_: Type,
        detail: str,
        *,
        status: int | None = None,
        identifier: Identifier | None = None,
        parts: tuple["Problem", ...] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail, to="ACME request")
        self.type = type_
        self.status = status or type_.status
        self.identifier = identifier
        self.parts = parts
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def document(self) -> dict[str, object]:
        """The problem document (RFC 7807, RFC 8555 6.7.1)."""
        found: dict[str, object] = {"type": self.type.urn, "detail": self.happened, "status": self.status, **self.extra}
        if self.identifier is not None:
            found["identifier"] = {"type": self.identifier.type.value, "value": self.identifier.value}
        if self.parts:
            found["subproblems"] = [part.part() for part in self.parts]
        return found

    def part(self) -> dict[str, object]:
        """As a subproblem: without a status of its own."""
        return {name: value for name, value in self.document().items() if name != "status"}

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), self.type, self.happened, self.status)


def _again(cls: type[Problem], type_: Type, detail: str, status: int) -> Problem:
    return cls(type_, detail, status=status)


def malformed(detail: str, *, status: int | None = None) -> Problem:
    """The request breaks the protocol's form."""
    return Problem(Type.MALFORMED, detail, status=status)


def of_many(problems: list[Problem], *, summary: str) -> Problem:
    """One problem for several identifiers: the only one itself, or a summary with subproblems."""
    if len(problems) == 1:
        return problems[0]
    return Problem(problems[0].type, summary, parts=tuple(problems))
