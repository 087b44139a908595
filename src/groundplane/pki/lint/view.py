"""A certificate as rules see it: read from its DER as it stands, with all that is odd about it.

`cryptography` refuses, or hides, much of what there are rules about (a negative serial number, an unused bit, the type
of a string), so it is used for one thing only: whether a certificate signed itself.
"""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from groundplane.errors import Invalid
from groundplane.pki.lint import oids, read
from groundplane.pki.lint.parts import (
    Basic,
    Extension,
    GeneralNames,
    Key,
    KeyUsage,
    Name,
    Point,
    Policy,
    Subtree,
    basic_of,
    bits_of,
    extension_of,
    key_of,
    logs_of,
    name_of,
    names_of,
    places_of,
    points_of,
    policies_of,
    subtrees_of,
)
from groundplane.pki.lint.read import Malformed, Value
from groundplane.pki.lint.signature import signed_by_own_key

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----")
_LARGEST = 1 << 20
_VERSION, _ISSUER_ID, _SUBJECT_ID, _EXTENSIONS = 0xA0, 0x81, 0x82, 0xA3


@dataclass(frozen=True, kw_only=True)
class View:
    """Everything that rules ask about. What is missing is empty; of an extension that stands twice the last counts."""

    signed: bytes
    version: int
    serial: Value
    algorithm: Value  # of the signature, as the signed part has it
    outer_algorithm: Value  # the same, as the signature's own field has it
    signature: bytes
    issuer_der: Value
    subject_der: Value
    times: tuple[Value, Value]
    not_before: datetime
    not_after: datetime
    issuer: Name
    subject: Name
    key: Key
    unique_identifiers: bool
    extensions: tuple[Extension, ...]

    @cached_property
    def _by_oid(self) -> dict[str, Extension]:
        return {extension.oid: extension for extension in self.extensions}

    def __contains__(self, oid: str) -> bool:
        return oid in self._by_oid

    def critical(self, oid: str) -> bool:
        """Whether it has that extension, marked so."""
        return oid in self and self._by_oid[oid].critical

    def value(self, oid: str) -> bytes:
        """The extension's content; nothing if it has none."""
        return self._by_oid[oid].value if oid in self else b""

    @cached_property
    def serial_number(self) -> int:
        """The number, which may be negative."""
        return read.integer(self.serial.content)

    @cached_property
    def signature_oid(self) -> str:
        """How it is signed."""
        return read.dotted(self.algorithm.members[0].content)

    @cached_property
    def basic(self) -> Basic | None:
        """BasicConstraints."""
        return basic_of(self.value(oids.BASIC_CONSTRAINTS))

    @cached_property
    def is_ca(self) -> bool:
        """Whether it says that it is a CA's."""
        return self.basic is not None and self.basic.is_ca

    @cached_property
    def key_usage(self) -> KeyUsage:
        """The bits that are set."""
        return bits_of(self.value(oids.KEY_USAGE))

    @cached_property
    def usages(self) -> tuple[str, ...]:
        """The extended usages that zlint knows; of others it knows only that the extension is there."""
        every = self.value(oids.EXTENDED_USAGE)
        found = [read.dotted(usage.content) for usage in read.sequence(every)] if every else []
        return tuple(usage for usage in found if usage in oids.KNOWN_USAGES)

    @cached_property
    def san(self) -> GeneralNames:
        """The subject's names."""
        return names_of(self.value(oids.SAN)) if oids.SAN in self else GeneralNames()

    @cached_property
    def ian(self) -> GeneralNames:
        """The issuer's names."""
        return names_of(self.value(oids.IAN)) if oids.IAN in self else GeneralNames()

    @cached_property
    def policies(self) -> tuple[Policy, ...]:
        """The policies it is issued under."""
        return policies_of(self.value(oids.POLICIES)) if oids.POLICIES in self else ()

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """Where its CRLs are."""
        return points_of(self.value(oids.CRL_POINTS)) if oids.CRL_POINTS in self else ()

    @cached_property
    def subtrees(self) -> tuple[Subtree, ...]:
        """Its name constraints."""
        return subtrees_of(self.value(oids.NAME_CONSTRAINTS)) if oids.NAME_CONSTRAINTS in self else ()

    @cached_property
    def _places(self) -> tuple[tuple[str, str], ...]:
        return places_of(self.value(oids.AUTHORITY_ACCESS)) if oids.AUTHORITY_ACCESS in self else ()

    def urls(self, method: str) -> tuple[str, ...]:
        """Of its authority information access."""
        return tuple(url for each, url in self._places if each == method)

    @cached_property
    def authority_key(self) -> dict[int, bytes]:
        """The fields of AuthorityKeyIdentifier, by their tags."""
        value = self.value(oids.AUTHORITY_KEY)
        return {member.number: member.content for member in read.sequence(value)} if value else {}

    @cached_property
    def logs(self) -> tuple[bytes, ...]:
        """The transparency logs whose timestamps it carries."""
        return logs_of(self.value(oids.TIMESTAMPS)) if oids.TIMESTAMPS in self else ()

    @cached_property
    def self_signed(self) -> bool:
        """Whether its own key made its signature."""
        return self.subject_der.whole == self.issuer_der.whole and signed_by_own_key(
            self.key, self.algorithm, signed=self.signed, signature=self.signature
        )

    @cached_property
    def is_root(self) -> bool:
        """A CA that signed itself."""
        return self.is_ca and self.self_signed

    @cached_property
    def is_subordinate(self) -> bool:
        """A CA that another signed."""
        return self.is_ca and not self.self_signed

    @cached_property
    def is_subscriber(self) -> bool:
        """Neither a CA nor self-signed."""
        return not self.is_ca and not self.self_signed

    @cached_property
    def for_servers(self) -> bool:
        """Whether a server may show it: its usages say so, say "any", or say nothing."""
        return not self.usages or bool({oids.SERVER_AUTH, oids.ANY_USAGE} & {*self.usages})

    @cached_property
    def common_name(self) -> str:
        """The last one."""
        return self.subject.text(oids.COMMON_NAME)

    @cached_property
    def policy_oids(self) -> tuple[str, ...]:
        """Of its policies."""
        return tuple(policy.oid for policy in self.policies)

    @cached_property
    def is_extended(self) -> bool:
        """Whether one of its policies stands for extended validation."""
        return bool(oids.EXTENDED_VALIDATION & {*self.policy_oids})

    def parse(self) -> None:
        """Read all that is read late. Raises Malformed."""
        names = ("san", "ian", "policies", "points", "subtrees", "_places", "logs")
        for part in ("serial_number", "signature_oid", "usages", *names):
            getattr(self, part)
        _ = self.authority_key


