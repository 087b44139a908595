"""Whom a certificate is about: distinguished names (`Subject`) and alternative names, as plain words.

Object identifiers are dotted text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NewType

OID = NewType("OID", str)

COUNTRY = OID("2.5.4.6")
PROVINCE = OID("2.5.4.8")
LOCALITY = OID("2.5.4.7")
ORGANIZATION = OID("2.5.4.10")
ORGANIZATIONAL_UNIT = OID("2.5.4.11")
COMMON_NAME = OID("2.5.4.3")
SERIAL_NUMBER = OID("2.5.4.5")
EMAIL_ADDRESS = OID("1.2.840.113549.1.9.1")

SHORT_NAMES: Mapping[OID, str] = {
    COUNTRY: "C",
    PROVINCE: "ST",
    LOCALITY: "L",
    ORGANIZATION: "O",
    ORGANIZATIONAL_UNIT: "OU",
    COMMON_NAME: "CN",
    SERIAL_NUMBER: "serialNumber",
    EMAIL_ADDRESS: "emailAddress",
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Attribute:
    """One piece of a name, such as O=DevOps."""

    oid: OID
    value: str

    def __str__(self) -> str:
        return f"{SHORT_NAMES.get(self.oid, self.oid)}={self.value}"


@dataclass(frozen=True, slots=True)
class Subject:
    """A distinguished name: its RDNs in order; the attributes of one RDN are a set, kept sorted to compare."""

    rdns: tuple[tuple[Attribute, ...], ...] = ()

    def __post_init__(self) -> None:
        rdns = tuple(rdn if len(rdn) == 1 else tuple(sorted(set(rdn))) for rdn in self.rdns if rdn)
        object.__setattr__(self, "rdns", rdns)

    def __str__(self) -> str:
        return ", ".join(" + ".join(map(str, rdn)) for rdn in self.rdns) or "(empty)"

    @property
    def common_name(self) -> str:
        """The last CN, as for Go and CFSSL, or empty."""
        return next((a.value for rdn in reversed(self.rdns) for a in reversed(rdn) if a.oid == COMMON_NAME), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternativeNames:
    """Subject alternative names by kind, each in the order it was asked for."""

    dns: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    ips: tuple[IPv4Address | IPv6Address, ...] = ()
    uris: tuple[str, ...] = ()

    def texts(self) -> tuple[str, ...]:
        """All of them as text, in the order a certificate has them."""
        return (*self.dns, *self.emails, *map(str, self.ips), *self.uris)
