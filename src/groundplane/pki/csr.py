"""PKCS#10 requests: make them in CFSSL's form, and read those of others into words."""

import warnings

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.errors import Invalid
from groundplane.pki import der, keys
from groundplane.pki.certificate import distinguished_name, general_names, override
from groundplane.pki.extensions import extensions_of, raw_list, requested
from groundplane.pki.load import is_signature_right
from groundplane.pki.model import P256, RawExtension, SeenRequest
from groundplane.pki.name import AlternativeNames, Subject
from groundplane.pki.seen import alternative_names_of, plain_subject, subject_words
from groundplane.pki.signer import digest_for


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


def load_csr(pem: bytes, *, source: str) -> x509.CertificateSigningRequest:
    """The request in `pem`, whose signature is right, for a key that we know. Raises Invalid."""
    try:
        request = x509.load_pem_x509_csr(pem)
        is_right = is_signature_right(request) and isinstance(request.public_key(), keys.PublicKey)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as bad:
        raise Invalid(
            "there is no request in it that can be read", to=source, hint="give a PKCS#10 file in PEM"
        ) from bad
    if not is_right:
        raise Invalid("its signature is wrong, or its key of an unknown kind", to=source, hint="make it again")
    return request


def see_request(request: x509.CertificateSigningRequest, *, source: str = "request") -> SeenRequest:
    """What it says. Raises Invalid for one whose contents cannot be understood."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # long names and odd countries are the profile's concern
            return _see(request)
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as odd:
        raise Invalid(f"the request cannot be understood: {odd}", to=source) from odd


def _see(request: x509.CertificateSigningRequest) -> SeenRequest:
    _, subject, key, *attributes = der.parts(request.tbs_certrequest_bytes)
    basic: x509.BasicConstraints | None = None
    names: x509.SubjectAlternativeName | None = None
    for extension in extensions_of(request):
        match extension.value:
            case x509.BasicConstraints() as basic:
                pass
            case x509.SubjectAlternativeName() as names:
                pass
    return SeenRequest(
        subject=plain_subject(subject) or subject_words(request.subject),
        names=alternative_names_of(names),
        key=P256 if keys.is_plain_p256(key) else keys.spec_of(request.public_key()),
        extensions=tuple(raw_list(requested(attributes[-1]))) if attributes else (),
        wants_ca=basic is not None and basic.ca,
        path_length=None if basic is None else basic.path_length,
    )


def key_in(request: x509.CertificateSigningRequest) -> bytes | None:
    """Its SubjectPublicKeyInfo as it stands, if that is how anybody would write it."""
    _, _, key, *_ = der.parts(request.tbs_certrequest_bytes)
    return key if keys.is_plain_p256(key) else None
