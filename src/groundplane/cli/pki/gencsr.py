"""`groundplane pki gencsr`: a request for another CA, from a CSR JSON, with a new key or one that is there."""

import argparse
import json
import sys
from pathlib import Path

from groundplane.cli.pki.keys import add_key, given_key, key_bytes, read_words, refuse_taken


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("request", type=Path, metavar="CSRJSON", help="what to ask for; - is standard input")
    add_key(parser)
    parser.add_argument("--out", type=Path, metavar="BASE", help="write BASE.csr and BASE-key.pem instead of JSON")
    parser.add_argument("--force", action="store_true", help="replace BASE's files")


def run(arguments: argparse.Namespace) -> int:
    """Make the request, and the key if none is given; one that is given stays where it is."""
    from groundplane.pki import parse_request
    from groundplane.pki.csr import csr_of
    from groundplane.pki.keys import dump_key, generate
    from groundplane.system import files

    base: Path | None = arguments.out
    given = given_key(arguments)
    paths = [] if base is None else [base.with_name(f"{base.name}.csr")]
    if base is not None and given is None:
        paths.append(base.with_name(f"{base.name}-key.pem"))
    refuse_taken(paths, force=arguments.force)
    request = parse_request(read_words(arguments.request), source=str(arguments.request))
    key = given or generate(request.key)
    made = csr_of(request, key)
    secret = b"" if given is not None else key_bytes(arguments, dump_key(key))
    if base is None:
        fields = {"csr": made.decode()} | ({"key": secret.decode()} if secret else {})
        sys.stdout.write(json.dumps(fields, separators=(",", ":")) + "\n")
        return 0
    if secret:
        files.replace(paths[1], secret, mode=files.PRIVATE)
    files.replace(paths[0], made)
    print(f"{paths[0]}: {request.common_name or 'a request'}", file=sys.stderr)
    return 0
