"""PKCS#10 requests: make them in CFSSL's form, and read those of others into words."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.errors import Invalid
from groundplane.pki import keys
from groundplane.pki.certificate import distinguished_name, general_names, override
from groundplane.pki.dn import one_by_one
from groundplane.pki.hosts import alternative_names
from groundplane.pki.model import P256, CertificateRequest, RawExtension, SeenRequest
from groundplane.pki.name import AlternativeNames, Subject
from groundplane.pki.pem import pem_blocks
from groundplane.pki.pkcs10 import CertificationRequest, parse_pkcs10
from groundplane.pki.policy import subject_of
from groundplane.pki.signer import digest_for

LABELS = frozenset({"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"})


def make_csr(
    key: keys.PrivateKey,
    *,
    subject: Subject,
    names: AlternativeNames,
    is_ca: bool = False,
    path_length: int | None = None,
    extensions: tuple[RawExtension, ...] = (),
) -> bytes:
    """A request in PEM: alternative names, then BasicConstraints for a CA, then what is given as bytes."""
    standard: list[tuple[x509.ExtensionType, bool]] = []
    if found := general_names(names):
        standard.append((x509.SubjectAlternativeName(found), False))
    if is_ca:
        standard.append((x509.BasicConstraints(ca=True, path_length=path_length), True))
    try:
        builder = x509.CertificateSigningRequestBuilder().subject_name(distinguished_name(subject))
        for extension, critical in override(standard, extensions):
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(key, digest_for(key.public_key())).public_bytes(Encoding.PEM)
    except ValueError as bad:
        raise Invalid(f"no request can say this: {bad}", to=subject, hint="mend it") from bad


def csr_of(request: CertificateRequest, key: keys.PrivateKey) -> bytes:
    """A request in PEM that says what CFSSL's request document says. Raises Invalid."""
    return make_csr(
        key,
        subject=subject_of(request),
        names=alternative_names(request.hosts, source=request.source),
        is_ca=request.ca is not None,
        path_length=None if request.ca is None else request.ca.path_length,
        extensions=request.extensions,
    )


def load_csr(pem: bytes, *, source: str) -> CertificationRequest:
    """The request in `pem`, whose signature is right, for a key that we know. Raises Invalid."""
    block = next((each for each in pem_blocks(pem) if each.label in LABELS), None)
    try:
        request = None if block is None else parse_pkcs10(block.content)
        is_right = request is not None and request.is_signed() and keys.is_public_key(request.public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm) as bad:
        raise Invalid(f"the request in it cannot be read: {bad}", to=source, hint="make it again") from bad
    if request is None:
        raise Invalid("there is no request in it", to=source, hint="give a PKCS#10 file in PEM")
    if not is_right:
        raise Invalid("its signature is wrong, or its key of an unknown kind", to=source, hint="make it again")
    return request


def see_request(request: CertificationRequest, *, source: str = "request") -> SeenRequest:
    """What it says. Raises Invalid for one whose contents cannot be understood."""
    try:
        is_ca, path_length = request.constraints()
        return SeenRequest(
            subject=one_by_one(request.subject),
            names=request.names(),
            key=P256 if keys.is_plain_p256(request.key) else keys.spec_of(request.public_key()),
            extensions=request.extensions,
            wants_ca=is_ca,
            path_length=path_length if is_ca else None,
        )
    except (ValueError, UnsupportedAlgorithm) as odd:
        raise Invalid(f"the request cannot be understood: {odd}", to=source) from odd


def key_in(request: CertificationRequest) -> bytes | None:
    """Its SubjectPublicKeyInfo as it stands, if that is how anybody would write it."""
    return request.key if keys.is_plain_p256(request.key) else None
