"""Where results go: all of them or none, nothing replaced unasked, and never what nobody could make again.

That is a CA's certificate, a CA's key, and a key of which cannot be told whose it is: no flag replaces those.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.cli.pki.inputs import read
from groundplane.errors import Exists, GroundplaneError, NotFound, of_os

if TYPE_CHECKING:
    from cryptography import x509

    from groundplane.pki.keystore.bundle import Contents
    from groundplane.system.files import Wanted

_MOST = 1 << 20  # bytes of a key or a certificate that stands somewhere
_NEIGHBOURS = 500
_SUFFIXES = (".pem", ".crt", ".cer", ".der")


def base(text: str) -> Path:
    """For argparse's `type=`: a path to which suffixes are put."""
    path = Path(text)
    if not path.name or text.endswith(("/", "/.", "..")):
        raise argparse.ArgumentTypeError(f"{text!r} has no name to begin a file's with; write {path / 'NAME'}")
    return path


def pair_of(base: Path) -> tuple[Path, Path]:
    """BASE.pem and BASE-key.pem."""
    return base.with_name(f"{base.name}.pem"), base.with_name(f"{base.name}-key.pem")


def refuse_taken(paths: Sequence[Path], *, force: bool, hint: str = "") -> None:
    """Asked before anything is made. Raises Exists, NotFound for a directory that is not there, and what of_os says.

    Without `force` nothing may stand at `paths`; with it, nothing that is never replaced. `hint` is for the first.
    """
    for path in paths:
        if not _stands(path):
            continue
        if what := _irreplaceable(path):
            away = "choose another --out, or move it away first"
            raise Exists(f"{what} is not replaced", to=path, hint=hint or away)
        if not force:
            raise Exists("something stands here already", to=path, hint=hint or "choose another --out, or give --force")


def write(them: "Sequence[Wanted]", *, force: bool, before: Callable[[], None] = lambda: None) -> None:
    """All of them in their order, or none; `refuse_taken` has been asked. See `files.write_together` and `of_os`."""
    from groundplane.system import files  # what is printed needs none

    try:
        files.write_together(them, over=force, before=before)
    except FileExistsError as taken:  # somebody was faster
        hint = "choose another --out, or give --force"
        raise Exists("something stands here already", to=taken.filename, hint=hint) from taken
    except OSError as refused:
        raise of_os(refused) from refused


def write_pair(pem: bytes, key: bytes, base: Path, *, force: bool, before: Callable[[], None] = lambda: None) -> None:
    """BASE-key.pem if there is a key, and BASE.pem; says so on standard error. See `write`."""
    from groundplane.pki import load_certificate
    from groundplane.pki.seen import see
    from groundplane.system import files

    certificate, private = pair_of(base)
    them = [files.Wanted(private, key, files.PRIVATE)] if key else []
    write([*them, files.Wanted(certificate, pem)], force=force, before=before)
    seen = see(load_certificate(pem, source=str(certificate)))
    print(f"{certificate}: {seen.subject}, until {seen.not_after:%F}", file=sys.stderr)


def refuse_foreign(path: Path, *, kind: str, like: Callable[[bytes], bool]) -> None:
    """For what is written anew again and again: only its like may stand there, or nothing. Raises Exists and others."""
    if _stands(path) and (data := read(path)).strip() and not like(data):
        raise Exists(f"what stands here is no {kind}", to=path, hint="choose another --out, or move it away first")


def _stands(path: Path) -> bool:
    """Whether something does, be it a link to nowhere. Raises NotFound without a directory, Exists for one at it."""
    try:
        if not path.parent.is_dir():
            raise NotFound("there is no such directory", to=path.parent, hint="make it first")
        if path.is_dir():
            raise Exists("a directory stands here", to=path, hint="choose another --out")
        return os.path.lexists(path)
    except OSError as refused:
        raise of_os(refused, to=path) from refused


def holds_same(path: Path, contents: "Contents", *, key: bool) -> bool:
    """What stands at `path` is in `contents`, perhaps in another form: nothing is lost by replacing it.

    `key`: whether their key will be in what replaces it.
    """
    held = _contents(path) if path.is_file() else None
    if held is None or not set(held.certificates) <= set(contents.certificates):
        return False
    if held.key is None:
        return True
    return key and contents.key is not None and _public(held.key.public_key()) == _public(contents.key.public_key())


def _irreplaceable(path: Path) -> str:
    """What it is, if it can neither be made again nor told from what cannot; empty for everything else."""
    if not path.is_file() or path.stat().st_size > _MOST:
        return ""
    held = _contents(path)
    if held is not None and held.key is None:
        return "a CA" if _is_ca(held.certificates[0]) else ""  # what follows a leaf is its chain
    if held is None and b"PRIVATE KEY-----" not in path.read_bytes():
        return ""  # no key, nor a certificate
    alike = list(_named_alike(path))
    beside = []
    if held is not None and held.key is not None:
        public = _public(held.key.public_key())
        beside = [one for one in islice(_beside(path), _NEIGHBOURS) if _public(one.public_key()) == public]
    if any(map(_is_ca, (*alike, *beside))):
        return "a CA's key"
    if alike or beside or path.with_name(f"{_stem(path).name}.csr").exists():
        return ""
    return "a key that is alone here (perhaps a CA's)"


def _contents(path: Path) -> "Contents | None":
    from groundplane.pki.keystore.anything import gather

    try:
        return gather([(str(path), path.read_bytes())], password=None)
    except GroundplaneError:
        return None  # encrypted, or nothing that we know


def _beside(path: Path) -> "Iterator[x509.Certificate]":
    for other in sorted(path.parent.iterdir()):
        if other.suffix in _SUFFIXES and other.is_file() and other.stat().st_size <= _MOST:
            held = _contents(other)
            yield from () if held is None else held.certificates


def _named_alike(key: Path) -> "Iterator[x509.Certificate]":
    stem = _stem(key)
    for suffix in _SUFFIXES:
        certificate = stem.with_name(f"{stem.name}{suffix}")
        if certificate != key and certificate.is_file() and (held := _contents(certificate)) is not None:
            yield from held.certificates[:1]


def _stem(key: Path) -> Path:
    return key.with_name(key.stem.removesuffix("-key"))


def _is_ca(certificate: "x509.Certificate") -> bool:
    from groundplane.pki.seen import see

    try:
        return see(certificate).is_ca
    except GroundplaneError:
        return False  # odd, and so no CA that we know


def _public(key: object) -> bytes:
    from groundplane.pki.keys import PublicKey, public_bytes

    return public_bytes(key) if isinstance(key, PublicKey) else b""
