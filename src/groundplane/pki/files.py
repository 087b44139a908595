"""Certificates and keys on disk: a key 0600, a certificate 0644, each replaced atomically, the key first.

A crash between the two leaves a key without its certificate, or with the old one: the next run sees that they do not
match (`lifecycle`) and goes on. The key of a CA is only ever created, never replaced.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from groundplane.errors import Exists
from groundplane.pki.model import SeenPair
from groundplane.pki.seen import see_pair
from groundplane.system import files


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPaths:
    """Where a certificate and its key are."""

    certificate: Path
    key: Path

    @classmethod
    def named(cls, directory: Path, name: str) -> "PairPaths":
        """Names as cfssljson gives them: NAME.pem and NAME-key.pem in `directory`."""
        return cls(certificate=directory / f"{name}.pem", key=directory / f"{name}-key.pem")


def observe_pair(paths: PairPaths, *, issuer: x509.Certificate | None) -> SeenPair:
    """What is at `paths` now. `issuer` None: the certificate should have signed itself. Bad files raise nothing."""
    troubles: list[str] = []
    read: list[bytes | None] = []
    for path in (paths.certificate, paths.key):
        try:
            read.append(files.read_optional(path))
        except OSError as refused:
            read.append(None)
            troubles.append(f"{path} cannot be read: {refused.strerror or refused}")
    pair = see_pair(*read, issuer=issuer, certificate_source=str(paths.certificate), key_source=str(paths.key))
    if not troubles:
        return pair
    # What cannot be read is there all the same: nobody may take it for missing.
    return SeenPair(has_certificate=True, has_key=True, troubles=tuple(troubles))


def write_pair(paths: PairPaths, *, certificate_pem: bytes, key_pem: bytes, durable: bool = True) -> None:
    """Put both in place, the key first, replacing what is there. `durable` False leaves out the fsyncs."""
    files.replace(paths.key, key_pem, mode=files.PRIVATE, durable=durable)
    files.replace(paths.certificate, certificate_pem, mode=files.PUBLIC, durable=durable)


def write_root(paths: PairPaths, *, certificate_pem: bytes, key_pem: bytes, durable: bool = True) -> None:
    """Put a new root in place. Raises Exists, with nothing changed, where another key or certificate stands."""
    _create(paths.key, key_pem, mode=files.PRIVATE, durable=durable)
    _create(paths.certificate, certificate_pem, mode=files.PUBLIC, durable=durable)


def _create(path: Path, data: bytes, *, mode: int, durable: bool) -> None:
    """Like `files.replace`, but link(2) instead of rename(2): it fails where there is something already."""
    if files.read_optional(path) == data:
        path.chmod(mode)
        return
    fresh = path.with_name(f".{path.name}.new")
    files.replace(fresh, data, mode=mode, durable=durable)
    try:
        os.link(fresh, path)
    except FileExistsError as taken:
        hint = "move it away first, if the CA is really to be replaced"
        raise Exists("another one stands here, and a CA is not replaced", to=path, hint=hint) from taken
    finally:
        fresh.unlink(missing_ok=True)
    if durable:
        files.sync_directory(path.parent)
