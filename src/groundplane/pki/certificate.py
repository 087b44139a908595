"""A plan becomes X.509: CFSSL's extensions in CFSSL's order, its string types, its key identifiers.

Order: KeyUsage (critical), ExtendedKeyUsage, BasicConstraints (critical, always), subject and authority key
identifier, authority information access, alternative names (critical if the subject is empty), CRL distribution
point, policies, OCSP no-check, those that came as bytes. The issuer's name is taken from its certificate as it stands.
"""

import re
import secrets
import warnings
from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

from groundplane.errors import Invalid
from groundplane.pki.keys import PublicKey
from groundplane.pki.model import (
    CertificateContent,
    CertificatePolicy,
    KeyUsage,
    RawExtension,
)
from groundplane.pki.name import AlternativeNames, Subject
from groundplane.pki.signer import Signer

SERIAL_BYTES = 20  # RFC 5280 allows no more; the top bit is cleared, since the number is a signed one
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*")


def random_serial() -> int:
    """159 random bits, as CFSSL takes them; never 0."""
    return int.from_bytes(secrets.token_bytes(SERIAL_BYTES)) >> 1 or 1


def make(
    plan: CertificateContent, *, public_key: PublicKey, serial: int, issuer: x509.Certificate | None, signer: Signer
) -> x509.Certificate:
    """The certificate of `plan` for `public_key`; `issuer` None makes a root that signs itself. Raises Invalid."""
    subject = distinguished_name(plan.subject)
    try:
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
    except ValueError as bad:
        raise Invalid(f"no certificate can say this: {bad}", to=plan.subject, hint="mend the request") from bad


def _extensions(
    plan: CertificateContent, public_key: PublicKey, issuer: x509.Certificate | None
) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = []
    if plan.key_usages:
        found.append((_key_usage(plan.key_usages), True))
    if plan.extended_usages:
        usages = [x509.ObjectIdentifier(oid) for oid in plan.extended_usages]
        found.append((x509.ExtendedKeyUsage(usages), False))
    found.append((x509.BasicConstraints(ca=plan.is_ca, path_length=plan.path_length), True))
    found.append((x509.SubjectKeyIdentifier.from_public_key(public_key), False))
    if issuer is not None and (authority := _authority_key(plan, issuer)) is not None:
        found.append((authority, False))
    if access := _access(plan):
        found.append((x509.AuthorityInformationAccess(access), False))
    if names := general_names(plan.names):
        found.append((x509.SubjectAlternativeName(names), not plan.subject.rdns))
    if plan.crl_url:
        place = [x509.UniformResourceIdentifier(plan.crl_url)]
        point = x509.DistributionPoint(full_name=place, relative_name=None, reasons=None, crl_issuer=None)
        found.append((x509.CRLDistributionPoints([point]), False))
    if plan.policies:
        found.append((x509.CertificatePolicies(map(_policy, plan.policies)), False))
    if plan.ocsp_no_check:
        found.append((x509.OCSPNoCheck(), False))
    return override(found, plan.extensions)


def override(
    standard: list[tuple[x509.ExtensionType, bool]], further: Iterable[RawExtension]
) -> list[tuple[x509.ExtensionType, bool]]:
    """`standard`, without those that `further` has too, and then `further`; of several equal ones the last."""
    last = {extension.oid: extension for extension in further}
    kept = [(extension, critical) for extension, critical in standard if extension.oid.dotted_string not in last]
    kept += [
        (x509.UnrecognizedExtension(x509.ObjectIdentifier(extension.oid), extension.value), extension.critical)
        for extension in last.values()
    ]
    return kept


def _key_usage(bits: frozenset[KeyUsage]) -> x509.ExtensionType:
    """RFC 5280 leaves two bits undefined without key agreement, so cryptography refuses them; then the DER is ours."""
    if KeyUsage.KEY_AGREEMENT in bits or not bits & {KeyUsage.ENCIPHER_ONLY, KeyUsage.DECIPHER_ONLY}:
        return x509.KeyUsage(**{bit.value: bit in bits for bit in KeyUsage})
    number = sum(1 << (15 - place) for place, bit in enumerate(KeyUsage) if bit in bits)
    unused = (number & -number).bit_length() - 1
    octets = number.to_bytes(2).rstrip(b"\0")
    value = bytes([0x03, len(octets) + 1, unused % 8]) + octets
    return x509.UnrecognizedExtension(ExtensionOID.KEY_USAGE, value)


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
    try:
        theirs = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return None
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(theirs)


def _access(plan: CertificateContent) -> list[x509.AccessDescription]:
    places = [(AuthorityInformationAccessOID.OCSP, plan.ocsp_url)] if plan.ocsp_url else []
    places += [(AuthorityInformationAccessOID.CA_ISSUERS, url) for url in plan.issuer_urls]
    return [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for method, url in places]


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
