"""How certificates stand, by the database of those that were issued; and the answers that lie ready in it."""

from collections.abc import Iterable

from cryptography import x509

from groundplane.pki.certdb import CertificateDatabase, CertificateRecord, Status
from groundplane.pki.certdb.record import subject_key_id_of
from groundplane.pki.ocsp.model import GOOD, CertificateStatus, Digest, Standing
from groundplane.pki.ocsp.responder import Responder
from groundplane.pki.ocsp.sources import Lookup, TableSource
from groundplane.pki.seen import is_signed_by


def identifier_of(responder: Responder) -> str:
    """The authority key identifier that the database has for the issuer's certificates."""
    return subject_key_id_of(responder.issuer) or responder.id_of(0, Digest.SHA1).key_hash.hex()


def look_in(database: CertificateDatabase, responders: Iterable[Responder]) -> Lookup:
    """A look at a certificate's row, at every call anew."""
    identifiers = {it.issuer: identifier_of(it) for it in responders}

    def look(responder: Responder, serial: int) -> Standing | None:
        found = database.find(serial, identifiers[responder.issuer])
        if found is None:
            # A CFSSL 1.2 that a newer Go built writes rows without the identifier: the certificate itself must do.
            found = database.find(serial, "")
            if found is not None and not _is_of(found, responder.issuer):
                return None
        return None if found is None else standing_of(found)

    return look


def standing_of(record: CertificateRecord) -> Standing:
    """What its row says."""
    if record.status is Status.REVOKED:
        return Standing(status=CertificateStatus.REVOKED, revoked_at=record.revoked_at, reason=record.reason)
    return GOOD


def table_of(database: CertificateDatabase) -> TableSource:
    """The answers that `ocsprefresh` put there."""

    def find(serial: int, identifier: str) -> bytes | None:
        record = database.response(serial, identifier)
        return None if record is None else record.body

    return TableSource(find)


def _is_of(record: CertificateRecord, issuer: x509.Certificate) -> bool:
    try:
        return is_signed_by(x509.load_pem_x509_certificate(record.pem.encode()), issuer)
    except ValueError:
        return False
