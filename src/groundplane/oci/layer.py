"""A layer's tar becomes a directory that overlayfs can stand on.

Whiteouts (OCI image-spec, layer.md) become overlayfs's own: `.wh.NAME` a character device 0:0 called NAME,
`.wh..wh..opq` the attribute trusted.overlay.opaque on its directory. Every path is resolved inside the layer's root
by the kernel, so no `..`, absolute name or link in an archive leads out of it. Whatever is wrong with one is Invalid.
"""

import gzip
import hashlib
import io
import os
import stat
import tarfile
import zlib
from pathlib import Path
from typing import IO, Any, cast

from groundplane.errors import Invalid, Unimplemented
from groundplane.oci.model import Digest
from groundplane.system import inroot

WHITEOUT, OPAQUE, AUFS = ".wh.", ".wh..wh..opq", ".wh..wh."
_OPAQUE_ATTRIBUTE = "trusted.overlay.opaque"
_XATTR_PREFIXES = ("SCHILY.xattr.", "LIBARCHIVE.xattr.")
_CHUNK = 1 << 20
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class _Hashing(io.RawIOBase):
    """Reads through, and hashes all that is read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self._source.read(len(view))
        self.hash.update(data)
        view[: len(data)] = data
        return len(data)


def decompressed(source: IO[bytes]) -> IO[bytes]:
    """The tar inside: `source` itself, or gzip's members one after the other. Raises Unimplemented for zstd."""
    buffered = io.BufferedReader(source, _CHUNK) if isinstance(source, io.RawIOBase) else source
    magic = buffered.peek(4)[:4] if isinstance(buffered, io.BufferedReader) else b""
    if magic.startswith(_GZIP):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=buffered, mode="rb"))
    if magic.startswith(_ZSTD):
        raise Unimplemented("zstd layers are not built yet", to="layer", hint="export the image with gzip layers")
    return buffered


def unpack(source: IO[bytes], root: Path, *, expected: Digest | None, at: str) -> tuple[Digest, int, int]:
    """Unpack a layer (compressed or not) into the empty directory `root`.

    Returns its diffID, and the bytes and inodes it takes. Raises Invalid if the diffID is not `expected`, or the
    archive is damaged or hostile; `root` then holds a part, which the caller removes.
    """
    reading = _Hashing(decompressed(source))
    stream = io.BufferedReader(reading, _CHUNK)
    unpacker = _Unpacker(root, at)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                unpacker.take(archive, member)
        while stream.read(_CHUNK):
            pass  # the digest is of the whole stream, with what stands after the archive's end
        unpacker.finish()
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as bad:
        raise Invalid(f"is damaged: {bad}", to=at, hint="export the image again") from bad
    except OSError as refused:
        raise Invalid(f"cannot be unpacked: {refused.strerror}: {refused.filename}", to=at) from refused
    finally:
        unpacker.close()
    found = Digest("sha256:" + reading.hash.hexdigest())
    if expected is not None and found != expected:
        raise Invalid(f"its content is {found}, and the image says {expected}", to=at, hint="export the image again")
    return found, unpacker.octets, unpacker.inodes


