"""`groundplane pki gencert`: a key and its certificate from CFSSL's files, read strictly."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.cli.pki.inputs import read
from groundplane.cli.pki.keys import (
    add_ca,
    add_key,
    authority,
    ca_signer,
    given_key,
    key_bytes,
    refuse_idle_label,
)
from groundplane.cli.pki.output import base, pair_of, refuse_taken, write_pair
from groundplane.cli.pki.remote import add_remote, refuse_record, remote_of
from groundplane.errors import Invalid

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from groundplane.pki import CertificateRequest, Profile
    from groundplane.pki.keys import PrivateKey
    from groundplane.pki.remote.ask import RemoteCA
    from groundplane.pki.signer import ByteSigner


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("request", type=Path, metavar="CSRJSON", help="what to ask for; - is standard input")
    parser.add_argument("--initca", action="store_true", help="make a new CA; with --ca-key for that key")
    add_ca(parser, required=False)
    add_remote(parser)
    parser.add_argument("--generate", action="store_true", help="make the CA's key in the token that --ca-key names")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the signing policy")
    parser.add_argument("--profile", default="", metavar="NAME", help="profile of the policy (default: its default)")
    parser.add_argument("--db-config", type=Path, metavar="FILE", help="record it in this database, before all else")
    parser.add_argument("--label", default="", metavar="NAME", help="the record's label, to find it by; the server's")
    add_key(parser)
    parser.add_argument("--out", type=base, metavar="BASE", help="write BASE.pem and BASE-key.pem instead of JSON")
    parser.add_argument("--force", action="store_true", help="replace BASE's files, but for a CA's")


def run(arguments: argparse.Namespace) -> int:
    """A key and its certificate: from a CA, or with --initca a new CA."""
    from groundplane.pki import load_certificate, parse_request
    from groundplane.pki.operators.audit import issuing

    key = given_key(arguments)
    _refuse_idle(arguments)
    if arguments.out is not None:
        _refuse_taken(arguments, has_key=key is None and not (arguments.initca and arguments.ca_key is not None))
    request = parse_request(read(arguments.request), source=str(arguments.request))
    now = datetime.now(UTC)
    if arguments.initca and arguments.ca_key is not None:
        pem = _root_of_token(arguments, request, now)
        issued_key = b""
    elif arguments.initca:
        refuse_idle_label(arguments)
        from groundplane.pki import Authority

        _, issued = Authority.create_root(request, now=now, key=key)
        pem, issued_key = issued.certificate_pem, key_bytes(arguments, issued.key_pem)
    elif (remote := remote_of(arguments, profile := _profile(arguments))) is not None:
        pem, made_key = _asked(arguments, remote, request, key)
        issued_key = key_bytes(arguments, made_key)
    else:
        if profile is None:
            raise Invalid("signed how?", to="command line", hint="give --config, a signing policy, or --remote")
        refuse_idle_label(arguments)
        issued = authority(arguments).issue(request, profile, now=now, key=key)
        pem, issued_key = issued.certificate_pem, key_bytes(arguments, issued.key_pem)
    if key is not None:
        issued_key = b""  # it stays where it is
    certificate = load_certificate(pem, source="the new certificate")

    def record() -> None:
        if arguments.db_config is not None:
            _record(certificate, arguments, now)

    with issuing(certificate):
        if arguments.out is None:
            record()
            fields = {"cert": pem.decode()} | ({"key": issued_key.decode()} if issued_key else {})
            sys.stdout.write(json.dumps(fields, separators=(",", ":")) + "\n")
        else:
            write_pair(pem, issued_key, arguments.out, force=arguments.force and not arguments.initca, before=record)
    return 0


def _refuse_idle(arguments: argparse.Namespace) -> None:
    """Flags that would do nothing are a mistake somewhere. Raises Invalid."""
    idle = {"--ca", "--config", "--profile", "--remote"} if arguments.initca else set()
    if not arguments.initca or arguments.ca_key is None:
        idle.add("--generate")
    for flag in sorted(idle):
        if getattr(arguments, flag.removeprefix("--").replace("-", "_")):
            raise Invalid("it has no effect here", to=flag, hint="leave it out; see --help")


def _refuse_taken(arguments: argparse.Namespace, *, has_key: bool) -> None:
    certificate, key = pair_of(arguments.out)
    if not arguments.initca:
        refuse_taken((certificate, key) if has_key else (certificate,), force=arguments.force)
        return
    refuse_taken([certificate], force=False, hint="a CA is not replaced: choose another --out, or move it away first")
    if has_key:
        unfinished = f"it has no certificate: make it one with --key {key}, or move it away first"
        refuse_taken([key], force=False, hint=unfinished)


def _root_of_token(arguments: argparse.Namespace, request: "CertificateRequest", now: datetime) -> bytes:
    """A root whose key is there already, or is made in its token now."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from groundplane.pki import Authority

    if arguments.generate:
        from groundplane.pki.keystore.pkcs11 import generate
        from groundplane.pki.keystore.uri import is_uri

        if not is_uri(arguments.ca_key):
            raise Invalid("only tokens make keys", to="--generate", hint="leave out --ca-key: a key is made in memory")
        signer: ByteSigner = generate(arguments.ca_key, request.key)
    else:
        signer = ca_signer(arguments)
    made, _ = Authority.root_of(request, signer, now=now)
    return made.certificate.public_bytes(Encoding.PEM)


def _asked(
    arguments: argparse.Namespace, remote: "RemoteCA", request: "CertificateRequest", key: "PrivateKey | None"
) -> tuple[bytes, bytes]:
    """Certificate and key in PEM, the certificate from a server."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from groundplane.pki.authority import own_or_new
    from groundplane.pki.csr import csr_of
    from groundplane.pki.keys import dump_key
    from groundplane.pki.remote.ask import ask

    refuse_record(arguments)
    if request.ca is not None:
        raise Invalid("a ca section is for a root only", to=f"{request.source}: ca", hint="remove it, or make a root")
    key = own_or_new(key, request.key, at=request.source)
    certificate = ask(remote, csr_of(request, key), key.public_key())
    return certificate.public_bytes(Encoding.PEM), dump_key(key)


def _profile(arguments: argparse.Namespace) -> "Profile | None":
    from groundplane.pki import parse_policy

    if arguments.config is None:
        return None
    return parse_policy(read(arguments.config), source=str(arguments.config)).profile(arguments.profile)


def _record(certificate: "Certificate", arguments: argparse.Namespace, now: datetime) -> None:
    """Nobody has it before the database has: what is not recorded cannot be revoked."""
    from groundplane.cli.pki.stored import database_of
    from groundplane.pki.certdb import record_of

    with database_of(arguments) as database:
        database.insert(record_of(certificate, label=arguments.label, now=now))
