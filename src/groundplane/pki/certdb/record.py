"""A certificate, as the database keeps it."""

from collections.abc import Mapping
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.pki.certdb.model import CertificateRecord
from groundplane.pki.extensions import authority_key_octets, subject_key_octets
from groundplane.pki.seen import see


def record_of(
    certificate: x509.Certificate,
    *,
    label: str = "",
    metadata: Mapping[str, object] | None = None,
    now: datetime,
) -> CertificateRecord:
    """What CFSSL would write about it at `now`, when it was issued. Raises Invalid for one that cannot be read."""
    seen = see(certificate)
    return CertificateRecord(
        serial=seen.serial,
        authority_key_id=authority_key_id_of(certificate),
        pem=certificate.public_bytes(Encoding.PEM).decode(),
        expiry=seen.not_after,
        ca_label=label,
        issued_at=now,
        not_before=seen.not_before,
        metadata=metadata,
        sans=seen.names.dns,
        common_name=seen.subject.common_name,
    )


def authority_key_id_of(certificate: x509.Certificate) -> str:
    """In lower hex; empty if it has none."""
    return authority_key_octets(certificate).hex()


def subject_key_id_of(certificate: x509.Certificate) -> str:
    """In lower hex: what certificates that it issues have as their authority's; empty if it has none."""
    return subject_key_octets(certificate).hex()
