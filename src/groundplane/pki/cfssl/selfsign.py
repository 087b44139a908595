"""A certificate that its own key signs, for trying things out."""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509

from groundplane.errors import Invalid
from groundplane.pki.certificate import make
from groundplane.pki.cfssl.errors import Code, Coded
from groundplane.pki.cfssl.generate import names_of
from groundplane.pki.cfssl.material import parse_csr, pem_of, public_key_of
from groundplane.pki.csr import see_request
from groundplane.pki.keys import PrivateKey
from groundplane.pki.model import CertificateContent, Profile
from groundplane.pki.name import AlternativeNames, Subject
from groundplane.pki.signer import LocalSigner
from groundplane.pki.signing import ORDER, ordered

EXPIRY = timedelta(hours=2190)  # CFSSL's, where no policy says otherwise
_BACKDATE = timedelta(minutes=5)
_SERIAL_BITS = 63


def self_sign(csr_pem: bytes, key: PrivateKey, profile: Profile, *, hosts: tuple[str, ...], now: datetime) -> str:
    """The certificate, in PEM. Its dates are not rounded; of the profile's addresses only the issuer's go in.

    The request's extensions replace the profile's, also that it is a CA: the key signs nobody but itself. Raises Coded.
    """
    request = parse_csr(csr_pem)
    if not profile.key_usages and not profile.extended_usages:
        raise Coded(Code.NO_USAGES)
    now = now.replace(microsecond=0)
    names: AlternativeNames = names_of(hosts)
    is_ca = profile.ca_constraint.is_ca
    seen = see_request(request)
    content = CertificateContent(
        subject=_known(seen.subject),
        names=names,
        key_usages=profile.key_usages,
        extended_usages=profile.extended_usages,
        not_before=now - _BACKDATE,
        not_after=now + (profile.expiry or EXPIRY),
        is_ca=is_ca,
        path_length=profile.ca_constraint.path_length if is_ca else None,
        issuer_urls=profile.issuer_urls,
        extensions=seen.extensions,
    )
    try:
        made: x509.Certificate = make(
            content,
            public_key=public_key_of(request),
            serial=secrets.randbits(_SERIAL_BITS) or 1,
            issuer=None,
            signer=LocalSigner(key),
        )
    except Invalid as bad:
        raise Coded(Code.CERTIFICATE_UNKNOWN, bad.happened) from bad
    return pem_of(made)


def _known(subject: Subject) -> Subject:
    """In order; attributes that Go has no field for are lost here, as nowhere else."""
    return Subject(tuple(rdn for rdn in ordered(subject).rdns if all(attribute.oid in ORDER for attribute in rdn)))


def default_profile(builtin: Profile) -> Profile:
    """CFSSL's built-in policy, but for a quarter of a year."""
    return replace(builtin, expiry=EXPIRY)
