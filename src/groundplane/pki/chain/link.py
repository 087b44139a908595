"""A certificate as path building sees it: everything that decides about a chain, read once.

Names are compared byte by byte, as they were encoded, which is what Go does.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

from groundplane.errors import Invalid
from groundplane.pki.dn import attributes_of, names_in
from groundplane.pki.extensions import extension_in, extensions_of
from groundplane.pki.name import COMMON_NAME, ORGANIZATION

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_UNDERSTOOD = frozenset(
    {
        ExtensionOID.KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The alternative names of a certificate, or one side of its name constraints."""

    dns: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()
    networks: tuple[Network, ...] = ()
    others: bool = False  # kinds that are not looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One certificate of a chain. `constrained` says that there are name constraints at all."""

    certificate: x509.Certificate = field(repr=False)
    der: bytes = field(repr=False)
    subject: bytes
    issuer: bytes
    subject_key_id: bytes
    authority_key_id: bytes
    not_before: datetime
    not_after: datetime
    is_ca: bool
    has_basic: bool
    path_length: int | None
    may_sign: bool
    usages: tuple[str, ...]
    names: Names | None
    constrained: bool
    permitted: Names
    excluded: Names
    unknown_critical: bool
    issuer_urls: tuple[str, ...]
    ocsp_urls: tuple[str, ...]
    crl_urls: tuple[str, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Link) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)

    @property
    def common_name(self) -> str:
        """The last CN, as Go takes it, or empty."""
        found = [each.value for rdn in attributes_of(self.subject) for each in rdn if each.oid == COMMON_NAME]
        return found[-1] if found else ""

    @property
    def title(self) -> str:
        """What to call it: its common name, its organization or its serial number."""
        if name := self.common_name:
            return name
        found = [each.value for rdn in attributes_of(self.subject) for each in rdn if each.oid == ORGANIZATION]
        return found[0] if found else f"serial:{self.certificate.serial_number}"

    @property
    def pem(self) -> str:
        """As PEM, with a newline at the end."""
        return self.certificate.public_bytes(Encoding.PEM).decode()


def link_of(certificate: x509.Certificate, *, source: str = "certificate") -> Link:
    """What `certificate` says. Raises Invalid for one that cannot be understood."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # long names and odd countries are no concern of one who only reads
            return _link(certificate)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as odd:
        raise Invalid(f"the certificate cannot be understood: {odd}", to=source) from odd
    except x509.UnsupportedGeneralNameType as odd:
        raise Invalid("the certificate has a kind of name that cannot be read", to=source) from odd


def _link(certificate: x509.Certificate) -> Link:
    extensions = extensions_of(certificate)
    issuer, subject = names_in(certificate)
    attributes_of(issuer), attributes_of(subject)  # one that cannot be read makes a certificate that cannot
    basic = extension_in(extensions, x509.BasicConstraints)
    usage = extension_in(extensions, x509.KeyUsage)
    extended = extension_in(extensions, x509.ExtendedKeyUsage)
    subject_key = extension_in(extensions, x509.SubjectKeyIdentifier)
    authority_key = extension_in(extensions, x509.AuthorityKeyIdentifier)
    constraints = extension_in(extensions, x509.NameConstraints)
    alternative = extension_in(extensions, x509.SubjectAlternativeName)
    names = None if alternative is None else _names(list(alternative))
    permitted = _names((constraints.permitted_subtrees if constraints else None) or ())
    excluded = _names((constraints.excluded_subtrees if constraints else None) or ())
    understood = set(_UNDERSTOOD)
    if names is not None and (names.dns or names.emails or names.uris or names.addresses):
        understood.add(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    if not (permitted.others or excluded.others):
        understood.add(ExtensionOID.NAME_CONSTRAINTS)
    return Link(
        certificate=certificate,
        der=certificate.public_bytes(Encoding.DER),
        subject=subject,
        issuer=issuer,
        subject_key_id=b"" if subject_key is None else subject_key.digest,
        authority_key_id=b"" if authority_key is None else authority_key.key_identifier or b"",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        is_ca=basic is not None and basic.ca,
        has_basic=basic is not None,
        path_length=None if basic is None else basic.path_length,
        may_sign=usage is None or usage.key_cert_sign,
        usages=() if extended is None else tuple(oid.dotted_string for oid in extended),
        names=names,
        constrained=constraints is not None,
        permitted=permitted,
        excluded=excluded,
        unknown_critical=any(each.critical and each.oid not in understood for each in extensions),
        issuer_urls=_access(extensions, AuthorityInformationAccessOID.CA_ISSUERS),
        ocsp_urls=_access(extensions, AuthorityInformationAccessOID.OCSP),
        crl_urls=_crl_urls(extension_in(extensions, x509.CRLDistributionPoints)),
    )


def _names(found: Sequence[x509.GeneralName]) -> Names:
    plain = {x509.DNSName: list[str](), x509.RFC822Name: list[str](), x509.UniformResourceIdentifier: list[str]()}
    addresses: list[Address] = []
    networks: list[Network] = []
    others = False
    for name in found:
        match name:
            case x509.IPAddress(value=IPv4Address() | IPv6Address() as address):
                addresses.append(address)
            case x509.IPAddress(value=IPv4Network() | IPv6Network() as network):
                networks.append(network)
            case x509.DNSName() | x509.RFC822Name() | x509.UniformResourceIdentifier():
                plain[type(name)].append(name.value)
            case _:
                others = True
    return Names(
        dns=tuple(plain[x509.DNSName]),
        emails=tuple(plain[x509.RFC822Name]),
        uris=tuple(plain[x509.UniformResourceIdentifier]),
        addresses=tuple(addresses),
        networks=tuple(networks),
        others=others,
    )


def _access(extensions: x509.Extensions, method: x509.ObjectIdentifier) -> tuple[str, ...]:
    found = extension_in(extensions, x509.AuthorityInformationAccess)
    return tuple(
        entry.access_location.value
        for entry in found or ()
        if entry.access_method == method and isinstance(entry.access_location, x509.UniformResourceIdentifier)
    )


def _crl_urls(found: x509.CRLDistributionPoints | None) -> tuple[str, ...]:
    return tuple(
        name.value
        for point in found or ()
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    )


@dataclass(frozen=True, slots=True)
class KeyWords:
    """A public key in words: `RSA`, `ECDSA`, `Ed25519`, `DSA` or empty, and its size in bits."""

    kind: str
    bits: int


def key_words(it: Link) -> KeyWords:
    """What kind of key it is about."""
    try:
        key = it.certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return KeyWords("", 0)
    match key:
        case rsa.RSAPublicKey():
            return KeyWords("RSA", key.key_size)
        case ec.EllipticCurvePublicKey():
            return KeyWords("ECDSA", key.curve.key_size)
        case ed25519.Ed25519PublicKey():
            return KeyWords("Ed25519", 256)
        case dsa.DSAPublicKey():
            return KeyWords("DSA", key.key_size)
        case _:
            return KeyWords("", 0)