class Unreadable(Invalid):
    """Rules can say nothing about it."""


def certificates_of(data: bytes, *, source: object) -> list[bytes]:
    """The certificates of a file, in DER: every one in PEM, or the one that it is. Raises Unreadable."""
    if not data.lstrip().startswith((b"-----", b"#")) and data[:1] == b"\x30":
        return [data]
    try:
        found = [base64.b64decode(b"".join(block.split())) for block in _PEM.findall(data)]
    except ValueError as bad:
        raise Unreadable(f"this is no PEM: {bad}", to=source, hint="give one in PEM or DER") from bad
    if not found:
        raise Unreadable("there is no certificate in it", to=source, hint="give one in PEM or DER")
    return found


def view(certificate: bytes, *, source: object = "certificate") -> View:
    """A certificate in DER. Raises Unreadable."""
    if len(certificate) > _LARGEST:
        raise Unreadable(f"{len(certificate)} bytes are more than a certificate has", to=source)
    try:
        found = _view(certificate)
        found.parse()
    except (Malformed, ValueError, IndexError) as bad:
        raise Unreadable(f"the certificate cannot be read: {bad}", to=source, hint="give one in PEM or DER") from bad
    return found


def _view(certificate: bytes) -> View:
    signed, outer, signature = read.sequence(certificate)[:3]
    members = signed.members
    version = 1
    if members[0].tag == _VERSION:
        version = read.integer(members.pop(0).members[0].content) + 1
    serial, algorithm, issuer, validity, subject, key, *rest = members
    start, end = validity.members
    extensions = next((part for part in rest if part.tag == _EXTENSIONS), None)
    return View(
        signed=signed.whole,
        version=version,
        serial=serial,
        algorithm=algorithm,
        outer_algorithm=outer,
        signature=signature.content[1:],
        issuer_der=issuer,
        subject_der=subject,
        times=(start, end),
        not_before=read.instant(start),
        not_after=read.instant(end),
        issuer=name_of(issuer),
        subject=name_of(subject),
        key=key_of(key),
        unique_identifiers=any(part.tag in {_ISSUER_ID, _SUBJECT_ID} for part in rest),
        extensions=() if extensions is None else tuple(map(extension_of, extensions.members[0].members)),
    )
