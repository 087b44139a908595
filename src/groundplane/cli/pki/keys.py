"""The flags of commands that sign: a CA's certificate and its key, wherever that is, and the leaf's key."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.errors import Invalid

if TYPE_CHECKING:
    from cryptography import x509

    from groundplane.pki.authority import Authority
    from groundplane.pki.keys import PrivateKey
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
    from groundplane.cli.pki.inputs import read
    from groundplane.pki import load_certificate

    data = read(arguments.ca)
    if data[:1] == b"\x30":
        from groundplane.pki.pem import pem_block

        data = pem_block("CERTIFICATE", data)
    return load_certificate(data, source=str(arguments.ca))


def authority(arguments: argparse.Namespace) -> "Authority":
    """The CA of the command line. Raises NotFound, Invalid, Failed."""
    from groundplane.pki import Authority

    require_ca(arguments)
    return Authority(ca_certificate(arguments), ca_signer(arguments), source=str(arguments.ca))


def require_ca(arguments: argparse.Namespace) -> None:
    """Raises Invalid where the command line names no CA, or half of one."""
    if arguments.ca is None or arguments.ca_key is None:
        raise Invalid("who signs?", to="command line", hint="give --ca and --ca-key, or --remote")


def refuse_idle_label(arguments: argparse.Namespace) -> None:
    """Raises Invalid for a label that nothing would have."""
    if arguments.label and arguments.db_config is None:
        raise Invalid("a label is for a record", to="--label", hint="give --db-config too, or leave it out")


def password(source: str | None, what: str) -> bytes | None:
    """What `file:PATH`, `env:NAME` or `ask` leads to; None for nothing. Raises Invalid."""
    if source is None:
        return None
    from groundplane.pki.keystore.password import read_password

    return read_password(source, what=what)


def add_key(parser: argparse.ArgumentParser) -> None:
    """--key, --key-format, --key-password."""
    parser.add_argument("--key", type=Path, metavar="FILE", help="a key that is there already; it stays as it is")
    kinds = ("pkcs1", "pkcs8", "pkcs8-encrypted", "pkcs8-scrypt")
    parser.add_argument("--key-format", choices=kinds, default="pkcs1", help="of the new key (default: pkcs1, CFSSL's)")
    parser.add_argument("--key-password", metavar=_PASSWORD, help="what the key is encrypted with")


def given_key(arguments: argparse.Namespace) -> "PrivateKey | None":
    """--key's. Raises NotFound, Invalid."""
    if arguments.key is None:
        return None
    from groundplane.cli.pki.inputs import read
    from groundplane.pki.keystore.private import read_key

    secret = password(arguments.key_password, "the key's password")
    return read_key(read(arguments.key), source=str(arguments.key), password=secret)


def key_bytes(arguments: argparse.Namespace, key_pem: bytes) -> bytes:
    """The new key in the form that was asked for. Raises Invalid."""
    if arguments.key_format == "pkcs1":
        if arguments.key_password is not None and arguments.key is None:
            hint = "give --key-format pkcs8-encrypted, too"
            raise Invalid("the key would be written as it is", to="--key-password", hint=hint)
        return key_pem
    from groundplane.pki.keystore.private import KeyFormat, read_key, write_key

    secret = password(arguments.key_password, "the key's password")
    return write_key(read_key(key_pem, source="key"), KeyFormat(arguments.key_format), password=secret)
