import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.pki.cfssl.errors import Coded
from groundplane.pki.cfssl.material import parse_certificate, parse_csr
from tests.unit.pki_chain.workshop import key, made


def _pem(label: str, der: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(der) + f"-----END {label}-----\n".encode()


def test_a_version_that_does_not_exist_is_a_parse_error() -> None:
    certificate = made("x").der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03", 1)
    with pytest.raises(Coded, match="Failed to parse certificate"):
        parse_certificate(_pem("CERTIFICATE", certificate))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(key("p256"), hashes.SHA256()).public_bytes(Encoding.DER)
    with pytest.raises(Coded, match="ECDSA verification failure"):
        parse_csr(_pem("CERTIFICATE REQUEST", request.replace(b"\x02\x01\x00", b"\x02\x01\x05", 1)))