class _Unpacker:
    """One layer being unpacked."""

    def __init__(self, root: Path, at: str) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._at = at
        self._directory_times: dict[str, tuple[int, int]] = {}
        self._whiteouts: list[str] = []
        self.octets = 0
        self.inodes = 0

    def close(self) -> None:
        os.close(self._root)

    def finish(self) -> None:
        """What must wait for the end: whiteouts (a name in the same layer beats its own) and directories' times."""
        for path in self._whiteouts:
            folder, name = self._open_parent(path)
            try:
                os.mknod(name, stat.S_IFCHR, 0, dir_fd=folder)
            except FileExistsError:
                pass  # the layer has the name itself, which hides what is below just as well
            finally:
                os.close(folder)
        for path, times in sorted(self._directory_times.items(), reverse=True):
            fd = inroot.open_directory(self._root, path)
            try:
                os.utime(fd, ns=times)
            finally:
                os.close(fd)

    def take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = self._clean(member.name)
        name = path.rpartition("/")[2]
        if name == OPAQUE:
            fd = inroot.open_directory(self._root, path.rpartition("/")[0], create=True)
            try:
                os.setxattr(fd, _OPAQUE_ATTRIBUTE, b"y")
            finally:
                os.close(fd)
        elif name.startswith(AUFS):
            return  # bookkeeping of aufs
        elif name.startswith(WHITEOUT):
            self._whiteouts.append(path.rpartition("/")[0] + "/" + self._named(name.removeprefix(WHITEOUT)))
        else:
            self._place(archive, member, path)

    def _clean(self, name: str) -> str:
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts or "\0" in name:
            raise Invalid(f"holds the path {name!r}, which leads out of it", to=self._at, hint="do not trust it")
        return "/".join(parts)

    def _named(self, name: str) -> str:
        if name in ("", ".", ".."):
            raise Invalid("holds a whiteout without a name", to=self._at)
        return name

    def _open_parent(self, path: str) -> tuple[int, str]:
        parent, _, name = path.rpartition("/")
        return inroot.open_directory(self._root, parent, create=True), name

    def _place(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        if not path:
            if member.isdir():
                self._finish_directory(self._root, member, path)
            return
        folder, name = self._open_parent(path)
        try:
            self._make_room(folder, name, keep=member.isdir())
            self._create(archive, member, folder, name, path)
        finally:
            os.close(folder)
        self.inodes += 1

    def _make_room(self, folder: int, name: str, *, keep: bool) -> None:
        """A later entry replaces an earlier one of the same name; a directory stays one."""
        try:
            there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(there.st_mode):
            if not keep:
                _remove_tree(folder, name)
        else:
            os.unlink(name, dir_fd=folder)

    def _create(self, archive: tarfile.TarFile, member: tarfile.TarInfo, folder: int, name: str, path: str) -> None:
        times = (int(member.mtime * 1e9),) * 2
        if member.isdir():
            try:
                os.mkdir(name, 0o700, dir_fd=folder)
            except FileExistsError:
                pass  # made for an earlier entry inside it; its mode and owner come now
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                self._finish_directory(fd, member, path)
            finally:
                os.close(fd)
        elif member.islnk():
            target, last = self._open_parent(self._clean(member.linkname))
            try:
                os.link(last, name, src_dir_fd=target, dst_dir_fd=folder, follow_symlinks=False)
            finally:
                os.close(target)
        elif member.issym():
            os.symlink(member.linkname, name, dir_fd=folder)
            os.chown(name, member.uid, member.gid, dir_fd=folder, follow_symlinks=False)
            os.utime(name, ns=times, dir_fd=folder, follow_symlinks=False)
        elif member.isfile():
            self._write(archive, member, folder, name)
        elif member.ischr() or member.isblk() or member.isfifo():
            kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK if member.isblk() else stat.S_IFIFO
            number = 0 if member.isfifo() else os.makedev(member.devmajor, member.devminor)
            os.mknod(name, kind | 0o600, number, dir_fd=folder)
            os.chown(name, member.uid, member.gid, dir_fd=folder)
            os.chmod(name, member.mode & 0o7777, dir_fd=folder)
        else:
            raise Invalid(f"holds {member.name!r} of a kind that no layer has", to=self._at)

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, folder: int, name: str) -> None:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
        with os.fdopen(fd, "wb") as out:
            content = archive.extractfile(member)
            assert content is not None  # it is a regular file
            while data := content.read(_CHUNK):
                out.write(data)
            out.flush()
            os.fchown(fd, member.uid, member.gid)
            os.fchmod(fd, member.mode & 0o7777)  # after the owner, whose change clears setuid
            _set_attributes(fd, member)
            os.utime(fd, ns=(int(member.mtime * 1e9),) * 2)
        self.octets += member.size

    def _finish_directory(self, fd: int, member: tarfile.TarInfo, path: str) -> None:
        os.fchown(fd, member.uid, member.gid)
        os.fchmod(fd, member.mode & 0o7777)
        _set_attributes(fd, member)
        self._directory_times[path] = (int(member.mtime * 1e9),) * 2


def _set_attributes(fd: int, member: tarfile.TarInfo) -> None:
    for key, value in member.pax_headers.items():
        for prefix in _XATTR_PREFIXES:
            name = key.removeprefix(prefix)
            # Only what an image may say of its files: trusted.* would let it write overlayfs's own marks.
            if name != key and (name.startswith("user.") or name == "security.capability"):
                os.setxattr(fd, name, value.encode("utf-8", "surrogateescape"))


def _remove_tree(folder: int, name: str) -> None:
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        for entry in os.listdir(fd):  # noqa: PTH208 - by descriptor
            if stat.S_ISDIR(os.stat(entry, dir_fd=fd, follow_symlinks=False).st_mode):
                _remove_tree(fd, entry)
            else:
                os.unlink(entry, dir_fd=fd)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=folder)
