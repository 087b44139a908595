"""`groundplane pki rollover`: a root's successor with a new key, and the certificates that bridge the two."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.cli.pki.keys import add_ca, ca_certificate, ca_signer, password
from groundplane.cli.pki.output import base, refuse_taken, write
from groundplane.cli.pki.spans import span
from groundplane.errors import Invalid
from groundplane.system import files

if TYPE_CHECKING:
    from groundplane.pki.model import KeySpec

_STEPS = """\
1. Give {base}-bundle.pem to everybody who trusts the old root, in its place.
2. Issue from {base}.pem and {base}-key.pem. Servers with clients that were not reached in step 1 send
   {base}-by-old.pem after their certificate.
3. When nothing that the old root signed is left, give {base}.pem alone."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    add_ca(parser)
    parser.add_argument("--out", type=base, required=True, metavar="BASE", help="names of the new files begin so")
    parser.add_argument("--lifetime", type=span, metavar="87600h", help="of the new root (default: the old one's)")
    parser.add_argument("--key-algo", choices=("rsa", "ecdsa", "ed25519", "ml-dsa"), help="default: the old key's kind")
    parser.add_argument("--key-size", type=int, metavar="BITS")
    what = "what the new key shall be encrypted with (default: it is not)"
    parser.add_argument("--key-password", metavar="file:PATH|env:NAME|ask", help=what)


def run(arguments: argparse.Namespace) -> int:
    """Write five files, none of which may be there yet: all of them or none."""
    from contextlib import ExitStack

    from groundplane.pki import load_certificate
    from groundplane.pki.keys import load_key
    from groundplane.pki.keystore.private import KeyFormat, write_key
    from groundplane.pki.operators.audit import issuing
    from groundplane.pki.renewal.rollover import roll_over

    out: Path = arguments.out
    places = {
        "key": out.with_name(f"{out.name}-key.pem"),
        "certificate": out.with_name(f"{out.name}.pem"),
        "new_by_old": out.with_name(f"{out.name}-by-old.pem"),
        "old_by_new": out.with_name(f"{out.name}-old-by-new.pem"),
        "bundle": out.with_name(f"{out.name}-bundle.pem"),
    }
    refuse_taken(list(places.values()), force=False, hint="choose another --out, or move it away first")
    spec = _spec(arguments)
    secret = password(arguments.key_password, "the new key's password")
    old, signer = ca_certificate(arguments), ca_signer(arguments)
    made = roll_over(old, signer, now=datetime.now(UTC), spec=spec, lifetime=arguments.lifetime)
    contents = {name: getattr(made, name) for name in places}
    if secret is not None:
        contents["key"] = write_key(load_key(made.key, source="the new key"), KeyFormat.ENCRYPTED, password=secret)
    them = [
        files.Wanted(place, contents[name], files.PRIVATE if name == "key" else files.PUBLIC)
        for name, place in places.items()
    ]
    with ExitStack() as told:
        for name in ("certificate", "new_by_old", "old_by_new"):
            certificate = load_certificate(contents[name], source=name)
            told.enter_context(issuing(certificate, event="rolled over", place=str(places[name])))
        write(them, force=False)
    for place in places.values():
        print(place)
    print(_STEPS.format(base=out))
    return 0


def _spec(arguments: argparse.Namespace) -> "KeySpec | None":
    """The new key's kind; None: the old one's. Raises Invalid."""
    from groundplane.pki.model import KeyAlgorithm, KeySpec

    if arguments.key_size is not None and arguments.key_algo in {None, "ed25519"}:
        raise Invalid("it has no effect here", to="--key-size", hint="give --key-algo rsa, ecdsa or ml-dsa with it")
    if arguments.key_algo is None:
        return None
    default = {"rsa": 2048, "ecdsa": 256, "ed25519": 256, "ml-dsa": 65}[arguments.key_algo]
    return KeySpec(algorithm=KeyAlgorithm(arguments.key_algo), size=arguments.key_size or default)
