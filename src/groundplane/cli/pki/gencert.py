"""`groundplane pki gencert`: a key and its certificate from CFSSL's files, read strictly."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.errors import Invalid, NotFound

if TYPE_CHECKING:
    from groundplane.pki import Authority, Issued, Profile


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("request", type=Path, metavar="CSRJSON", help="what to ask for; - is standard input")
    parser.add_argument("--initca", action="store_true", help="make a new CA")
    for flag, what in (("--ca", "the CA's certificate"), ("--ca-key", "its key"), ("--config", "the signing policy")):
        parser.add_argument(flag, type=Path, metavar="FILE", help=what)
    parser.add_argument("--profile", default="", metavar="NAME", help="profile of the policy (default: its default)")
    parser.add_argument("--db-config", type=Path, metavar="FILE", help="record it in this database, before all else")
    parser.add_argument("--label", default="", metavar="NAME", help="the record's label, to find it by")
    parser.add_argument("--out", type=Path, metavar="BASE", help="write BASE.pem and BASE-key.pem instead of JSON")


def run(arguments: argparse.Namespace) -> int:
    """A key and its certificate: from a CA, or with --initca a new CA."""
    from groundplane.pki import parse_request

    request = parse_request(_read(arguments.request), source=str(arguments.request))
    now = datetime.now(UTC)
    if arguments.initca:
        from groundplane.pki import Authority

        _, issued = Authority.create_root(request, now=now)
    else:
        issued = _authority(arguments).issue(request, _profile(arguments), now=now)
    if arguments.db_config is not None:
        _record(issued, arguments, now)
    if arguments.out is None:
        fields = {"cert": issued.certificate_pem.decode(), "key": issued.key_pem.decode()}
        sys.stdout.write(json.dumps(fields, separators=(",", ":")) + "\n")
    else:
        _write(issued, arguments.out, is_root=arguments.initca)
    return 0


def _authority(arguments: argparse.Namespace) -> "Authority":
    from groundplane.pki import Authority

    if arguments.ca is None or arguments.ca_key is None:
        raise Invalid("who signs?", to="command line", hint="give --ca and --ca-key, or --initca for a new CA")
    return Authority.load(_read(arguments.ca), _read(arguments.ca_key), source=str(arguments.ca))


def _profile(arguments: argparse.Namespace) -> "Profile":
    from groundplane.pki import parse_policy

    if arguments.config is None:
        raise Invalid("signed how?", to="command line", hint="give --config, a signing policy, and --profile")
    return parse_policy(_read(arguments.config), source=str(arguments.config)).profile(arguments.profile)


def _record(issued: "Issued", arguments: argparse.Namespace, now: datetime) -> None:
    """Nobody has it before the database has: what is not recorded cannot be revoked."""
    from groundplane.cli.pki.stored import database_of
    from groundplane.pki import load_certificate
    from groundplane.pki.certdb import record_of

    certificate = load_certificate(issued.certificate_pem, source="the new certificate")
    with database_of(arguments) as database:
        database.insert(record_of(certificate, label=arguments.label, now=now))


def _write(issued: "Issued", base: Path, *, is_root: bool) -> None:
    """BASE.pem and BASE-key.pem; the key of a CA is never replaced."""
    from groundplane.pki import PairPaths, write_pair, write_root

    paths = PairPaths.named(base.parent, base.name)
    put = write_root if is_root else write_pair
    put(paths, certificate_pem=issued.certificate_pem, key_pem=issued.key_pem)
    print(f"{paths.certificate}: {issued.seen.subject}, until {issued.seen.not_after:%F}", file=sys.stderr)


def _read(path: Path) -> bytes:
    """A file, or standard input for `-`. Raises NotFound."""
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="name another file") from bad
