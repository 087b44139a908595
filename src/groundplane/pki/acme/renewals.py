"""ACME Renewal Information (RFC 9773): when to renew a certificate, and which one an order replaces."""

import re
from datetime import timedelta

from cryptography import x509

from groundplane.pki.acme import jose
from groundplane.pki.acme.authorizations import missing
from groundplane.pki.acme.context import Answer, Context, rfc3339
from groundplane.pki.acme.plan import renewal_window
from groundplane.pki.acme.problem import Problem, Type, malformed

_IDENTIFIER = re.compile(r"([A-Za-z0-9_-]{1,100})\.([A-Za-z0-9_-]{1,28})")
_CHECK_AGAIN = timedelta(hours=6)


def serial_of(identifier: str, context: Context) -> int:
    """The serial number in a certificate's identifier (RFC 9773, 4.1). Raises Problem, also for another CA's."""
    found = _IDENTIFIER.fullmatch(identifier)
    if found is None:
        raise malformed("a certificate's identifier is base64url(key identifier).base64url(serial number)")
    key_id, serial = (jose.decode(part, what="the certificate's identifier") for part in found.groups())
    if key_id != context.issuer.key_id:
        raise missing("certificate")
    return int.from_bytes(serial)


def renewal_info(identifier: str, context: Context) -> Answer:
    """The window; anybody may ask."""
    recorded = context.issuer.ledger.find(serial_of(identifier, context))
    if recorded is None:
        raise missing("certificate")
    certificate = x509.load_pem_x509_certificate(recorded.pem.encode())
    start, end = renewal_window(
        certificate.not_valid_before_utc, certificate.not_valid_after_utc, now=context.now(), revoked=recorded.revoked
    )
    wait = ("Retry-After", str(int(_CHECK_AGAIN.total_seconds())))
    window = {"start": rfc3339(start), "end": rfc3339(end)}
    return Answer(document={"suggestedWindow": window}, headers=(wait,))


def check_replaces(value: object, account: str, context: Context) -> str:
    """A new order's `replaces`, or empty. Raises Problem for what the account cannot replace, or has."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise malformed('"replaces" is the identifier of a certificate')
    order = context.store.order_of_serial(serial_of(value, context))
    if order is None or order.account != account:
        raise Problem(Type.UNAUTHORIZED, '"replaces" is no certificate of this account')
    if context.store.replacement(value) is not None:
        raise Problem(Type.ALREADY_REPLACED, "another order replaces this certificate already")
    return value
