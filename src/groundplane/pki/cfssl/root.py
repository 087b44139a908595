"""New roots, with a new key or one that exists, and old ones made again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import zip_longest

from cryptography import x509

from groundplane.pki.cfssl import gotext
from groundplane.pki.cfssl.errors import Code, Coded, Plain
from groundplane.pki.cfssl.generate import MakeKey, encode, process
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.material import public_key_of
from groundplane.pki.cfssl.request import CAConfig, Request
from groundplane.pki.cfssl.sign import Issuer
from groundplane.pki.keys import PrivateKey, public_bytes
from groundplane.pki.model import (
    CAConstraint,
    CertificateName,
    CertificateRequest,
    Profile,
)
from groundplane.pki.name import (
    COUNTRY,
    LOCALITY,
    ORGANIZATION,
    ORGANIZATIONAL_UNIT,
    PROVINCE,
    SERIAL_NUMBER,
    Subject,
)
from groundplane.pki.policy import ROOT_EXPIRY
from groundplane.pki.race import generate_fast
from groundplane.pki.seen import see

Clock = Callable[[], datetime]


def new_root(
    request: Request, journal: Journal, clock: Clock, *, make_key: MakeKey = generate_fast
) -> tuple[str, bytes, PrivateKey]:
    """Certificate, request and key of a new root. Raises Coded or Plain."""
    profile = _profile(request, journal)
    try:
        csr, key = process(request, journal, validate=_check_subject, make_key=make_key)
    except Coded as bad:
        journal.error(f"failed to process request: {bad}")
        raise
    return _own(key, journal, clock, profile).sign(csr, profile, hosts=request.words.hosts), csr, key


def root_of_key(request: Request, key: PrivateKey, journal: Journal, clock: Clock) -> tuple[str, bytes]:
    """Certificate and request of a root for a key that exists; its backdate and CRL are ignored, as CFSSL does."""
    ca = None if request.ca is None else replace(request.ca, backdate="")
    plain = replace(request, ca=ca, crl_url="")
    profile = _profile(plain, journal)
    csr = encode(plain, key, journal)
    return _own(key, journal, clock, profile).sign(csr, profile, hosts=plain.words.hosts), csr


def renew_root(certificate: x509.Certificate, key: PrivateKey, journal: Journal, clock: Clock) -> str:
    """The certificate again, from now, for as long as it was. Raises Coded or Plain."""
    seen = see(certificate, source="CA")
    if not seen.is_ca:
        raise Plain("input certificate is not a CA cert")
    if public_bytes(public_key_of(certificate)) != public_bytes(key.public_key()):
        raise Coded(Code.KEY_MISMATCH)
    names, serial = names_of_subject(seen.subject)
    words = CertificateRequest(
        common_name=seen.subject.common_name, names=names, hosts=seen.names.texts(), serial_number=serial
    )
    ca = CAConfig(path_length=seen.path_length or 0, path_length_zero=seen.path_length == 0)
    request = Request(words=words, ca=ca)
    profile = replace(_profile(request, journal), expiry=seen.lifetime)
    csr = encode(request, key, journal)
    return _own(key, journal, clock, profile).sign(csr, profile, hosts=request.words.hosts)


_NAMED = (COUNTRY, PROVINCE, LOCALITY, ORGANIZATION, ORGANIZATIONAL_UNIT)


def names_of_subject(subject: Subject) -> tuple[tuple[CertificateName, ...], str]:
    """A subject as the `names` of a CSR JSON, and its serial number. What CSR JSON has no word for is lost."""
    attributes = [attribute for rdn in subject.rdns for attribute in rdn]
    values = [[a.value for a in attributes if a.oid == oid] for oid in _NAMED]
    names = tuple(
        CertificateName(
            country=country, province=province, locality=locality, organization=company, organizational_unit=unit
        )
        for country, province, locality, company, unit in zip_longest(*values, fillvalue="")
    )
    serials = [a.value for a in attributes if a.oid == SERIAL_NUMBER]
    return names, serials[-1] if serials else ""


def _profile(request: Request, journal: Journal) -> Profile:
    """CFSSL's policy for roots, with what the `ca` section says."""
    ca = request.ca or CAConfig()
    expiry = gotext.duration(ca.expiry) if ca.expiry else ROOT_EXPIRY
    backdate: timedelta | None = gotext.duration(ca.backdate) if ca.backdate else None
    zero = ca.path_length_zero
    if ca.path_length and zero:
        journal.info("ignore invalid 'pathlenzero' value")
        zero = False
    length = (ca.path_length if ca.path_length != -1 else None) if ca.path_length else (0 if zero else None)
    return Profile(
        name="root",
        expiry=expiry,
        usages=("cert sign", "crl sign"),
        backdate=backdate,
        ca_constraint=CAConstraint(is_ca=True, path_length=length),
        crl_url=request.crl_url,
        at="root",
    )


def _check_subject(request: Request) -> None:
    """CFSSL's rule for roots. Raises Coded."""
    words = request.words
    if words.common_name:
        return
    for name in words.names:
        if not any((name.country, name.province, name.locality, name.organization, name.organizational_unit)):
            raise Coded(Code.REQUEST_REFUSED, "missing subject information")
    if not words.names:
        raise Coded(Code.REQUEST_REFUSED, "missing subject information")


def _own(key: PrivateKey, journal: Journal, clock: Clock, profile: Profile) -> Issuer:
    if not profile.expiry:
        invalid = Coded(Code.POLICY, "Invalid or unknown policy")
        journal.error(f"failed to create signer: {invalid}")
        raise invalid
    return Issuer(key=key, certificate=None, clock=clock, journal=journal)
