"""A plan becomes X.509: CFSSL's extensions in CFSSL's order, its string types, its key identifiers.

Order: KeyUsage (critical), ExtendedKeyUsage, BasicConstraints (critical, always), subject and authority key
identifier, authority information access, alternative names (critical if the subject is empty), CRL distribution
point, those that came as bytes, policies, OCSP no-check, those of transparency logs. The issuer's name is taken from
its certificate as it stands.
"""

import re
import secrets
import warnings
from collections.abc import Iterable
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

from groundplane.errors import Invalid
from groundplane.pki.assemble import Sections, algorithm_of, assemble, encode
from groundplane.pki.extensions import extension_in, extensions_of
from groundplane.pki.keys import PublicKey, public_bytes
from groundplane.pki.model import (
    LAST,
    CertificateContent,
    CertificatePolicy,
    KeyUsage,
    RawExtension,
)
from groundplane.pki.name import OID, AlternativeNames, Subject
from groundplane.pki.namerules import NameConstraints
from groundplane.pki.signer import ByteSigner, Signer

SERIAL_BYTES = 20  # RFC 5280 allows no more; the top bit is cleared, since the number is a signed one
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*")


def random_serial() -> int:
    """159 random bits, as CFSSL takes them; never 0."""
    return int.from_bytes(secrets.token_bytes(SERIAL_BYTES)) >> 1 or 1


def make(
    plan: CertificateContent, *, public_key: PublicKey, serial: int, issuer: x509.Certificate | None, signer: Signer
) -> x509.Certificate:
    """The certificate of `plan` for `public_key`; `issuer` None makes a root that signs itself. Raises Invalid."""
    made = make_der(plan, public_key=public_key, serial=serial, issuer=issuer, signer=signer)
    return x509.load_der_x509_certificate(made)


def make_der(
    plan: CertificateContent, *, public_key: PublicKey, serial: int, issuer: x509.Certificate | None, signer: Signer
) -> bytes:
    """The same in DER, for those who only pass it on."""
    if isinstance(signer, ByteSigner):
        return make_bytes(plan, key=public_bytes(public_key), serial=serial, issuer=issuer, signer=signer)
    try:
        made = build(plan, public_key=public_key, serial=serial, issuer=issuer, signer=signer)
    except ValueError as bad:
        raise _unsayable(plan, bad) from bad
    return made.public_bytes(Encoding.DER)


def make_bytes(
    plan: CertificateContent, *, key: bytes, serial: int, issuer: x509.Certificate | None, signer: ByteSigner
) -> bytes:
    """The same for a key that is a SubjectPublicKeyInfo already."""
    try:
        return assemble(
            plan,
            key=key,
            serial=serial,
            issuer=issuer,
            algorithm=algorithm_of(signer.public_key, signer.digest_bits),
            sign=signer.sign_bytes,
            sections=_encoded(_standing(plan)),
        )
    except ValueError as bad:
        raise _unsayable(plan, bad) from bad


def _unsayable(plan: CertificateContent, bad: ValueError) -> Invalid:
    return Invalid(f"no certificate can say this: {bad}", to=plan.subject, hint="mend the request")


def build(
    plan: CertificateContent, *, public_key: PublicKey, serial: int, issuer: x509.Certificate | None, signer: Signer
) -> x509.Certificate:
    """The same with a builder, for signers that are given whole certificates. Raises ValueError."""
    subject = distinguished_name(plan.subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(plan.not_before)
        .not_valid_after(plan.not_after)
    )
    for extension, critical in _extensions(plan, public_key, issuer):
        builder = builder.add_extension(extension, critical=critical)
    return signer.sign(builder)


class _Standing(NamedTuple):
    """What is the same in all certificates of a profile."""

    key_usages: frozenset[KeyUsage]
    extended_usages: tuple[OID, ...]
    is_ca: bool
    path_length: int | None
    issuer_urls: tuple[str, ...]
    ocsp_url: str
    crl_url: str
    ocsp_no_check: bool
    policies: tuple[CertificatePolicy, ...]
    name_constraints: NameConstraints | None


_Listed = list[tuple[x509.ExtensionType, bool]]


_fields = attrgetter(*_Standing._fields)


def _standing(plan: CertificateContent) -> _Standing:
    return _Standing(*_fields(plan))


@lru_cache(maxsize=256)
def _encoded(standing: _Standing) -> Sections:
    """Before the key identifiers, between them and the names, after the names, and after those that came as bytes."""
    sections = (_purpose(standing), _places(standing), _lists(standing), _small_print(standing))
    first, second, third, fourth = (
        tuple(encode(it, critical=critical) for it, critical in section) for section in sections
    )
    return first, second, third, fourth


def _extensions(plan: CertificateContent, public_key: PublicKey, issuer: x509.Certificate | None) -> _Listed:
    standing = _standing(plan)
    found = [*_purpose(standing), (x509.SubjectKeyIdentifier.from_public_key(public_key), False)]
    if issuer is not None and (authority := _authority_key(plan, issuer)) is not None:
        found.append((authority, False))
    found += _places(standing)
    if names := general_names(plan.names):
        found.append((x509.SubjectAlternativeName(names), not plan.subject.rdns))
    return override([*found, *_lists(standing)], plan.extensions, _small_print(standing))


