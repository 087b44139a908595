"""`groundplane pki convert`: keys and certificates from one form to another."""

import argparse
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.cli.pki.keys import password
from groundplane.cli.pki.output import holds_same, refuse_taken, write
from groundplane.errors import Invalid
from groundplane.system import files

if TYPE_CHECKING:
    from cryptography import x509

    from groundplane.pki.keystore.bundle import Contents

_ALIAS = "1"
_SOURCE = "file:PATH|env:NAME|ask"
_KEYS = ("pkcs1", "pkcs8", "pkcs8-encrypted", "pkcs8-scrypt", "pkcs8-der")
FORMS = ("pem", "der", *_KEYS, "pkcs7", "pkcs12", "pkcs12-legacy", "jks")
_STORES = ("pkcs12", "pkcs12-legacy", "jks")
_ENCRYPTED = ("pkcs8-encrypted", "pkcs8-scrypt", *_STORES)
_SECRET = frozenset(FORMS) - {"pem", "der", "pkcs7"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.description = (
        "Reads PEM, DER, PKCS#7, PKCS#8 (also encrypted), PKCS#12 and JKS. pem, der and pkcs7 hold certificates; pkcs1 "
        "and pkcs8… the key; pkcs12 (any Java since 8u301), pkcs12-legacy (older ones) and jks both."
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="FILE", help="the key, its certificate, the chain: any order"
    )
    parser.add_argument("--to", choices=FORMS, required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--in-password", metavar=_SOURCE, help="of what is read")
    parser.add_argument("--password", metavar=_SOURCE, help="of what is written")
    parser.add_argument("--alias", metavar="NAME", help="the key's name in a store (default: 1)")
    parser.add_argument("--force", action="store_true", help="replace what is there")


def run(arguments: argparse.Namespace) -> int:
    """Convert."""
    _refuse_idle(arguments)
    contents = _contents(arguments)
    out: Path = arguments.out
    if not (arguments.force and holds_same(out, contents, key=arguments.to in _SECRET)):
        refuse_taken([out], force=arguments.force)
    secret = password(arguments.password, "the new password")
    made = _WRITERS[arguments.to](contents, arguments, secret)
    mode = files.PRIVATE if arguments.to in _SECRET else files.PUBLIC
    write([files.Wanted(out, made, mode)], force=arguments.force)
    return 0


def _refuse_idle(arguments: argparse.Namespace) -> None:
    """Flags that would do nothing are a mistake somewhere. Raises Invalid."""
    for flag, given, forms in (
        ("--password", arguments.password is not None, _ENCRYPTED),
        ("--alias", arguments.alias is not None, _STORES),
    ):
        if given and arguments.to not in forms:
            raise Invalid(f"it has no effect with --to {arguments.to}", to=flag, hint=f"it is for {', '.join(forms)}")


def _contents(arguments: argparse.Namespace) -> "Contents":
    """Everything that the files hold, in order. Raises NotFound, Invalid."""
    from groundplane.cli.pki.inputs import read
    from groundplane.pki.keystore.anything import gather

    secret = password(arguments.in_password, "the password")
    return gather([(str(path), read(path)) for path in arguments.inputs], password=secret)


def _certificates(contents: "Contents", arguments: argparse.Namespace) -> "Sequence[x509.Certificate]":
    if not contents.certificates:
        raise Invalid("there is no certificate in it", to=arguments.inputs[0], hint="name the certificate's file too")
    return contents.certificates


def _key(contents: "Contents", arguments: argparse.Namespace, secret: bytes | None) -> bytes:
    from groundplane.pki.keystore.private import KeyFormat, write_key

    if contents.key is None:
        raise Invalid("there is no key in it", to=arguments.inputs[0], hint="name the key's file too")
    return write_key(contents.key, KeyFormat(arguments.to), password=secret)


def _pem(contents: "Contents", arguments: argparse.Namespace, _secret: bytes | None) -> bytes:
    from groundplane.pki.keystore.bundle import pem_of

    return pem_of(_certificates(contents, arguments))


def _der(contents: "Contents", arguments: argparse.Namespace, _secret: bytes | None) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    found = _certificates(contents, arguments)
    if len(found) != 1:
        words = f"there are {len(found)} certificates, and DER holds one"
        raise Invalid(words, to=arguments.inputs[0], hint="use pkcs7 for several")
    return found[0].public_bytes(Encoding.DER)


def _pkcs7(contents: "Contents", arguments: argparse.Namespace, _secret: bytes | None) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

    return pkcs7.serialize_certificates(list(_certificates(contents, arguments)), Encoding.PEM)


def _pkcs12(contents: "Contents", arguments: argparse.Namespace, secret: bytes | None) -> bytes:
    from groundplane.pki.keystore import pkcs12

    legacy = arguments.to == "pkcs12-legacy"
    return pkcs12.write(contents, password=_needed(secret), alias=arguments.alias or _ALIAS, legacy=legacy)


def _jks(contents: "Contents", arguments: argparse.Namespace, secret: bytes | None) -> bytes:
    from groundplane.pki.keystore import jks

    return jks.write(contents, password=_needed(secret), alias=arguments.alias or _ALIAS, now=datetime.now(UTC))


def _needed(secret: bytes | None) -> bytes:
    if secret is None:
        raise Invalid("a store needs a password", to="command line", hint="give --password file:PATH")
    return secret


_WRITERS: dict[str, Callable[["Contents", argparse.Namespace, bytes | None], bytes]] = {
    **dict.fromkeys(_KEYS, _key),
    "pem": _pem,
    "der": _der,
    "pkcs7": _pkcs7,
    "pkcs12": _pkcs12,
    "pkcs12-legacy": _pkcs12,
    "jks": _jks,
}
