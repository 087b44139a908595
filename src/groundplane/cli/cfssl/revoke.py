"""`cfssl revoke`, `crl` and `gencrl`: certificates that are taken back, and the lists of them."""

import base64
import os
from contextlib import closing

from groundplane.cli.cfssl.context import Context, read_input, read_prefixed
from groundplane.cli.cfssl.gencert import now
from groundplane.cli.cfssl.sign import PASSWORD
from groundplane.pki.cfssl.errors import CfsslError, Code, Coded, Plain, Quiet
from groundplane.pki.cfssl.gotext import duration
from groundplane.pki.cfssl.material import parse_certificate, parse_key


def revoke(context: Context) -> str:
    """Mark a certificate of the database as revoked, now."""
    if context.arguments:
        raise Plain("argument is provided but not defined; please refer to the usage by flag -h")
    serial, authority = context.text("serial"), context.text("aki")
    if not serial:
        raise Plain("serial number is required but not provided")
    if not authority:
        raise Plain("authority key id is required but not provided")
    if not context.text("db-config"):
        raise Plain("need DB config file (provide with -db-config)")
    from groundplane.cli.cfssl.store import store_of
    from groundplane.pki.cfssl.ocsp import reason_of

    with closing(store_of(context)) as store:
        try:
            reason = reason_of(context.text("reason"))
        except CfsslError as bad:
            context.journal.error(f"Invalid reason code: {bad}")
            raise
        store.revoke_exactly(serial, authority, reason=reason, at=now())
    return ""


def crl(context: Context) -> str:
    """A list of all that is revoked and has not run out, of whichever issuer."""
    for flag, complaint in (
        ("ca", "need CA certificate (provide one with -ca)"),
        ("ca-key", "need CA key (provide one with -ca-key)"),
        ("db-config", "no Database specified!"),
    ):
        if not context.text(flag):
            context.journal.error(complaint)
            raise Quiet("\n")
    from groundplane.cli.cfssl.store import store_of
    from groundplane.pki.cfssl.crl import crl_of_rows

    with closing(store_of(context)) as store:
        context.journal.debug(f"loading CA: {context.text('ca')}")
        certificate_pem = read_prefixed(context.text("ca"))
        context.journal.debug(f"loading CA key: {context.text('ca-key')}")
        try:
            key_pem = read_prefixed(context.text("ca-key"))
        except Plain as bad:
            raise Coded(Code.CERTIFICATE_READ, str(bad)) from bad
        certificate, key = parse_certificate(certificate_pem), parse_key(key_pem, password=_password())
        moment = now()
        rows = store.revoked_unexpired(moment)
        made = crl_of_rows(certificate, key, rows, within=duration(context.text("expiry")), now=moment)
    return _printed(made)


def gencrl(context: Context) -> str:
    """A list of the serial numbers in a file, revoked now."""
    serials_text = read_input(context.pop())
    certificate_pem = read_input(context.pop())
    key_pem = read_input(context.pop())
    from groundplane.pki.cfssl.crl import crl_of_serials, read_seconds, read_serials

    within = read_seconds(context.pop() if context.arguments else "0")
    certificate = parse_certificate(certificate_pem)
    moment = now()
    serials = read_serials(serials_text.decode("ascii", "replace"), now=moment)
    key = parse_key(key_pem, password=_password())
    return _printed(crl_of_serials(certificate, key, serials, within=within, now=moment))


def _password() -> bytes:
    return os.environ.get(PASSWORD, "").encode()


def _printed(der: bytes) -> str:
    return base64.b64encode(der).decode() + "\n"
