"""What is wrong with a member's files, found before etcd is started. Pure.

etcd itself notices a bad client certificate only after it has joined, and one that lacks an extended key usage or an
address never: raft then flows one way only, and everything looks well until the wrong member fails.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

_SOON = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, with what mends it. `fatal` False: etcd works, for now."""

    to: str
    happened: str
    hint: str
    fatal: bool = True


def examine(
    *,
    ca: bytes,
    cert: bytes,
    key: bytes,
    addresses: Sequence[IPv4Address | IPv6Address],
    now: datetime,
) -> tuple[Problem, ...]:
    """Problems of a member's PEM files. `addresses`: those it is reached at, and those it dials its peers from."""
    authorities = _certificates(ca)
    chain = _certificates(cert)
    if not authorities or not chain:
        what = "the CA file" if not authorities else "the certificate file"
        return (Problem(to=what, happened="holds no readable certificate", hint="issue it again"),)
    leaf, between = chain[0], chain[1:]
    return (
        *_key(leaf, key),
        *_dates(leaf, now),
        *_usages(leaf),
        *_addresses(leaf, addresses),
        *_chain(leaf, (*between, *authorities), authorities),
    )


def _certificates(pem: bytes) -> "list[x509.Certificate]":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        return []  # the caller says so, with the file's name


def _key(leaf: "x509.Certificate", key: bytes) -> list[Problem]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        private = load_pem_private_key(key, password=None)
    except TypeError:
        return [
            Problem(to="the key file", happened="is encrypted, which etcd cannot read", hint="store it plain, 0600")
        ]
    except (ValueError, UnsupportedAlgorithm):
        return [Problem(to="the key file", happened="holds no readable private key", hint="issue it again")]
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        return [Problem(to="the key file", happened="is not the certificate's key", hint="issue both again")]
    return []


def _dates(leaf: "x509.Certificate", now: datetime) -> list[Problem]:
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now < begins:
        return [Problem(to="the certificate", happened=f"is valid from {begins} only", hint="set the host's clock")]
    if now >= ends:
        return [Problem(to="the certificate", happened=f"expired at {ends}", hint="run `groundplane up`: it renews")]
    if now >= ends - _SOON:
        text = f"expires at {ends}"
        return [Problem(to="the certificate", happened=text, hint="run `groundplane up`: it renews", fatal=False)]
    return []


def _usages(leaf: "x509.Certificate") -> list[Problem]:
    from cryptography.x509 import ExtendedKeyUsage, ExtensionNotFound
    from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

    try:
        has = set(leaf.extensions.get_extension_for_class(ExtendedKeyUsage).value)
    except ExtensionNotFound:
        return []  # no restriction at all
    wanted = {Usage.SERVER_AUTH: "server auth", Usage.CLIENT_AUTH: "client auth"}
    if Usage.ANY_EXTENDED_KEY_USAGE in has:
        return []
    lacks = [name for usage, name in wanted.items() if usage not in has]
    hint = "use a profile with both: a member serves and dials with one certificate"
    return [Problem(to="the certificate", happened=f"lacks the usage {name}", hint=hint) for name in lacks]


def _addresses(leaf: "x509.Certificate", addresses: Sequence[IPv4Address | IPv6Address]) -> list[Problem]:
    from cryptography.x509 import ExtensionNotFound, IPAddress, SubjectAlternativeName

    try:
        named = set(
            leaf.extensions.get_extension_for_class(SubjectAlternativeName).value.get_values_for_type(IPAddress)
        )
    except ExtensionNotFound:
        named = set()
    return [
        Problem(to="the certificate", happened=f"does not name {address}", hint="add it to the request's hosts")
        for address in dict.fromkeys(addresses)
        if address not in named
    ]


def _chain(
    leaf: "x509.Certificate", issuers: "Sequence[x509.Certificate]", authorities: "Sequence[x509.Certificate]"
) -> list[Problem]:
    """Follow signatures from the leaf to one of the CA file's certificates."""
    at, left = leaf, list(issuers)
    while True:
        issuer = next((one for one in left if _issued(at, one)), None)
        if issuer is None:
            return [
                Problem(
                    to="the certificate", happened="is not signed by the CA file's authority", hint="issue it again"
                )
            ]
        if issuer in authorities:
            return []
        left.remove(issuer)
        at = issuer


def _issued(certificate: "x509.Certificate", issuer: "x509.Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False  # another's signature, another's name, or a key that cannot sign
    return True
