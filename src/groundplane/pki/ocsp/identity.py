"""What a certificate is called in OCSP: digests of its issuer's name and key, from the issuer's own octets.

Encoding a name or a key anew would change an odd one, and with it its digest.
"""

from cryptography import x509

from groundplane.errors import Invalid
from groundplane.pki import der
from groundplane.pki.ocsp import strict
from groundplane.pki.ocsp.model import CertificateID, Digest

_ISSUER, _SUBJECT, _KEY = 2, 4, 5  # their places in a certificate, after its version


def id_of(serial: int, issuer: x509.Certificate, digest: Digest = Digest.SHA1) -> CertificateID:
    """What `issuer`'s certificate of this number is called. Raises Invalid."""
    return CertificateID(digest, digest.of(name_octets(issuer)), digest.of(key_octets(issuer)), serial)


def name_octets(certificate: x509.Certificate) -> bytes:
    """Its subject. Raises Invalid."""
    return der.wrap(der.SEQUENCE, _part(certificate, _SUBJECT))


def issuer_octets(certificate: x509.Certificate) -> bytes:
    """Its issuer's name. Raises Invalid."""
    return der.wrap(der.SEQUENCE, _part(certificate, _ISSUER))


def key_octets(certificate: x509.Certificate) -> bytes:
    """The content of its key's bit string. Raises Invalid."""
    try:
        _, (_, bits) = strict.elements(_part(certificate, _KEY))
    except ValueError as odd:
        raise Invalid("its public key cannot be read", to="issuer") from odd
    return bits[1:]


def _part(certificate: x509.Certificate, place: int) -> bytes:
    try:
        parts = [*strict.elements(strict.only(certificate.tbs_certificate_bytes, strict.SEQUENCE))]
        _, content = parts[place + (parts[0][0] == strict.EXPLICIT)]
    except (strict.BadDER, IndexError) as odd:
        raise Invalid("the certificate cannot be taken apart", to="issuer") from odd
    return content