def _purpose(standing: _Standing) -> _Listed:
    found: _Listed = []
    if standing.key_usages:
        found.append((_key_usage(standing.key_usages), True))
    if standing.extended_usages:
        usages = [x509.ObjectIdentifier(oid) for oid in standing.extended_usages]
        found.append((x509.ExtendedKeyUsage(usages), False))
    found.append((x509.BasicConstraints(ca=standing.is_ca, path_length=standing.path_length), True))
    return found


def _places(standing: _Standing) -> _Listed:
    places = [(AuthorityInformationAccessOID.OCSP, standing.ocsp_url)] if standing.ocsp_url else []
    places += [(AuthorityInformationAccessOID.CA_ISSUERS, url) for url in standing.issuer_urls]
    access = [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for method, url in places]
    return [(x509.AuthorityInformationAccess(access), False)] if access else []


def _lists(standing: _Standing) -> _Listed:
    if not standing.crl_url:
        return []
    place = [x509.UniformResourceIdentifier(standing.crl_url)]
    point = x509.DistributionPoint(full_name=place, relative_name=None, reasons=None, crl_issuer=None)
    return [(x509.CRLDistributionPoints([point]), False)]


def _small_print(standing: _Standing) -> _Listed:
    found: _Listed = []
    if standing.policies:
        found.append((x509.CertificatePolicies(map(_policy, standing.policies)), False))
    if standing.ocsp_no_check:
        found.append((x509.OCSPNoCheck(), False))
    if standing.name_constraints is not None:
        found.append((_name_constraints(standing.name_constraints), True))
    return found


def override(standard: _Listed, further: Iterable[RawExtension], after: _Listed | None = None) -> _Listed:
    """`standard`, `further`, `after`, without those of the two that `further` has too; of several the last counts."""
    given = {extension.oid: extension for extension in further}
    raw = {
        oid: (x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), extension.value), extension.critical)
        for oid, extension in given.items()
    }
    return [
        *((extension, critical) for extension, critical in standard if extension.oid.dotted_string not in given),
        *(each for oid, each in raw.items() if oid not in LAST),
        *((extension, critical) for extension, critical in after or () if extension.oid.dotted_string not in given),
        *(each for oid, each in raw.items() if oid in LAST),
    ]


def _key_usage(bits: frozenset[KeyUsage]) -> x509.ExtensionType:
    """RFC 5280 leaves two bits undefined without key agreement, so cryptography refuses them; then the DER is ours."""
    if KeyUsage.KEY_AGREEMENT in bits or not bits & {KeyUsage.ENCIPHER_ONLY, KeyUsage.DECIPHER_ONLY}:
        return x509.KeyUsage(**{bit.value: bit in bits for bit in KeyUsage})
    number = sum(1 << (15 - place) for place, bit in enumerate(KeyUsage) if bit in bits)
    unused = (number & -number).bit_length() - 1
    octets = number.to_bytes(2).rstrip(b"\0")
    value = bytes([0x03, len(octets) + 1, unused % 8]) + octets
    return x509.UnrecognizedExtension(ExtensionOID.KEY_USAGE, value)


def _name_constraints(them: NameConstraints) -> x509.NameConstraints:
    permitted, excluded = (
        [
            *map(x509.DNSName, spaces.dns),
            *map(x509.RFC822Name, spaces.emails),
            *map(x509.IPAddress, spaces.networks),
            *map(x509.UniformResourceIdentifier, spaces.uris),
        ]
        for spaces in (them.permitted, them.excluded)
    )
    return x509.NameConstraints(permitted_subtrees=permitted or None, excluded_subtrees=excluded or None)


def _policy(policy: CertificatePolicy) -> x509.PolicyInformation:
    qualifiers = [
        value if kind == "id-qt-cps" else x509.UserNotice(notice_reference=None, explicit_text=value)
        for kind, value in policy.qualifiers
    ]
    return x509.PolicyInformation(x509.ObjectIdentifier(policy.oid), qualifiers or None)


def _authority_key(plan: CertificateContent, issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier | None:
    """The issuer's own identifier, so that a chain is found by it. CFSSL leaves it out where both names are equal."""
    if distinguished_name(plan.subject) == issuer.subject:
        return None
    theirs = extension_in(extensions_of(issuer), x509.SubjectKeyIdentifier)
    return None if theirs is None else x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(theirs)


def general_names(names: AlternativeNames) -> list[x509.GeneralName]:
    """In the order that a certificate has them."""
    return [
        *map(x509.DNSName, names.dns),
        *map(x509.RFC822Name, names.emails),
        *map(x509.IPAddress, names.ips),
        *map(x509.UniformResourceIdentifier, names.uris),
    ]


def distinguished_name(subject: Subject) -> x509.Name:
    """PrintableString where it can be, else UTF8String: Go's choice, also for e-mail addresses and countries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about X.509's upper bounds; CFSSL has never held anyone to them
        return _unchecked(subject)


def _unchecked(subject: Subject) -> x509.Name:
    return x509.Name(
        x509.RelativeDistinguishedName(
            x509.NameAttribute(
                x509.ObjectIdentifier(attribute.oid),
                attribute.value,
                _ASN1Type.PrintableString if _PRINTABLE.fullmatch(attribute.value) else _ASN1Type.UTF8String,
                _validate=False,
            )
            for attribute in rdn
        )
        for rdn in subject.rdns
    )
