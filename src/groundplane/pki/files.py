"""Certificates and keys on disk: a key 0600, a certificate 0644, each replaced atomically, the key first.

A crash between the two leaves a key without its certificate, or with the old one: the next run sees that they do not
match (`lifecycle`) and goes on. The key of a CA is only ever created, never replaced.
"""

from collections.abc import Callable
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


def write_pair(
    paths: PairPaths,
    *,
    certificate_pem: bytes,
    key_pem: bytes,
    durable: bool = True,
    before: Callable[[], None] = lambda: None,
) -> None:
    """Put both in place, the key first, replacing what is there. `durable` False leaves out the fsyncs.

    `before` runs when both are written and have only no names yet; what it raises leaves everything as it was.
    """
    files.write_together(_wanted(paths, certificate_pem, key_pem), over=True, durable=durable, before=before)


def write_root(
    paths: PairPaths,
    *,
    certificate_pem: bytes,
    key_pem: bytes,
    durable: bool = True,
    before: Callable[[], None] = lambda: None,
) -> None:
    """Put a new root in place. Raises Exists, with nothing changed, where another key or certificate stands.

    `before`: as for `write_pair`.
    """
    wanted = _wanted(paths, certificate_pem, key_pem)
    lacking = [it for it in wanted if files.read_optional(it.path) != it.data]
    try:
        files.write_together(lacking, over=False, durable=durable, before=before)
    except FileExistsError as taken:
        hint = "move it away first, if the CA is really to be replaced"
        happened = "another one stands here, and a CA is not replaced"
        raise Exists(happened, to=taken.filename, hint=hint) from taken
    for it in wanted:
        if it not in lacking:
            it.path.chmod(it.mode)


def _wanted(paths: PairPaths, certificate_pem: bytes, key_pem: bytes) -> list[files.Wanted]:
    return [files.Wanted(paths.key, key_pem, files.PRIVATE), files.Wanted(paths.certificate, certificate_pem)]
