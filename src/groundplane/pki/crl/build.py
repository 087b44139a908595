"""A plan becomes a CRL, in DER: the issuer's name byte for byte, the extensions in RFC 5280's order.

The list is put together from its parts, so that one of a hundred thousand certificates takes no longer than it must.
"""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509

from groundplane.errors import Invalid
from groundplane.pki import der
from groundplane.pki.assemble import algorithm_of
from groundplane.pki.crl.model import REMOVE_FROM_CRL, UNSPECIFIED, CrlPlan, Revoked, Scope
from groundplane.pki.extensions import subject_key_octets
from groundplane.pki.keys import PublicKey, public_bytes

_AUTHORITY_KEY, _NUMBER, _ISSUING_POINT = "2.5.29.35", "2.5.29.20", "2.5.29.28"
_REASON, _INVALID_SINCE = "2.5.29.21", "2.5.29.24"
_ENUMERATED, _VERSION_TAG, _URI = 0x0A, 0xA0, 0x86
_SCOPES = {Scope.USER: b"\x81\x01\xff", Scope.CA: b"\x82\x01\xff"}


def build(
    plan: CrlPlan,
    *,
    issuer: x509.Certificate,
    public_key: PublicKey,
    digest_bits: int,
    sign: Callable[[bytes], bytes],
    must_name_key: bool = True,
) -> bytes:
    """The list, signed. `must_name_key`: even where `issuer` has no key identifier, as RFC 5280 asks.

    Raises Invalid.
    """
    algorithm = algorithm_of(public_key, digest_bits)
    fields = [der.integer(1), algorithm, _subject(issuer), _time(plan.this_update), _time(plan.next_update)]
    if plan.revoked:
        fields.append(der.wrap(der.SEQUENCE, b"".join(map(_entry, plan.revoked))))
    extensions = _extensions(plan, issuer, must_name_key=must_name_key)
    if extensions:
        fields.append(der.wrap(_VERSION_TAG, der.wrap(der.SEQUENCE, b"".join(extensions))))
    tbs = der.wrap(der.SEQUENCE, b"".join(fields))
    return der.wrap(der.SEQUENCE, tbs + algorithm + der.bits(sign(tbs)))


def key_name(issuer: x509.Certificate, *, must: bool) -> bytes:
    """The identifier of the issuer's key. Where its certificate has none: nothing, or one made of it if it `must`."""
    if (found := subject_key_octets(issuer)) or not must:
        return found
    key = issuer.public_key()
    if not isinstance(key, PublicKey):
        raise Invalid("no key of this kind signs lists", to="CA certificate")
    _, bit_string = der.parts(public_bytes(key))
    return hashlib.sha1(der.content(bit_string)[1:], usedforsecurity=False).digest()


def pem(crl: bytes) -> bytes:
    """A list in DER, in PEM."""
    text = base64.b64encode(crl).decode()
    lines = (text[start : start + 64] for start in range(0, len(text), 64))
    return "\n".join(("-----BEGIN X509 CRL-----", *lines, "-----END X509 CRL-----", "")).encode()


def _extensions(plan: CrlPlan, issuer: x509.Certificate, *, must_name_key: bool) -> list[bytes]:
    found = []
    if name := key_name(issuer, must=must_name_key):
        found.append(_extension(_AUTHORITY_KEY, der.wrap(der.SEQUENCE, der.wrap(0x80, name))))
    if plan.number is not None:
        found.append(_extension(_NUMBER, der.integer(plan.number)))
    if plan.points or plan.scope is not Scope.ALL:
        try:
            urls = b"".join(der.wrap(_URI, url.encode("ascii")) for url in plan.points)
        except UnicodeEncodeError as bad:
            raise Invalid("a URL of the list is not ASCII", to="CRL", hint="encode it in percent signs") from bad
        # DistributionPointName is a CHOICE, so that its tag stands around the choice's own.
        point = der.wrap(0xA0, der.wrap(0xA0, urls)) if urls else b""
        value = der.wrap(der.SEQUENCE, point + _SCOPES.get(plan.scope, b""))
        found.append(_extension(_ISSUING_POINT, value, critical=True))
    return found


def _entry(revoked: Revoked) -> bytes:
    fields = der.integer(revoked.serial) + _time(revoked.revoked_at)
    extensions = b""
    if revoked.reason not in {UNSPECIFIED, REMOVE_FROM_CRL}:
        extensions = _extension(_REASON, der.wrap(_ENUMERATED, bytes((revoked.reason,))))
    if revoked.invalid_since is not None:
        text = f"{revoked.invalid_since.astimezone(UTC):%Y%m%d%H%M%SZ}".encode()
        extensions += _extension(_INVALID_SINCE, der.wrap(der.GENERALIZED_TIME, text))
    return der.wrap(der.SEQUENCE, fields + (der.wrap(der.SEQUENCE, extensions) if extensions else b""))


def _extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    flag = der.TRUE if critical else b""
    return der.wrap(der.SEQUENCE, der.identifier(oid) + flag + der.wrap(der.OCTET_STRING, value))


_EARLIEST_UTC_YEAR = 1950


def _time(instant: datetime) -> bytes:
    utc = instant.astimezone(UTC)
    if utc.year < _EARLIEST_UTC_YEAR:
        return der.wrap(der.GENERALIZED_TIME, f"{utc.year:04}{utc:%m%d%H%M%SZ}".encode())
    return der.time(utc)


def _subject(issuer: x509.Certificate) -> bytes:
    fields = list(der.parts(issuer.tbs_certificate_bytes))
    return fields[5 if fields[0][0] == _VERSION_TAG else 4]
