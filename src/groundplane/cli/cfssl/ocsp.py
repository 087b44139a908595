"""`cfssl ocspsign`, `ocsprefresh`, `ocspdump` and `ocspserve`."""

import base64
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.cli.cfssl.context import Context, read_file, read_prefixed
from groundplane.cli.cfssl.gencert import now
from groundplane.cli.cfssl.sign import PASSWORD
from groundplane.pki.cfssl.errors import CfsslError, Code, Coded, Plain
from groundplane.pki.cfssl.goencode import compact
from groundplane.pki.cfssl.gotext import day, duration
from groundplane.pki.cfssl.material import parse_certificate
from groundplane.pki.cfssl.ocsp import OcspSigner, open_ocsp_signer, reason_of

if TYPE_CHECKING:
    from groundplane.pki.ocsp.answers import Answer
    from groundplane.pki.ocsp.site import Opened, ResponderSite


def ocspsign(context: Context) -> str:
    """An answer about a certificate."""
    status, journal = context.text("status"), context.journal
    reason, revoked_at = 0, None
    try:
        what = "Unable to read certificate"
        data = read_file(context.text("cert"))
        what = "Unable to parse certificate"
        certificate = parse_certificate(data)
        if status == "revoked":
            what = "Invalid reason code"
            reason = reason_of(context.text("reason"))
            revoked_at = _revoked_at(context)
        what = "Unable to create OCSP signer"
        signer = _signer(context)
        what = "Unable to sign OCSP response"
        answer = signer.sign_about(certificate, status=status, reason=reason, revoked_at=revoked_at)
    except _Malformed as bad:
        journal.critical(f"Malformed revocation time: {context.text('revoked-at')}")
        raise Plain(str(bad)) from bad
    except CfsslError as bad:
        journal.critical(f"{what}: {bad}")
        raise
    return compact({"ocspResponse": base64.b64encode(answer).decode()}) + "\n"


class _Malformed(Plain):
    """No day."""


def _revoked_at(context: Context) -> datetime:
    text = context.text("revoked-at")
    if text == "now":
        return now()
    try:
        return day(text)
    except Plain as bad:
        raise _Malformed(str(bad)) from bad


def _signer(context: Context) -> OcspSigner:
    """As -ca, -responder and -responder-key (or -key) say. Raises CfsslError."""
    issuer = read_prefixed(context.text("ca"))
    responder = read_file(context.text("responder"))
    try:
        key = read_file(context.text("responder-key") or context.text("key"))
    except Plain as bad:
        raise Coded(Code.CERTIFICATE_READ, str(bad)) from bad
    interval = duration(context.text("interval"))
    password = os.environ.get(PASSWORD, "").encode()
    return open_ocsp_signer(issuer, responder, key, interval=interval, clock=now, password=password)


def ocsprefresh(context: Context) -> str:
    """A fresh answer about every certificate that has not run out, into the database."""
    for flag, what in (
        ("db-config", "DB config file"),
        ("responder", "responder certificate"),
        ("responder-key", "responder key"),
        ("ca", "CA certificate"),
    ):
        if not context.text(flag):
            raise Plain(f"need {what} (provide with -{flag})")
    journal = context.journal
    try:
        signer = _signer(context)
    except CfsslError as bad:
        journal.critical(f"Unable to create OCSP signer: {bad}")
        raise
    from groundplane.cli.cfssl.store import store_of
    from groundplane.pki.certdb import OcspRecord, authority_key_id_of

    database = store_of(context)
    try:
        expiry = now() + signer.interval
        what = ""
        for record in list(database.unexpired(now())):
            what = "Unable to parse certificate"
            certificate = parse_certificate(record.pem.encode())
            what = "Unable to sign OCSP response"
            body = signer.sign_about(
                certificate, status=record.status, reason=record.reason, revoked_at=record.revoked_at
            )
            what = "Unable to save OCSP response"
            identifier = authority_key_id_of(certificate)
            database.put_response(
                OcspRecord(serial=certificate.serial_number, authority_key_id=identifier, body=body, expiry=expiry)
            )
    except CfsslError as bad:
        if what:  # not so of the search itself
            journal.critical(f"{what}: {bad}")
        raise
    finally:
        database.close()
    return ""


def ocspdump(context: Context) -> str:
    """The database's answers that have not run out."""
    if not context.text("db-config"):
        raise Plain("need DB config file (provide with -db-config)")
    from groundplane.cli.cfssl.store import store_of
    from groundplane.pki.ocsp.answers import encode_answers

    database = store_of(context)
    try:
        return encode_answers(record.body for record in database.unexpired_responses(now()))
    finally:
        database.close()


def ocspserve(context: Context) -> str:
    """A responder, until it is stopped."""
    if context.arguments:
        raise Plain("argument is provided but not defined; please refer to the usage by flag -h")
    if not context.text("responses") and not context.text("db-config"):
        words = "no response file or db-config provided, please set the one of these using either -responses or"
        raise Plain(f"{words} -db-config flags")
    site = _site(context)
    context.journal.info("Registering OCSP responder handler")
    from groundplane.pki.ocsp.serve import run

    port = context.values["port"]
    assert isinstance(port, int)
    run(lambda: _site(context), site, address=context.text("address"), port=port, workers=0, journal=context.journal)
    return ""


def _site(context: Context) -> "ResponderSite":
    """What is served, now that the files are as they are. Raises CfsslError."""
    from groundplane.pki.ocsp.site import ResponderSite

    opener = _answers(context) if context.text("responses") else _rows(context)
    return ResponderSite(open=opener, journal=context.journal, path=context.text("path"))


_Opener = Callable[[], "Opened"]


def _answers(context: Context) -> _Opener:
    from groundplane.pki.ocsp.answers import read_answers
    from groundplane.pki.ocsp.site import Opened, nothing_to_close
    from groundplane.pki.ocsp.sources import FileSource

    try:
        data = Path(context.text("responses")).read_bytes()
    except OSError as bad:
        raise Plain("unable to read response file") from bad
    found: list[tuple[int, Answer]] = []
    for one in read_answers(data):
        if isinstance(one, str):
            context.journal.error(one)
        else:
            found.append(one)
    source = FileSource(found)
    context.journal.info(f"Read {len(source)} OCSP responses")
    return lambda: Opened(source=source, end=nothing_to_close)


def _rows(context: Context) -> _Opener:
    from groundplane.cli.cfssl.store import store_of
    from groundplane.pki.ocsp.ledger import table_of
    from groundplane.pki.ocsp.site import Opened

    try:
        store_of(context).close()
    except CfsslError as bad:
        raise Plain("unable to read configuration file") from bad

    def opener() -> Opened:
        database = store_of(context)
        return Opened(source=table_of(database), end=database.close)

    return opener
