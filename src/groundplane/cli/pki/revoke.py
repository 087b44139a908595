"""`groundplane pki revoke`: take a certificate back. OCSP and the next CRL say so from now on."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.cli.pki.inputs import read
from groundplane.cli.pki.stored import add_database, database_of, key_identifier, moment, reason, serial
from groundplane.errors import Invalid, NotFound, WrongState

if TYPE_CHECKING:
    from groundplane.pki.certdb import CertificateDatabase, CertificateRecord


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    add_database(parser)
    hint = "its number, in decimal, or in hex after 0x or with colons"
    parser.add_argument("serial", nargs="?", type=serial, metavar="SERIAL", help=hint)
    parser.add_argument("--aki", type=key_identifier, metavar="HEX", help="authority key identifier, if need be")
    parser.add_argument("--cert", type=Path, metavar="FILE", help="the certificate itself, instead of its number")
    names = "RFC 5280's name (keyCompromise, superseded, ...) or number (default: unspecified)"
    parser.add_argument("--reason", type=reason, metavar="REASON", help=names)
    since = "since when its key is not to be trusted, if that is known"
    parser.add_argument("--invalid-since", type=moment, metavar="DATE", help=since)
    parser.add_argument("--release", action="store_true", help="take a certificateHold back")


def run(arguments: argparse.Namespace) -> int:
    """Revoke, or release."""
    _refuse_idle(arguments)
    with database_of(arguments) as database:
        number, authority = _which(arguments, database)
        if arguments.release:
            _release(database, number, authority)
        else:
            _revoke(database, number, authority, reason=arguments.reason or 0, invalid_since=arguments.invalid_since)
    return 0


def _revoke(
    database: "CertificateDatabase", number: int, authority: str, *, reason: int, invalid_since: datetime | None
) -> None:
    from groundplane.pki.certdb.model import REASON_NAMES
    from groundplane.pki.operators.audit import acting, command

    about: dict[str, object] = {"serial": str(number), "issuer": authority, "reason": reason}
    changed = False
    if not is_final(database.find(number, authority), reason):
        with acting("revoked", **about):
            at = datetime.now(UTC)
            changed = database.withdraw(number, authority, reason=reason, at=at, invalid_since=invalid_since)
        if not changed:  # somebody did it in this moment
            command("revoked", **about, outcome="unchanged")
    record = database.find(number, authority)
    assert record is not None
    word = "revoked" if changed else "was revoked already"
    when = f"{record.revoked_at:%Y-%m-%dT%H:%M:%SZ}" if record.revoked_at else "at an unknown time"
    print(f"serial {number}: {word}, {REASON_NAMES.get(record.reason, record.reason)}, {when}")


def _release(database: "CertificateDatabase", number: int, authority: str) -> None:
    from groundplane.pki.certdb import Status
    from groundplane.pki.operators.audit import acting

    record = database.find(number, authority)
    if record is not None and record.status is not Status.REVOKED:
        hint = "--release takes a certificateHold back; see `groundplane pki db list`"
        raise WrongState("it is not revoked", to=f"serial {number}", hint=hint)
    with acting("released", serial=str(number), issuer=authority):
        database.release(number, authority)
    print(f"serial {number}: good again")


def is_final(record: "CertificateRecord | None", reason: int) -> bool:
    """Whether revoking it for `reason` would change nothing: only a hold may become something else."""
    from groundplane.pki.certdb import Status
    from groundplane.pki.certdb.model import REASONS

    hold = REASONS["certificateHold"]
    return record is not None and record.status is Status.REVOKED and (record.reason != hold or reason == hold)


def _refuse_idle(arguments: argparse.Namespace) -> None:
    """What cannot be meant. Raises Invalid."""
    from groundplane.pki.certdb.model import REASONS

    if arguments.release:
        for flag, value in (("--reason", arguments.reason), ("--invalid-since", arguments.invalid_since)):
            if value is not None:
                raise Invalid("it has no effect here", to=flag, hint="leave it out: --release takes a revocation back")
    elif arguments.reason == REASONS["removeFromCRL"]:
        raise Invalid("this takes a revocation back", to="removeFromCRL", hint="say --release")


def _which(arguments: argparse.Namespace, database: "CertificateDatabase") -> tuple[int, str]:
    """Serial and issuer's key. Raises Invalid, NotFound."""
    from groundplane.pki.certdb import Search

    number: int = arguments.serial
    authority: str | None = arguments.aki
    if (arguments.cert is None) == (number is None):
        raise Invalid("which certificate?", to="command line", hint="give its serial number, or --cert FILE")
    if arguments.cert is not None:
        from groundplane.pki import load_certificate
        from groundplane.pki.certdb import authority_key_id_of

        certificate = load_certificate(read(arguments.cert), source=str(arguments.cert))
        number = certificate.serial_number
        authority = authority or authority_key_id_of(certificate)
        if database.find(number, authority) is None and arguments.aki is None:
            authority = ""  # as CFSSL 1.2.0 stores it
    if authority is not None:
        return number, authority
    found = list(database.search(Search(serial=number)))
    if not found:
        hint = "see `groundplane pki db list`"
        raise NotFound("there is no such certificate", to=f"serial {number}", hint=hint)
    if len(found) > 1:
        several = ", ".join(record.authority_key_id or "(none)" for record in found)
        raise Invalid(f"several issuers gave it: {several}", to=f"serial {number}", hint="say which by --aki")
    return number, found[0].authority_key_id
