"""A layer's bytes read without trust: decompressed, hashed, and taken apart as a tar.

Python's tarfile forgives much that a hostile archive can use: a broken header in the middle ends the archive quietly,
a header may be of any size, and some malformed headers read on at the end for ever. Here these are errors.
"""

import gzip
import hashlib
import io
import tarfile
import zlib
from pathlib import Path
from typing import IO, Any, Self, cast

from groundplane.errors import Unimplemented
from groundplane.oci.model import Digest

CHUNK = 1 << 20
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_LARGEST_HEADER = 1 << 20  # long names and extended attributes; the kernel takes 64 KiB of an attribute
_READS_AT_END = 64  # an honest reader asks once or twice
_EXTENDED = frozenset({tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, b"x", b"g", b"X"})
_QUIET_ENDINGS = frozenset({"InvalidHeaderError", "TruncatedHeaderError"})

CUT_SHORT: tuple[type[Exception], ...] = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)
"""What reading the content of a damaged tar can raise."""

DAMAGED: tuple[type[Exception], ...] = (
    *CUT_SHORT,
    ValueError,
    OverflowError,
    LookupError,
    RecursionError,  # headers that announce headers
)
"""What reading the headers of a damaged tar can raise."""


class Hashing(io.RawIOBase):
    """Reads through, and hashes all that is read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self._at_end = 0

    @property
    def digest(self) -> Digest:
        """Of what was read so far."""
        return Digest("sha256:" + self._hash.hexdigest())

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` as far as there is something. Raises EOFError for a reader that does not believe in the end."""
        view = memoryview(buffer).cast("B")
        data = self._source.read(len(view))
        if not data:
            self._at_end += 1
            if self._at_end > _READS_AT_END:
                raise EOFError("a header asks for more than there is")
        self._hash.update(data)
        view[: len(data)] = data
        return len(data)


class _Member(tarfile.TarInfo):
    """A header that is in order, or an error."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except _header_error as bad:
            if type(bad).__name__ in _QUIET_ENDINGS:
                raise _read_error(str(bad)) from bad
            raise

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.type in _EXTENDED and not 0 <= found.size <= _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {found.size} bytes")
        return found


# `fromtarfile` has a parameter that hides the module.
_header_error, _read_error = tarfile.HeaderError, tarfile.ReadError


def decompressed(source: IO[bytes]) -> IO[bytes]:
    """The tar inside: `source` itself, or gzip's members one after the other. Raises Unimplemented for zstd."""
    if isinstance(source, io.BufferedReader | io.BufferedRandom):
        buffered: io.BufferedReader | io.BufferedRandom = source
    else:
        buffered = io.BufferedReader(cast("io.RawIOBase", source))
    magic = buffered.peek(4)[:4]
    if magic.startswith(_GZIP):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=buffered, mode="rb"))
    if magic.startswith(_ZSTD):
        raise Unimplemented("zstd layers are not built yet", to="layer", hint="export the image with gzip layers")
    return buffered


def open_tape(stream: IO[bytes]) -> tarfile.TarFile:
    """A tar, to be read from front to end."""
    return tarfile.open(
        fileobj=stream, mode="r|", bufsize=CHUNK, tarinfo=_Member, encoding="utf-8", errors="surrogateescape"
    )


def open_archive(path: Path) -> tarfile.TarFile:
    """A tar, plain or gzip'd, to be read in any order; all its headers are read now. Raises DAMAGED."""
    archive = tarfile.open(path, mode="r:*", tarinfo=_Member, encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
    try:
        archive.getmembers()
    except BaseException:
        archive.close()
        raise
    return archive
