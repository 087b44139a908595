"""`groundplane pki renew`: pairs again, before they end or at once."""

import argparse
import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.cli import show
from groundplane.cli.pki.remote import add_remote, refuse_record, remote_of
from groundplane.cli.pki.spans import span
from groundplane.errors import GroundplaneError, Invalid
from groundplane.pki.keystore.uri import is_uri

if TYPE_CHECKING:
    from groundplane.pki.remote.ask import RemoteCA
    from groundplane.pki.renewal.model import LocalCA, Target


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.description = (
        "Makes certificates again: same names, same usages, same key, as long a life. Only what is due."
    )
    parser.add_argument("certificates", nargs="+", type=Path, metavar="CERT", help="leaf, intermediate or root, in PEM")
    what = "its key (default: CERT's name with -key, or .key); a root's may be a pkcs11: URI"
    parser.add_argument("--key", type=Path, metavar="FILE", help=what)
    parser.add_argument("--ca", type=Path, metavar="FILE", help="the CA that signed it; left out for a root")
    parser.add_argument("--ca-key", metavar="KEY", help="the CA's key: a file, or a pkcs11: URI")
    parser.add_argument("--ca-password-file", type=Path, metavar="FILE", help="what the CA's key is encrypted with")
    parser.add_argument("--db-config", type=Path, metavar="FILE", help="record it in this database, before all else")
    what = "what the certificate's key is encrypted with, and a new one will be"
    parser.add_argument("--key-password", default="", metavar="file:PATH|env:NAME|ask", help=what)
    add_remote(parser)
    parser.add_argument("--profile", default="", metavar="NAME", help="the server's profile")
    parser.add_argument("--before", type=span, metavar="720h", help="how long before its end (default: 30d or a third)")
    parser.add_argument("--lifetime", type=span, metavar="8760h", help="of the new one (default: the old one's)")
    parser.add_argument("--force", action="store_true", help="also what is not due")
    parser.add_argument("--new-key", action="store_true", help="with a new key of the same kind")
    parser.add_argument("--hook", action="append", default=[], metavar="PROGRAM", help="run for each that was renewed")


def run(arguments: argparse.Namespace) -> int:
    """Renew; each certificate is a matter of its own, and the first failure decides the exit code."""
    if arguments.key is not None and len(arguments.certificates) > 1:
        raise Invalid("one key for several certificates", to="--key", hint="renew them one by one")
    code = 0
    ca = _ca(arguments)
    for certificate in arguments.certificates:
        try:
            target = _target(arguments, certificate, ca)
            renew = _renew_in_token if is_uri(str(target.key)) else _renew
            renew(target, force=arguments.force)
        except GroundplaneError as failed:
            show.error(str(failed))
            code = code or failed.kind.exit_code
    return code


def _renew(target: "Target", *, force: bool) -> None:
    from groundplane.pki.renewal.due import due
    from groundplane.pki.renewal.keeper import run_hooks
    from groundplane.pki.renewal.replace import read_pair, renew, why_now
    from groundplane.pki.seen import see

    now = datetime.now(UTC)
    pair = read_pair(target)
    reason = why_now(pair, target, now=now)
    if not reason and not force:
        when = due(see(pair.certificate), target, now=now)
        print(f"{target.certificate}: good; due on {when.at:%F %H:%M}, since {when.reason}")
        return
    if not pair.fits and not force:
        hint = "name its own key; or, after a --new-key that was interrupted, give --force"
        raise Invalid("this is not the key of the certificate", to=target.key, hint=hint)
    made = renew(pair, target, now=now, must_gain=not force)
    print(
        f"{target.certificate}: renewed ({reason or 'forced'}), until {made.not_after:%F %H:%M}, serial {made.serial}"
    )
    for note in made.notes:
        print(f"{target.certificate}: {note}")
    asyncio.run(run_hooks(target))


def _renew_in_token(target: "Target", *, force: bool) -> None:
    """A root whose key is in a token, which signs."""
    from groundplane.pki.keystore.open import open_ca_key
    from groundplane.pki.renewal.due import due
    from groundplane.pki.renewal.keeper import run_hooks
    from groundplane.pki.renewal.replace import read_file, renew_with
    from groundplane.pki.seen import load_certificate, see

    if target.ca is not None or target.new_key:
        raise Invalid("the key of a token renews a root alone", to="--key", hint="leave out --ca, --remote, --new-key")
    now = datetime.now(UTC)
    when = due(see(load_certificate(read_file(target.certificate), source=str(target.certificate))), target, now=now)
    if when.at > now and not force:
        print(f"{target.certificate}: good; due on {when.at:%F %H:%M}, since {when.reason}")
        return
    made = renew_with(open_ca_key(str(target.key), password=None), target, now=now)
    print(f"{target.certificate}: renewed, until {made.not_after:%F %H:%M}, serial {made.serial}")
    asyncio.run(run_hooks(target))


def _ca(arguments: argparse.Namespace) -> "LocalCA | RemoteCA | None":
    from groundplane.pki.renewal.model import LocalCA

    if (remote := remote_of(arguments)) is not None:
        refuse_record(arguments)
        return remote
    if arguments.profile:
        raise Invalid("a profile is a server's", to="--profile", hint="give --remote too, or leave it out")
    if (arguments.ca is None) != (arguments.ca_key is None):
        raise Invalid("half a CA", to="command line", hint="give --ca and --ca-key")
    if arguments.ca is None and arguments.db_config is not None:
        raise Invalid("a root is in no database", to="--db-config", hint="give --ca and --ca-key, or leave it out")
    return (
        None
        if arguments.ca is None
        else LocalCA(
            certificate=arguments.ca,
            key=arguments.ca_key,
            key_password=arguments.ca_password_file,
            database=arguments.db_config,
        )
    )


def _target(arguments: argparse.Namespace, certificate: Path, ca: "LocalCA | RemoteCA | None") -> "Target":
    from groundplane.pki.renewal.config import key_beside
    from groundplane.pki.renewal.model import Target

    return Target(
        certificate=certificate,
        key=arguments.key or key_beside(certificate),
        ca=ca,
        before=arguments.before,
        lifetime=arguments.lifetime,
        new_key=arguments.new_key,
        key_password=arguments.key_password,
        hooks=tuple((hook,) for hook in arguments.hook),
    )
