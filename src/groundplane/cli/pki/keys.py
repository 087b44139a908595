"""The flags of commands that sign: a CA's certificate and its key, wherever that is, and the leaf's key."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.errors import Exists, Invalid

if TYPE_CHECKING:
    from cryptography import x509

    from groundplane.pki.authority import Authority
    from groundplane.pki.signer import ByteSigner

_PASSWORD = "file:PATH|env:NAME|ask"  # noqa: S105 - where one is, not one


def add_ca(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """--ca, --ca-key, --ca-password."""
    parser.add_argument("--ca", type=Path, required=required, metavar="FILE", help="the CA's certificate")
    what = "its key: a file, or pkcs11:token=…;object=…?module-path=…&pin-source=file:…"
    parser.add_argument("--ca-key", required=required, metavar="KEY", help=what)
    parser.add_argument("--ca-password", metavar=_PASSWORD, help="what the CA's key is encrypted with")


def ca_signer(arguments: argparse.Namespace) -> "ByteSigner":
    """Whoever signs for the CA. Raises NotFound, Invalid, Failed."""
    from groundplane.pki.keystore.open import open_ca_key

    return open_ca_key(arguments.ca_key, password=password(arguments.ca_password, "the CA key's password"))


def ca_certificate(arguments: argparse.Namespace) -> "x509.Certificate":
    """The CA's certificate. Raises NotFound, Invalid."""
    from groundplane.cli.pki.stored import read
    from groundplane.pki import load_certificate

    return load_certificate(read(arguments.ca), source=str(arguments.ca))


def authority(arguments: argparse.Namespace) -> "Authority":
    """The CA of the command line. Raises NotFound, Invalid, Failed."""
    from groundplane.pki import Authority

    if arguments.ca is None or arguments.ca_key is None:
        raise Invalid("who signs?", to="command line", hint="give --ca and --ca-key")
    return Authority(ca_certificate(arguments), ca_signer(arguments), source=str(arguments.ca))


def password(source: str | None, what: str) -> bytes | None:
    """What `file:PATH`, `env:NAME` or `ask` leads to; None for nothing. Raises Invalid."""
    if source is None:
        return None
    from groundplane.pki.keystore.password import read_password

    return read_password(source, what=what)


def add_key_format(parser: argparse.ArgumentParser) -> None:
    """--key-format, --key-password."""
    kinds = ("pkcs1", "pkcs8", "pkcs8-encrypted")
    parser.add_argument("--key-format", choices=kinds, default="pkcs1", help="of the new key (default: pkcs1, CFSSL's)")
    parser.add_argument("--key-password", metavar=_PASSWORD, help="what the key is encrypted with")


def key_bytes(arguments: argparse.Namespace, key_pem: bytes) -> bytes:
    """The new key in the form that was asked for. Raises Invalid."""
    if arguments.key_format == "pkcs1":
        return key_pem
    from groundplane.pki.keystore.private import KeyFormat, read_key, write_key

    secret = password(arguments.key_password, "the key's password")
    return write_key(read_key(key_pem, source="key"), KeyFormat(arguments.key_format), password=secret)


def load_pem(pem: bytes) -> "x509.Certificate":
    """A certificate that was made just now."""
    from groundplane.pki import load_certificate

    return load_certificate(pem, source="the new certificate")


def write_out(pem: bytes, key: bytes, base: Path, *, is_root: bool, force: bool) -> None:
    """BASE.pem and, if there is a key, BASE-key.pem. What is there is replaced only by `force`, a CA's never."""
    from groundplane.pki import PairPaths, write_pair, write_root
    from groundplane.pki.seen import see
    from groundplane.system import files

    paths = PairPaths.named(base.parent, base.name)
    taken = [path for path in (paths.certificate, *((paths.key,) if key else ())) if path.exists()]
    if taken and not force and not is_root:
        raise Exists("something stands here already", to=taken[0], hint="choose another --out, or give --force")
    if is_root and key:
        write_root(paths, certificate_pem=pem, key_pem=key)
    elif key:
        write_pair(paths, certificate_pem=pem, key_pem=key)
    elif is_root and paths.certificate.exists():
        raise Exists("another CA stands here", to=paths.certificate, hint="choose another --out")
    else:
        files.replace(paths.certificate, pem)
    seen = see(load_pem(pem))
    print(f"{paths.certificate}: {seen.subject}, until {seen.not_after:%F}", file=sys.stderr)
