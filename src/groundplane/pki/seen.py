"""X.509 as it stands, read into words: what a certificate says, whether a key is its own, who signed it.

Pure: bytes in, values out. Unknown extensions are left alone; a certificate too odd to be understood is a trouble,
not an exception, because the answer to it is to issue another.
"""

import warnings
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

from groundplane.errors import Invalid
from groundplane.pki import keys
from groundplane.pki.dn import names_in, subject_of
from groundplane.pki.extensions import extension_in, extensions_of
from groundplane.pki.load import certificate_of_pem
from groundplane.pki.model import (
    CertificatePolicy,
    KeyUsage,
    SeenCertificate,
    SeenPair,
)
from groundplane.pki.name import (
    OID,
    AlternativeNames,
)


def load_certificate(pem: bytes, *, source: str) -> x509.Certificate:
    """The first certificate in `pem`; `source` is its name in errors. Raises Invalid."""
    try:
        return certificate_of_pem(pem)
    except ValueError as bad:
        raise Invalid("there is no certificate in it that can be read", to=source, hint="give a PEM file") from bad


def see(certificate: x509.Certificate, *, source: str = "certificate") -> SeenCertificate:
    """What it says. Raises Invalid for one whose contents cannot be understood."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # long names and odd countries are no concern of one who only reads
            return _see(certificate)
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as odd:
        raise Invalid(f"the certificate cannot be understood: {odd}", to=source) from odd


def see_pair(
    certificate_pem: bytes | None,
    key_pem: bytes | None,
    *,
    issuer: x509.Certificate | None,
    certificate_source: str = "certificate",
    key_source: str = "key",
) -> SeenPair:
    """A certificate and a key, either of which may be missing. `issuer` None: it should have signed itself."""
    troubles: list[str] = []
    certificate = seen = key = None
    if certificate_pem is None:
        troubles.append(f"there is no certificate {certificate_source}")
    else:
        try:
            certificate = load_certificate(certificate_pem, source=certificate_source)
            seen = see(certificate, source=certificate_source)
        except Invalid as bad:
            troubles.append(str(bad))
    if key_pem is None:
        troubles.append(f"there is no key {key_source}")
    else:
        try:
            key = keys.load_key(key_pem, source=key_source)
        except Invalid as bad:
            troubles.append(str(bad))
    return SeenPair(
        certificate=seen,
        has_certificate=certificate_pem is not None,
        has_key=key_pem is not None,
        key_matches=certificate is not None and key is not None and is_key_of(key, certificate),
        signed_by_issuer=certificate is not None and is_signed_by(certificate, issuer or certificate),
        troubles=tuple(troubles),
    )


def is_key_of(key: keys.PrivateKey, certificate: x509.Certificate) -> bool:
    """Whether `certificate` is about this key."""
    return same_key(certificate, key.public_key())


def same_key(certificate: x509.Certificate, key: keys.PublicKey) -> bool:
    """Whether it is about that key."""
    try:
        theirs = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    return isinstance(theirs, keys.PublicKey) and keys.public_bytes(key) == keys.public_bytes(theirs)


def is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer`'s name is its issuer's, and `issuer`'s key made its signature. Dates do not matter."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _see(certificate: x509.Certificate) -> SeenCertificate:
    extensions = extensions_of(certificate)
    issuer, subject = names_in(certificate)
    public = certificate.public_key()
    basic = extension_in(extensions, x509.BasicConstraints)
    extended = extension_in(extensions, x509.ExtendedKeyUsage)
    issuer_urls, ocsp_url = _access(extension_in(extensions, x509.AuthorityInformationAccess))
    return SeenCertificate(
        subject=subject_of(subject),
        issuer=subject_of(issuer),
        serial=certificate.serial_number,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        names=alternative_names_of(extension_in(extensions, x509.SubjectAlternativeName)),
        key=keys.spec_of(public),
        key_usages=_usages(extension_in(extensions, x509.KeyUsage)),
        extended_usages=() if extended is None else tuple(OID(usage.dotted_string) for usage in extended),
        is_ca=basic is not None and basic.ca,
        path_length=None if basic is None else basic.path_length,
        issuer_urls=issuer_urls,
        ocsp_url=ocsp_url,
        crl_url=_crl_url(extension_in(extensions, x509.CRLDistributionPoints)),
        ocsp_no_check=any(extension.oid == ExtensionOID.OCSP_NO_CHECK for extension in extensions),
        policies=_policies(extension_in(extensions, x509.CertificatePolicies)),
    )


def alternative_names_of(found: x509.SubjectAlternativeName | None) -> AlternativeNames:
    """The kinds of names that groundplane knows."""
    if found is None:
        return AlternativeNames()
    return AlternativeNames(
        dns=tuple(name.value for name in found if type(name) is x509.DNSName),
        emails=tuple(name.value for name in found if type(name) is x509.RFC822Name),
        ips=tuple(
            name.value
            for name in found
            if type(name) is x509.IPAddress and isinstance(name.value, IPv4Address | IPv6Address)
        ),
        uris=tuple(name.value for name in found if type(name) is x509.UniformResourceIdentifier),
    )


def _usages(found: x509.KeyUsage | None) -> frozenset[KeyUsage]:
    if found is None:
        return frozenset()
    needs_agreement = {KeyUsage.ENCIPHER_ONLY, KeyUsage.DECIPHER_ONLY}  # cryptography refuses to say, without it
    return frozenset(
        bit for bit in KeyUsage if (bit not in needs_agreement or found.key_agreement) and getattr(found, bit.value)
    )


def _access(found: x509.AuthorityInformationAccess | None) -> tuple[tuple[str, ...], str]:
    def urls(method: x509.ObjectIdentifier) -> tuple[str, ...]:
        return tuple(
            entry.access_location.value
            for entry in found or ()
            if entry.access_method == method and isinstance(entry.access_location, x509.UniformResourceIdentifier)
        )

    ocsp = urls(AuthorityInformationAccessOID.OCSP)
    return urls(AuthorityInformationAccessOID.CA_ISSUERS), ocsp[0] if ocsp else ""


def _crl_url(found: x509.CRLDistributionPoints | None) -> str:
    for point in found or ():
        for name in point.full_name or ():
            if isinstance(name, x509.UniformResourceIdentifier):
                return name.value
    return ""


def _policies(found: x509.CertificatePolicies | None) -> tuple[CertificatePolicy, ...]:
    return tuple(
        CertificatePolicy(
            oid=OID(policy.policy_identifier.dotted_string),
            qualifiers=tuple(
                ("id-qt-cps", qualifier)
                if isinstance(qualifier, str)
                else ("id-qt-unotice", qualifier.explicit_text or "")
                for qualifier in policy.policy_qualifiers or ()
            ),
        )
        for policy in found or ()
    )
