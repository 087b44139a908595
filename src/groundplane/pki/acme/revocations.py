"""Revocation: RFC 8555, 7.6. By who ordered, by who has proved all of its names, or by the key of the certificate."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from groundplane.errors import Invalid, NotFound
from groundplane.observe.log import logger
from groundplane.pki.acme import jose
from groundplane.pki.acme.authorizations import missing
from groundplane.pki.acme.context import Answer, Asked, Context
from groundplane.pki.acme.identifiers import parse_identifier
from groundplane.pki.acme.model import Identifier, IdentifierType
from groundplane.pki.acme.problem import Problem, Type, malformed
from groundplane.pki.keys import PublicKey, public_bytes
from groundplane.pki.load import certificate_of_der
from groundplane.pki.seen import see

# RFC 5280, 5.3.1, without those that are a CA's to give: compromise of a CA or an attribute authority, hold, removal.
_REASONS = frozenset({0, 1, 3, 4, 5, 9})
_log = logger("acme")


def revoke(asked: Asked, context: Context) -> Answer:
    """From now on the certificate is revoked."""
    fields = jose.parse_object(asked.payload, what="the payload")
    certificate = _load(jose.decode(fields.get("certificate"), what='"certificate"'))
    reason = fields.get("reason", 0)
    if isinstance(reason, bool) or not isinstance(reason, int) or reason not in _REASONS:
        allowed = ", ".join(map(str, sorted(_REASONS)))
        raise Problem(Type.BAD_REVOCATION_REASON, f"a client may give these reasons: {allowed}")
    serial = certificate.serial_number
    recorded = context.issuer.ledger.find(serial) if context.issuer.issued(certificate) else None
    if recorded is None or x509.load_pem_x509_certificate(recorded.pem.encode()) != certificate:
        raise missing("certificate of this server")
    if not _may_revoke(asked, certificate, context):
        raise Problem(Type.UNAUTHORIZED, "neither the key nor the account may revoke this certificate")
    try:
        about = _about(asked, serial, context)
        ledger = context.issuer.ledger
        if recorded.revoked or not ledger.revoke(certificate, about=about, reason=reason, at=context.now()):
            raise Problem(Type.ALREADY_REVOKED, "the certificate is revoked already")
    except NotFound as gone:
        raise missing("certificate of this server") from gone
    _log.info("acme.revoked", serial=f"{serial:x}", reason=reason, by=about["revoked_by"])
    return Answer()


def _about(asked: Asked, serial: int, context: Context) -> dict[str, str]:
    """For the audit: who asks, with which key (its thumbprint, RFC 7638), and whose order it was."""
    order = context.store.order_of_serial(serial)
    return {
        "revoked_by": "its own key" if asked.account is None else asked.account.id,
        "key": jose.thumbprint(asked.jwk) if asked.account is None else asked.account.thumbprint,
        **({} if order is None else {"acme_account": order.account, "acme_order": order.id}),
    }


def _load(der: bytes) -> x509.Certificate:
    try:
        return certificate_of_der(der)
    except (ValueError, TypeError) as bad:
        raise malformed('"certificate" is no certificate in DER') from bad


def _may_revoke(asked: Asked, certificate: x509.Certificate, context: Context) -> bool:
    try:
        theirs = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    if asked.account is None:
        return isinstance(theirs, PublicKey) and public_bytes(theirs) == public_bytes(asked.key)
    order = context.store.order_of_serial(certificate.serial_number)
    if order is not None and order.account == asked.account.id:
        return True
    try:
        names = see(certificate).names
        wanted = {parse_identifier("dns", name) for name in names.dns}
    except (Problem, Invalid):
        return False
    wanted |= {Identifier(IdentifierType.IP, str(address)) for address in names.ips}
    proved = context.store.valid_authorizations(asked.account.id, wanted, until=context.now())
    return bool(wanted) and not names.emails and not names.uris and set(proved) == wanted
