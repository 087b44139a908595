"""How certificates stand, by the database of those that were issued; and the answers that lie ready in it."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from cryptography import x509

from groundplane.pki.certdb import CertificateDatabase, CertificateRecord, Status
from groundplane.pki.certdb.record import subject_key_id_of
from groundplane.pki.certdb.tables import CERTIFICATES, OCSP_RESPONSES
from groundplane.pki.ocsp.model import GOOD, CertificateStatus, Digest, Standing
from groundplane.pki.ocsp.responder import Responder
from groundplane.pki.ocsp.sources import Lookup, TableSource
from groundplane.pki.seen import is_signed_by


def identifier_of(responder: Responder) -> str:
    """The authority key identifier that the database has for the issuer's certificates."""
    return subject_key_id_of(responder.issuer) or responder.id_of(0, Digest.SHA1).key_hash.hex()


_IDENTIFIER = sa.bindparam("identifier", type_=CERTIFICATES.c.authority_key_identifier.type)
_STANDING = sa.select(
    CERTIFICATES.c.authority_key_identifier, CERTIFICATES.c.status, CERTIFICATES.c.reason, CERTIFICATES.c.revoked_at
).where(
    CERTIFICATES.c.serial_number == sa.bindparam("serial"),
    # A CFSSL 1.2 that a newer Go built writes rows without the identifier.
    CERTIFICATES.c.authority_key_identifier.in_((_IDENTIFIER, sa.literal("", _IDENTIFIER.type))),
)


_ANSWER = sa.select(OCSP_RESPONSES.c.body).where(
    OCSP_RESPONSES.c.serial_number == sa.bindparam("serial"),
    OCSP_RESPONSES.c.authority_key_identifier == sa.bindparam("identifier"),
)


def look_in(database: CertificateDatabase, responders: Iterable[Responder]) -> Lookup:
    """A look at a certificate's row, at every call anew: one query, made once, of what matters."""
    identifiers = {it.issuer: identifier_of(it) for it in responders}

    def look(responder: Responder, serial: int) -> Standing | None:
        named = {"serial": str(serial), "identifier": identifiers[responder.issuer]}
        rows = database.call(lambda connection, _: connection.execute(_STANDING, named).all())
        found = next((row for row in rows if row[0]), None)
        if found is not None:
            return _standing(*found[1:])
        if not rows:
            return None
        whole = database.find(serial, "")
        ours = whole is not None and _is_of(whole, responder.issuer)
        return _standing(*rows[0][1:]) if ours else None

    return look


def _standing(status: str, reason: int | None, revoked_at: datetime | None) -> Standing:
    """What is not good is revoked: an unknown word must not pass for good."""
    if status == Status.GOOD:
        return GOOD
    return Standing(status=CertificateStatus.REVOKED, revoked_at=revoked_at, reason=reason or 0)


def table_of(database: CertificateDatabase) -> TableSource:
    """The answers that `ocsprefresh` put there."""

    def find(serial: int, identifier: str) -> bytes | None:
        named = {"serial": str(serial), "identifier": identifier}
        row = database.call(lambda connection, _: connection.execute(_ANSWER, named).first())
        return None if row is None else row[0]

    return TableSource(find)


def _is_of(record: CertificateRecord, issuer: x509.Certificate) -> bool:
    try:
        return is_signed_by(x509.load_pem_x509_certificate(record.pem.encode()), issuer)
    except ValueError:
        return False
