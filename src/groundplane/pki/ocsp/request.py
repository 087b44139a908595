"""OCSP requests: read a stranger's, and make one."""

from collections.abc import Sequence

from groundplane.errors import Invalid
from groundplane.pki import der
from groundplane.pki.ocsp import strict
from groundplane.pki.ocsp.model import (
    MAX_ASKED,
    MAX_REQUEST_BYTES,
    MAX_SERIAL_BYTES,
    CertificateID,
    Digest,
    Request,
)

NONCE = "1.3.6.1.5.5.7.48.1.2"
_MOST_NONCE_OCTETS = 128  # RFC 9654, with its octet string's own header
_NULL = b"\x05\x00"
_DIGESTS = {digest.oid: digest for digest in Digest}
_VERSION, _REQUESTOR, _EXTENSIONS = strict.EXPLICIT, strict.EXPLICIT + 1, strict.EXPLICIT + 2


def parse_request(data: bytes) -> Request:
    """A request in DER, whoever signed it. Raises Invalid.

    Refused: what is no DER, no certificate or more than 32, digests other than SHA-1 and SHA-2, and numbers of more
    than 128 octets. An extension that is not understood is passed over, critical or not, as CFSSL does.
    """
    try:
        return _parse(data)
    except strict.BadDER as bad:
        raise Invalid(f"not an OCSP request: {bad}", to="request") from bad


def _parse(data: bytes) -> Request:
    if len(data) > MAX_REQUEST_BYTES:
        raise strict.BadDER(f"more than {MAX_REQUEST_BYTES} octets")
    tag, to_be_signed = next(strict.elements(strict.only(data, strict.SEQUENCE)), (0, b""))
    if tag != strict.SEQUENCE:
        raise strict.BadDER("there is no request in it")
    parts = [*strict.elements(to_be_signed)]
    if parts and parts[0][0] == _VERSION:
        parts.pop(0)
    if parts and parts[0][0] == _REQUESTOR:
        parts.pop(0)
    if not parts or parts[0][0] != strict.SEQUENCE:
        raise strict.BadDER("there is no list of certificates")
    asked: list[CertificateID] = []
    for tag, content in strict.elements(parts[0][1]):
        if tag != strict.SEQUENCE or len(asked) == MAX_ASKED:
            raise strict.BadDER(f"more than {MAX_ASKED} certificates, or not a certificate")
        asked.append(_certificate_id(content))
    if not asked:
        raise strict.BadDER("it asks about nothing")
    nonce = next((_nonce(content) for tag, content in parts[1:] if tag == _EXTENSIONS), None)
    return Request(asked=tuple(asked), nonce=nonce)


def _certificate_id(content: bytes) -> CertificateID:
    tag, identity = next(strict.elements(content), (0, b""))
    parts = [*strict.elements(identity)] if tag == strict.SEQUENCE else []
    if [tag for tag, _ in parts] != [strict.SEQUENCE, strict.OCTET_STRING, strict.OCTET_STRING, strict.INTEGER]:
        raise strict.BadDER("it does not say which certificate")
    (_, algorithm), (_, name_hash), (_, key_hash), (_, serial) = parts
    tag, oid = next(strict.elements(algorithm), (0, b""))
    digest = _DIGESTS.get(strict.to_oid(oid)) if tag == strict.OID else None
    if digest is None:
        raise strict.BadDER("an unknown digest")
    return CertificateID(digest, name_hash, key_hash, strict.to_int(serial, most=MAX_SERIAL_BYTES))


def _nonce(content: bytes) -> bytes | None:
    for tag, extension in strict.elements(strict.only(content, strict.SEQUENCE)):
        parts = [*strict.elements(extension)] if tag == strict.SEQUENCE else []
        if not parts or parts[0][0] != strict.OID or parts[-1][0] != strict.OCTET_STRING:
            raise strict.BadDER("a broken extension")
        if strict.to_oid(parts[0][1]) == NONCE:
            if not 0 < len(parts[-1][1]) <= _MOST_NONCE_OCTETS:
                raise strict.BadDER("an empty or a huge nonce")
            return parts[-1][1]
    return None


def make_request(asked: Sequence[CertificateID], *, nonce: bytes | None = None) -> bytes:
    """A request in DER. `nonce`: random octets, which the answer must repeat."""
    parts = [_sequence(*(_sequence(encode_id(one)) for one in asked))]
    if nonce is not None:
        parts.append(der.wrap(_EXTENSIONS, nonce_extensions(der.wrap(der.OCTET_STRING, nonce))))
    return _sequence(_sequence(*parts))


def nonce_extensions(nonce: bytes) -> bytes:
    """The list of extensions with `nonce`, the content of one, in it."""
    return _sequence(_sequence(der.identifier(NONCE), der.wrap(der.OCTET_STRING, nonce)))


def encode_id(one: CertificateID) -> bytes:
    """CertID, with the digest's NULL parameters, as everybody writes it."""
    return _sequence(
        _sequence(der.identifier(one.digest.oid), _NULL),
        der.wrap(der.OCTET_STRING, one.name_hash),
        der.wrap(der.OCTET_STRING, one.key_hash),
        der.integer(one.serial),
    )


def _sequence(*members: bytes) -> bytes:
    return der.wrap(der.SEQUENCE, b"".join(members))
