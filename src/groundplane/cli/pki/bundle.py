"""`groundplane pki bundle`: the full chain that a server should send, leaf first, as PEM."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.cli.pki import chain_options
from groundplane.cli.pki.inputs import read

if TYPE_CHECKING:
    from groundplane.pki.chain import Bundle, Link


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("cert", type=Path, metavar="CERT", help="PEM, DER, PKCS#7 or PKCS#12; - is standard input")
    parser.add_argument("--key", type=Path, metavar="FILE", help="its key: the bundle is refused if it is another's")
    chain_options.add_password(parser)
    chain_options.configure(parser)
    parser.add_argument(
        "--flavor",
        choices=("optimal", "ubiquitous", "force"),
        default="optimal",
        help="of several chains: the shortest and strongest, the widest trusted, or what was given (default optimal)",
    )
    parser.add_argument("--metadata", type=Path, metavar="FILE", help="platforms, for the ubiquitous flavor")
    parser.add_argument("--with-root", action="store_true", help="put the root at the end")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of standard output")
    parser.add_argument("-o", "--output", choices=("pem", "json"), default="pem")


def run(arguments: argparse.Namespace) -> int:
    """Read, build, judge, write."""
    from groundplane.pki import load_key
    from groundplane.pki.chain import Flavor, assemble, check_host, load_platforms, read_material

    fetcher = chain_options.fetcher_of(arguments)
    trust = chain_options.trust_of(arguments, fetcher)
    if arguments.metadata is not None:
        trust.platforms = load_platforms(arguments.metadata)
    password = chain_options.password_of(arguments)
    material = read_material(read(arguments.cert), source=str(arguments.cert), password=password)
    key = material.key
    if arguments.key is not None:
        key = load_key(read(arguments.key), source=str(arguments.key))
    made = assemble(material.certificates, trust, flavor=Flavor(arguments.flavor), at=datetime.now(UTC), key=key)
    if arguments.host:
        check_host(made.leaf, arguments.host)
    text = _json(made, with_root=arguments.with_root) if arguments.output == "json" else _pem(made, arguments.with_root)
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        from groundplane.cli.pki.output import refuse_foreign, write
        from groundplane.system import files

        refuse_foreign(arguments.out, kind="bundle for it to replace", like=lambda old: _is_older(old, made))
        write([files.Wanted(arguments.out, text.encode())], force=True)
    print(_summary(made), file=sys.stderr)
    return 0


def _is_older(data: bytes, made: "Bundle") -> bool:
    """Whether this is a bundle too, and loses no CA by being replaced: one of a leaf, or of the same certificate."""
    from groundplane.errors import GroundplaneError
    from groundplane.pki.chain import read_pem

    try:
        document = json.loads(data)
        data = "".join(document["chain"]).encode()
    except (ValueError, TypeError, KeyError):
        pass  # in PEM
    try:
        found = read_pem(data, source="bundle")
    except GroundplaneError:
        return False
    return bool(found) and (not found[0].is_ca or found[0] == made.leaf) and b"PRIVATE KEY-----" not in data


def _pem(made: "Bundle", with_root: bool) -> str:  # noqa: FBT001 - one word of the command line
    return "".join(it.pem for it in _sent(made, with_root=with_root))


def _sent(made: "Bundle", *, with_root: bool) -> "list[Link]":
    links = [it for it in made.chain if it != made.root or len(made.chain) == 1]
    if with_root and made.root is not None and made.root not in links:
        links.append(made.root)
    return links


def _json(made: "Bundle", *, with_root: bool) -> str:
    document = {
        "chain": [it.pem for it in _sent(made, with_root=with_root)],
        "root": None if made.root is None else made.root.pem,
        "expires": f"{made.expires:%Y-%m-%dT%H:%M:%SZ}",
        "leaf_expires": f"{made.leaf.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "rebundled": made.advice.rebundled,
        "untrusted_by": list(made.advice.untrusted or ()),
    }
    return json.dumps(document, indent=2) + "\n"


def _summary(made: "Bundle") -> str:
    names = " <- ".join(it.title for it in made.chain if it != made.root or len(made.chain) == 1)
    root = f" <- ({made.root.title})" if made.root is not None else ""
    return f"{names}{root}, until {made.expires:%F}"
