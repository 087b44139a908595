"""A key and a request for it, with CFSSL's log lines and refusals on the way."""

from collections.abc import Callable

from groundplane.errors import Invalid
from groundplane.pki.cfssl.errors import CfsslError, Code, Coded, Plain
from groundplane.pki.cfssl.gotext import quote
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.request import Request
from groundplane.pki.csr import make_csr
from groundplane.pki.hosts import alternative_names, is_writable
from groundplane.pki.keys import PrivateKey, dump_key
from groundplane.pki.model import (
    CURVE_SIZES,
    RSA_LARGEST,
    RSA_SMALLEST,
    KeyAlgorithm,
    KeySpec,
)
from groundplane.pki.name import AlternativeNames
from groundplane.pki.race import generate_fast

# Go's callers match on how it begins; the rest is ours.
NO_HOSTS = (
    'This certificate lacks a "hosts" field. No TLS client will take it for a server: name the\n'
    "hosts it is for in the request, or with -hostname. (RFC 9525, section 6: the common name does not count.)"
)
MakeKey = Callable[[KeySpec], PrivateKey]


def process(
    request: Request,
    journal: Journal,
    *,
    validate: Callable[[Request], None] | None = None,
    make_key: MakeKey = generate_fast,
) -> tuple[bytes, PrivateKey]:
    """A request in PEM, and the new key that it is for. Raises Coded."""
    journal.info("generate received request")
    if validate is not None:
        try:
            validate(request)
        except Coded as bad:
            journal.warning(f"invalid request: {bad}")
            raise
    journal.info("received CSR")
    journal.info(f"generating key: {request.algorithm}-{request.size}")
    key = make_key(key_spec(request))
    try:
        return encode(request, key, journal), key
    except CfsslError as bad:
        journal.error(f"failed to generate a CSR: {bad}")
        if isinstance(bad, Plain):
            raise Coded(Code.CSR_BAD, str(bad)) from bad
        raise


def encode(request: Request, key: PrivateKey, journal: Journal) -> bytes:
    """The request in PEM for a key that exists. Raises Coded, Plain."""
    ca = request.ca
    try:
        made = make_csr(
            key,
            subject=request.subject,
            names=names_of(request.words.hosts),
            is_ca=ca is not None,
            path_length=None if ca is None else _path_length(ca.path_length, zero=ca.path_length_zero),
            extensions=request.extensions,
        )
    except Invalid as bad:
        raise Coded(Code.CSR_BAD, bad.happened) from bad
    journal.info("encoded CSR")
    return made


def names_of(hosts: tuple[str, ...]) -> AlternativeNames:
    """`hosts` by kind. Raises Coded for one that cannot be written."""
    refuse_unwritable(hosts)
    return alternative_names(hosts, source="hosts", strict=False)


def refuse_unwritable(hosts: tuple[str, ...], *, code: Code = Code.CSR_BAD) -> None:
    """Raises Coded for one that a certificate cannot say."""
    for host in hosts:
        if not is_writable(host):
            raise Coded(code, f"x509: {quote(host)} cannot be encoded as an IA5String")


def key_spec(request: Request) -> KeySpec:
    """The kind of key. Raises Coded in CFSSL's words."""
    algorithm = next((known for known in KeyAlgorithm if known.value == request.algorithm), None)
    size = request.size
    words = ""
    match algorithm:
        case None | KeyAlgorithm.ML_DSA:
            words = "invalid algorithm"
        case KeyAlgorithm.RSA if size < RSA_SMALLEST:
            words = "RSA key is too weak"
        case KeyAlgorithm.RSA if size > RSA_LARGEST:
            words = "RSA key size too large"
        case KeyAlgorithm.ECDSA if size not in CURVE_SIZES:
            words = "invalid curve"
        case KeyAlgorithm.ED25519:
            size = 256
    if words or algorithm is None:
        raise Coded(Code.KEY_GENERATION, words)
    return KeySpec(algorithm=algorithm, size=size)


def key_text(key: PrivateKey) -> str:
    """The key as CFSSL prints it."""
    return dump_key(key).decode()


def _path_length(length: int, *, zero: bool) -> int | None:
    if length > 0:
        return length
    return 0 if zero else None
