"""What `cfssl certinfo` says of a certificate."""

from typing import Any

from cryptography import x509

from groundplane.pki.cfssl.material import pem_of
from groundplane.pki.dn import attributes_of, names_in
from groundplane.pki.extensions import authority_key_octets, subject_key_octets
from groundplane.pki.name import COMMON_NAME, SERIAL_NUMBER
from groundplane.pki.seen import see

# Go's names of the algorithms, by their identifiers.
_ALGORITHMS = {
    "1.2.840.113549.1.1.2": "MD2WithRSA",
    "1.2.840.113549.1.1.4": "MD5WithRSA",
    "1.2.840.113549.1.1.5": "SHA1WithRSA",
    "1.2.840.113549.1.1.11": "SHA256WithRSA",
    "1.2.840.113549.1.1.12": "SHA384WithRSA",
    "1.2.840.113549.1.1.13": "SHA512WithRSA",
    "1.2.840.10040.4.3": "DSAWithSHA1",
    "2.16.840.1.101.3.4.3.2": "DSAWithSHA256",
    "1.2.840.10045.4.1": "ECDSAWithSHA1",
    "1.2.840.10045.4.3.2": "ECDSAWithSHA256",
    "1.2.840.10045.4.3.3": "ECDSAWithSHA384",
    "1.2.840.10045.4.3.4": "ECDSAWithSHA512",
    "1.3.101.112": "Ed25519",
}
_SINGLE = ((COMMON_NAME, "common_name"), (SERIAL_NUMBER, "serial_number"))
_JOINED = (
    ("2.5.4.6", "country"),
    ("2.5.4.10", "organization"),
    ("2.5.4.11", "organizational_unit"),
    ("2.5.4.7", "locality"),
    ("2.5.4.8", "province"),
    ("2.5.4.9", "street_address"),
    ("2.5.4.17", "postal_code"),
)


def certificate_info(certificate: x509.Certificate) -> dict[str, Any]:
    """In the order of CFSSL's fields; those that are empty and optional are left out. Raises Invalid."""
    seen = see(certificate)
    issuer, subject = names_in(certificate)
    sans = [*seen.names.dns, *map(str, seen.names.ips)]
    return {
        "subject": _name(subject),
        "issuer": _name(issuer),
        "serial_number": str(seen.serial),
        **({"sans": sans} if sans else {}),
        "not_before": f"{seen.not_before:%Y-%m-%dT%H:%M:%SZ}",
        "not_after": f"{seen.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "sigalg": algorithm_name(certificate),
        "authority_key_id": _colons(authority_key_octets(certificate)),
        "subject_key_id": _colons(subject_key_octets(certificate)),
        "pem": pem_of(certificate),
    }


def algorithm_name(certificate: x509.Certificate) -> str:
    """Go's name of what it is signed with."""
    return _ALGORITHMS.get(certificate.signature_algorithm_oid.dotted_string, "Unknown Signature")


def _name(name: bytes) -> dict[str, Any]:
    pairs = [(attribute.oid, attribute.value) for rdn in attributes_of(name) for attribute in rdn]
    found: dict[str, Any] = {}
    for single, field in _SINGLE:
        found[field] = next((value for oid, value in reversed(pairs) if oid == single), "")
    for joined, field in _JOINED:
        found[field] = ",".join(value for oid, value in pairs if oid == joined)
    found["names"] = [value for _, value in pairs]
    return {field: value for field, value in found.items() if value}


def _colons(octets: bytes) -> str:
    return octets.hex(":").upper()
