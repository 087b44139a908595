"""`groundplane pki rollover`: a root's successor with a new key, and the certificates that bridge the two."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from groundplane.cli.pki.spans import span
from groundplane.errors import Exists

_STEPS = """\
1. Give {base}-bundle.pem to everybody who trusts the old root, in its place.
2. Issue from {base}.pem and {base}-key.pem. Servers with clients that were not reached in step 1 send
   {base}-by-old.pem after their certificate.
3. When nothing that the old root signed is left, give {base}.pem alone."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--ca", type=Path, required=True, metavar="FILE", help="the root's certificate")
    parser.add_argument("--ca-key", type=Path, required=True, metavar="FILE", help="its key")
    parser.add_argument("--out", type=Path, required=True, metavar="BASE", help="names of the new files begin so")
    parser.add_argument("--lifetime", type=span, metavar="87600h", help="of the new root (default: the old one's)")
    parser.add_argument("--key-algo", choices=("rsa", "ecdsa", "ed25519", "ml-dsa"), help="default: the old key's kind")
    parser.add_argument("--key-size", type=int, metavar="BITS")


def run(arguments: argparse.Namespace) -> int:
    """Write five files, none of which may be there yet."""
    from groundplane.pki.keys import load_key
    from groundplane.pki.model import KeyAlgorithm, KeySpec
    from groundplane.pki.renewal.replace import read_file
    from groundplane.pki.renewal.rollover import roll_over
    from groundplane.pki.seen import load_certificate
    from groundplane.system import files

    base: Path = arguments.out
    places = {
        "key": base.with_name(f"{base.name}-key.pem"),
        "certificate": base.with_name(f"{base.name}.pem"),
        "new_by_old": base.with_name(f"{base.name}-by-old.pem"),
        "old_by_new": base.with_name(f"{base.name}-old-by-new.pem"),
        "bundle": base.with_name(f"{base.name}-bundle.pem"),
    }
    for place in places.values():
        if place.exists():
            raise Exists("something stands here already", to=place, hint="choose another --out")
    spec = None
    if arguments.key_algo:
        default = {"rsa": 2048, "ecdsa": 256, "ed25519": 256, "ml-dsa": 65}[arguments.key_algo]
        spec = KeySpec(algorithm=KeyAlgorithm(arguments.key_algo), size=arguments.key_size or default)
    old = load_certificate(read_file(arguments.ca), source=str(arguments.ca))
    key = load_key(read_file(arguments.ca_key), source=str(arguments.ca_key))
    made = roll_over(old, key, now=datetime.now(UTC), spec=spec, lifetime=arguments.lifetime)
    for name, place in places.items():
        files.replace(place, getattr(made, name), mode=files.PRIVATE if name == "key" else files.PUBLIC)
        print(place)
    print(_STEPS.format(base=base))
    return 0
