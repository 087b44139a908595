"""`groundplane pki gencsr`: a request for another CA, from a CSR JSON, with a new key or one that is there."""

import argparse
import json
import sys
from pathlib import Path

from groundplane.cli.pki.inputs import read
from groundplane.cli.pki.keys import add_key, given_key, key_bytes
from groundplane.cli.pki.output import base, refuse_taken, write


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("request", type=Path, metavar="CSRJSON", help="what to ask for; - is standard input")
    add_key(parser)
    parser.add_argument("--out", type=base, metavar="BASE", help="write BASE.csr and BASE-key.pem instead of JSON")
    parser.add_argument("--force", action="store_true", help="replace BASE's files")


def run(arguments: argparse.Namespace) -> int:
    """Make the request, and the key if none is given; one that is given stays where it is."""
    from groundplane.pki import parse_request
    from groundplane.pki.csr import csr_of
    from groundplane.pki.keys import dump_key, generate
    from groundplane.system import files

    out: Path | None = arguments.out
    given = given_key(arguments)
    paths = [] if out is None else [out.with_name(f"{out.name}.csr")]
    if out is not None and given is None:
        paths.append(out.with_name(f"{out.name}-key.pem"))
    refuse_taken(paths, force=arguments.force)
    request = parse_request(read(arguments.request), source=str(arguments.request))
    key = given or generate(request.key)
    made = csr_of(request, key)
    secret = b"" if given is not None else key_bytes(arguments, dump_key(key))
    if out is None:
        fields = {"csr": made.decode()} | ({"key": secret.decode()} if secret else {})
        sys.stdout.write(json.dumps(fields, separators=(",", ":")) + "\n")
        return 0
    them = [files.Wanted(paths[1], secret, files.PRIVATE)] if secret else []
    write([*them, files.Wanted(paths[0], made)], force=arguments.force)
    print(f"{paths[0]}: {request.common_name or 'a request'}", file=sys.stderr)
    return 0
