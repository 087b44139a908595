"""tls-alpn-01 (RFC 8737; RFC 8738 for addresses): a TLS server shows a certificate with the digest in it.

It has to speak the protocol `acme-tls/1`; the certificate names the identifier alone, and its critical extension
acmeIdentifier is the SHA-256 of the key authorization. Who signed the certificate does not matter.
"""

import hashlib
import hmac
import ssl
import warnings
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from groundplane.pki.acme.model import Identifier, IdentifierType
from groundplane.pki.acme.problem import Problem, Type
from groundplane.pki.acme.reach import Reach, any_certificate
from groundplane.pki.load import certificate_of_der

PROTOCOL = "acme-tls/1"
EXTENSION = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
_OCTET_STRING = b"\x04\x20"


async def validate(target: Identifier, *, key_authorization: str, reach: Reach, port: int) -> None:
    """Raises Problem unless the server of `target` shows the right certificate."""
    context = any_certificate()
    context.set_alpn_protocols([PROTOCOL])
    async with reach.connect(target, port, tls=context, server_name=_server_name(target)) as (_, writer):
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        if tls.selected_alpn_protocol() != PROTOCOL:
            raise Problem(Type.UNAUTHORIZED, f"{target.value} does not speak {PROTOCOL}")
        der = tls.getpeercert(binary_form=True)
    check_certificate(der or b"", target, key_authorization)


def check_certificate(der: bytes, target: Identifier, key_authorization: str) -> None:
    """Raises Problem unless the certificate is the right one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd serials and names are no concern here
            extensions = certificate_of_der(der).extensions
            names = list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
            proof = extensions.get_extension_for_oid(EXTENSION)
    except x509.ExtensionNotFound as lacking:
        raise _refused(target, "lacks alternative names or acmeIdentifier") from lacking
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as bad:
        raise _refused(target, "cannot be read") from bad
    if len(names) != 1 or not _is_of(names[0], target):
        raise _refused(target, "does not name it alone")
    if not proof.critical or not isinstance(proof.value, x509.UnrecognizedExtension):
        raise _refused(target, "has an acmeIdentifier that is not critical")
    wanted = _OCTET_STRING + hashlib.sha256(key_authorization.encode()).digest()
    if not hmac.compare_digest(proof.value.value, wanted):
        raise _refused(target, "has another digest than the key authorization's")


def _is_of(name: x509.GeneralName, target: Identifier) -> bool:
    if target.type is IdentifierType.IP:
        return isinstance(name, x509.IPAddress) and name.value == ip_address(target.value)
    return isinstance(name, x509.DNSName) and name.value.lower() == target.value


def _server_name(target: Identifier) -> str:
    """An address is asked for by its name in the reverse tree (RFC 8738, 6)."""
    return ip_address(target.value).reverse_pointer if target.type is IdentifierType.IP else target.value


def _refused(target: Identifier, what: str) -> Problem:
    return Problem(Type.UNAUTHORIZED, f"the certificate that {target.value} shows {what}")
