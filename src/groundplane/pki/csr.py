"""PKCS#10 requests: make them in CFSSL's form, and read those of others into words."""

import warnings

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.errors import Invalid
from groundplane.pki import keys
from groundplane.pki.certificate import distinguished_name, general_names, override
from groundplane.pki.extensions import extensions_of, raw_extensions
from groundplane.pki.load import is_signature_right
from groundplane.pki.model import RawExtension, SeenRequest
from groundplane.pki.name import AlternativeNames, Subject
from groundplane.pki.seen import alternative_names_of, subject_words
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
    public = request.public_key()
    extensions = list(extensions_of(request))
    basic = next((e.value for e in extensions if isinstance(e.value, x509.BasicConstraints)), None)
    names = next((e.value for e in extensions if isinstance(e.value, x509.SubjectAlternativeName)), None)
    return SeenRequest(
        subject=subject_words(request.subject),
        names=alternative_names_of(names),
        key=keys.spec_of(public) if isinstance(public, keys.PublicKey) else None,
        extensions=tuple(raw_extensions(request)),
        wants_ca=basic is not None and basic.ca,
        path_length=None if basic is None else basic.path_length,
    )
