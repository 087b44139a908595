"""`groundplane pki sign`: a PEM request, signed by a CA with a profile of its policy, or at the profile's server."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.cli.pki.inputs import read
from groundplane.cli.pki.keys import add_ca, ca_certificate, ca_signer, refuse_idle_label, require_ca
from groundplane.cli.pki.output import base, pair_of, refuse_taken, write_pair
from groundplane.cli.pki.remote import add_remote, refuse_record, remote_of
from groundplane.errors import Invalid

if TYPE_CHECKING:
    from cryptography import x509

    from groundplane.pki import Profile
    from groundplane.pki.pkcs10 import CertificationRequest


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("csr", type=Path, metavar="CSR", help="the request (PKCS#10, PEM or DER); - is standard input")
    add_ca(parser, required=False)
    add_remote(parser)
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the signing policy; needed unless --remote is there"
    )
    parser.add_argument("--profile", default="", metavar="NAME", help="profile of the policy (default: its default)")
    what = "names in place of the request's; repeat it"
    parser.add_argument("--host", action="append", metavar="NAME", help=what)
    parser.add_argument("--db-config", type=Path, metavar="FILE", help="record it in this database, before all else")
    parser.add_argument("--label", default="", metavar="NAME", help="the record's label, to find it by; the server's")
    parser.add_argument("--out", type=base, metavar="BASE", help="write BASE.pem (default: standard output)")
    parser.add_argument("--force", action="store_true", help="replace BASE.pem")


def run(arguments: argparse.Namespace) -> int:
    """Sign it."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from groundplane.pki import parse_policy
    from groundplane.pki.csr import load_csr
    from groundplane.pki.keys import PublicKey
    from groundplane.pki.operators.audit import issuing

    if arguments.out is not None:
        refuse_taken(pair_of(arguments.out)[:1], force=arguments.force)
    data = _pem(read(arguments.csr))
    request = load_csr(data, source=str(arguments.csr))
    profile = None
    if arguments.config is not None:
        profile = parse_policy(read(arguments.config), source=str(arguments.config)).profile(arguments.profile)
    remote = remote_of(arguments, profile)
    if remote is not None:
        from groundplane.pki.remote.ask import ask

        refuse_record(arguments)
        public = request.public_key()
        assert isinstance(public, PublicKey)  # `load_csr` has seen to it
        certificate = ask(remote, data, public, hosts=tuple(arguments.host) if arguments.host else None)
    elif profile is not None:
        certificate = _sign_here(arguments, request, profile)
    else:
        raise Invalid("signed how?", to="command line", hint="give --config, a signing policy, or --remote")
    pem = certificate.public_bytes(Encoding.PEM)

    def record() -> None:
        if arguments.db_config is not None:
            _record(certificate, arguments)

    with issuing(certificate):
        if arguments.out is None:
            record()
            sys.stdout.write(pem.decode())
        else:
            write_pair(pem, b"", arguments.out, force=arguments.force, before=record)
    return 0


def _pem(data: bytes) -> bytes:
    """A request in DER as PEM; anything else as it is."""
    if data[:1] != b"\x30":
        return data
    from groundplane.pki.pem import pem_block

    return pem_block("CERTIFICATE REQUEST", data)


def _sign_here(
    arguments: argparse.Namespace, request: "CertificationRequest", profile: "Profile"
) -> "x509.Certificate":
    """By the CA of the command line."""
    from dataclasses import replace

    from groundplane.pki.certificate import random_serial
    from groundplane.pki.csr import see_request
    from groundplane.pki.issuing import issue
    from groundplane.pki.keys import PublicKey, public_bytes
    from groundplane.pki.seen import see
    from groundplane.pki.signing import SigningRequest, plan_signing

    require_ca(arguments)
    refuse_idle_label(arguments)
    issuer, signer = ca_certificate(arguments), ca_signer(arguments)
    theirs = issuer.public_key()
    if not isinstance(theirs, PublicKey) or public_bytes(theirs) != public_bytes(signer.public_key):
        raise Invalid(
            "the key is not the one the CA's certificate is about", to="--ca-key", hint="give the matching key"
        )
    now = datetime.now(UTC)
    hosts = tuple(arguments.host) if arguments.host else None
    asked = SigningRequest(csr=see_request(request, source=str(arguments.csr)), hosts=hosts)
    about = see(issuer, source=str(arguments.ca))
    content = plan_signing(asked, profile, now=now, issuer=about)
    if content.not_after > about.not_after:
        content = replace(content, not_after=about.not_after)
        print(f"it ends with its CA, on {about.not_after:%F %H:%M}", file=sys.stderr)
    public = request.public_key()
    assert isinstance(public, PublicKey)
    return issue(content, profile, public_key=public, serial=random_serial(), issuer=issuer, signer=signer)


def _record(certificate: "x509.Certificate", arguments: argparse.Namespace) -> None:
    from groundplane.cli.pki.stored import database_of
    from groundplane.pki.certdb import record_of

    with database_of(arguments) as database:
        database.insert(record_of(certificate, label=arguments.label, now=datetime.now(UTC)))
