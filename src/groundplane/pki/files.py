"""Certificates and keys on disk: a key 0600, a certificate 0644, each replaced atomically, the key first.

A crash between the two leaves a key without its certificate, or with the old one: the next run sees that they do not
match (`lifecycle`) and goes on. The key of a CA is only ever created, never replaced.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
    new: bool = False,
    before: Callable[[], None] = lambda: None,
) -> None:
    """Put both in place, the key first, replacing what is there. `durable` False leaves out the fsyncs.

    With `new` nothing is replaced: raises Exists, with nothing changed, where something stands. `before` runs when both
    are written and have only no names yet; what it raises leaves everything as it was.
    """
    with _drafts(paths, certificate_pem, key_pem, durable=durable) as (certificate, key):
        if new:
            for path in (paths.key, paths.certificate):
                if os.path.lexists(path):
                    raise Exists("something stands here already", to=path, hint="name another place")
        before()
        key.place()
        certificate.place()


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
    with _drafts(paths, certificate_pem, key_pem, durable=durable) as drafts:
        wanted = (certificate_pem, key_pem)
        lacking = [draft for draft, data in zip(drafts, wanted, strict=True) if files.read_optional(draft.path) != data]
        for draft in lacking:
            if os.path.lexists(draft.path):
                hint = "move it away first, if the CA is really to be replaced"
                raise Exists("another one stands here, and a CA is not replaced", to=draft.path, hint=hint)
        before()
        if drafts[1] not in lacking:
            paths.key.chmod(files.PRIVATE)
        for draft in reversed(lacking):
            draft.place_new()


@contextmanager
def _drafts(
    paths: PairPaths, certificate_pem: bytes, key_pem: bytes, *, durable: bool
) -> Iterator[tuple[files.Draft, files.Draft]]:
    """Both, complete, while nobody else writes a pair into their directories."""
    with ExitStack() as stack:
        for directory in sorted({paths.key.parent, paths.certificate.parent}):
            stack.enter_context(files.one_at_a_time(directory))
        drafts = []
        for path, data, mode in (
            (paths.certificate, certificate_pem, files.PUBLIC),
            (paths.key, key_pem, files.PRIVATE),
        ):
            drafts.append(files.Draft(path, data, mode=mode, durable=durable))
            stack.callback(drafts[-1].discard)
        yield drafts[0], drafts[1]
