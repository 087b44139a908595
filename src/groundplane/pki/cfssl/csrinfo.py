"""What `cfssl certinfo -csr` says of a request: Go's own struct, field by field."""

import base64
from typing import Any
from urllib.parse import unquote, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from groundplane.pki.cfssl.material import public_key_of
from groundplane.pki.dn import attributes_of
from groundplane.pki.keys import PublicKey
from groundplane.pki.model import RawExtension
from groundplane.pki.pkcs10 import EXTENSION_REQUEST, CertificationRequest, extensions_in, is_extension_request

# Go's numbers of the algorithms, by their identifiers.
_ALGORITHMS = {
    "1.2.840.113549.1.1.4": 2,
    "1.2.840.113549.1.1.5": 3,
    "1.2.840.113549.1.1.11": 4,
    "1.2.840.113549.1.1.12": 5,
    "1.2.840.113549.1.1.13": 6,
    "1.2.840.10045.4.1": 9,
    "1.2.840.10045.4.3.2": 10,
    "1.2.840.10045.4.3.3": 11,
    "1.2.840.10045.4.3.4": 12,
    "1.3.101.112": 16,
}
_LISTED = (
    ("Country", "2.5.4.6"),
    ("Organization", "2.5.4.10"),
    ("OrganizationalUnit", "2.5.4.11"),
    ("Locality", "2.5.4.7"),
    ("Province", "2.5.4.8"),
    ("StreetAddress", "2.5.4.9"),
    ("PostalCode", "2.5.4.17"),
)
_SINGLE = (("SerialNumber", "2.5.4.5"), ("CommonName", "2.5.4.3"))


def request_info(request: CertificationRequest) -> dict[str, Any]:
    """In the order of Go's fields. Raises Coded, and ValueError for a subject that cannot be read."""
    public = public_key_of(request)
    names = request.names()
    number, key = _public_key(public)
    return {
        "Raw": _base64(request.der),
        "RawTBSCertificateRequest": _base64(request.signed),
        "RawSubjectPublicKeyInfo": _base64(request.key),
        "RawSubject": _base64(request.subject),
        "Version": request.version,
        "Signature": _base64(request.signature),
        "SignatureAlgorithm": _ALGORITHMS.get(request.algorithm, 0),
        "PublicKeyAlgorithm": number,
        "PublicKey": key,
        "Subject": _subject(request.subject),
        "Attributes": list(filter(None, map(_attribute, request.attributes))) or None,
        "Extensions": list(map(_extension, request.extensions)) or None,
        "ExtraExtensions": None,
        "DNSNames": list(names.dns) or None,
        "EmailAddresses": list(names.emails) or None,
        "IPAddresses": list(map(str, names.ips)) or None,
        "URIs": list(map(_url, names.uris)) or None,
    }


def _extension(it: RawExtension) -> dict[str, Any]:
    return {"Id": _numbers(it.oid), "Critical": it.critical, "Value": _base64(it.value)}


def _public_key(key: PublicKey) -> tuple[int, object]:
    match key:
        case rsa.RSAPublicKey():
            numbers = key.public_numbers()
            return 1, {"N": numbers.n, "E": numbers.e}
        case ec.EllipticCurvePublicKey():
            point = key.public_numbers()
            return 3, {"Curve": {}, "X": point.x, "Y": point.y}
        case ed25519.Ed25519PublicKey():
            return 4, _base64(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
        case _:
            return 0, None  # one that Go does not know


def _subject(name: bytes) -> dict[str, Any]:
    values = [(attribute.oid, attribute.value) for rdn in attributes_of(name) for attribute in rdn]
    found: dict[str, Any] = {
        field: [value for oid, value in values if oid == wanted] or None for field, wanted in _LISTED
    }
    for field, wanted in _SINGLE:
        found[field] = next((value for oid, value in reversed(values) if oid == wanted), "")
    found["Names"] = [{"Type": _numbers(oid), "Value": value} for oid, value in values] or None
    found["ExtraNames"] = None
    return found


def _attribute(whole: bytes) -> dict[str, Any] | None:
    """Go reads each extension as a type and a value; of a critical one, it meets `true` first, and has none.

    Attributes of other kinds are none to it.
    """
    if not is_extension_request(whole):
        return None
    inner = [
        {"Type": _numbers(each.oid), "Value": None if each.critical else _base64(each.value)}
        for each in extensions_in(whole)
    ]
    return {"Type": _numbers(EXTENSION_REQUEST), "Value": [inner]}


def _url(text: str) -> dict[str, Any]:
    parts = urlsplit(text)
    opaque = bool(parts.scheme) and not text[len(parts.scheme) + 1 :].startswith("/")
    path = "" if opaque else unquote(parts.path)
    user, _, host = parts.netloc.rpartition("@")
    return {
        "Scheme": parts.scheme,
        "Opaque": parts.path if opaque else "",
        "User": {} if user else None,
        "Host": host,
        "Path": path,
        "RawPath": parts.path if path and "%2F" in parts.path.upper() else "",
        "OmitHost": False,
        "ForceQuery": text.endswith("?"),
        "RawQuery": parts.query,
        "Fragment": unquote(parts.fragment),
        "RawFragment": "",
    }


def _numbers(oid: str) -> list[int]:
    return [int(part) for part in oid.split(".")]


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
