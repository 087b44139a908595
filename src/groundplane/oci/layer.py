"""A layer's tar becomes a directory that overlayfs can stand on.

Whiteouts (OCI image-spec, layer.md) become overlayfs's own: `.wh.NAME` a character device 0:0 called NAME,
`.wh..wh..opq` the attribute trusted.overlay.opaque on its directory. Every path is resolved inside the layer's root
by the kernel, so no `..`, absolute name or link in an archive leads out of it. Whatever is wrong with one is Invalid.
"""

import errno
import io
import os
import stat
import tarfile
from pathlib import Path
from typing import IO, cast

from groundplane.errors import Exhausted, Failed, GroundplaneError, Invalid
from groundplane.oci import tape
from groundplane.oci.model import Digest
from groundplane.system import inroot

WHITEOUT, OPAQUE, AUFS = ".wh.", ".wh..wh..opq", ".wh..wh."
OPAQUE_ATTRIBUTE = "trusted.overlay.opaque"
_XATTR_PREFIXES = ("SCHILY.xattr.", "LIBARCHIVE.xattr.")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_HOSTS_FAULT = frozenset({errno.EIO, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EOPNOTSUPP})


def unpack(source: IO[bytes], root: Path, *, expected: Digest | None, at: str) -> tuple[Digest, int, int]:
    """Unpack a layer (compressed or not) into the empty directory `root`.

    Returns its diffID, and the bytes and inodes it takes, `root` itself not counted.
    Raises Invalid if the diffID is not `expected`, or the archive is damaged or hostile, Exhausted if the disk is full,
    Failed if the host refused; `root` then holds a part, which the caller removes.
    """
    reading = tape.Hashing(tape.decompressed(source))
    stream = io.BufferedReader(reading, tape.CHUNK)
    unpacker = _Unpacker(root, at)
    try:
        with tape.open_tape(stream) as archive:
            for member in archive:
                unpacker.take(archive, member)
        while stream.read(tape.CHUNK):
            pass  # the digest is of the whole stream, with what stands after the archive's end
        unpacker.finish()
    except tape.DAMAGED as bad:
        raise Invalid(f"is damaged: {bad}", to=at, hint="export the image again") from bad
    except OSError as refused:
        raise _refused(refused, at) from refused
    finally:
        unpacker.close()
    if expected is not None and reading.digest != expected:
        raise Invalid(
            f"its content is {reading.digest}, and the image says {expected}", to=at, hint="export the image again"
        )
    return reading.digest, unpacker.octets, unpacker.inodes


def is_opaque(root: Path) -> bool:
    """Whether the layer unpacked at `root` hides all that is below it; overlayfs does not look at the mark there."""
    try:
        return os.getxattr(root, OPAQUE_ATTRIBUTE) == b"y"
    except OSError as none:
        if none.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
            raise
        return False


def _refused(refused: OSError, at: str) -> GroundplaneError:
    """Whose fault it is: the disk's, the host's, or else the archive's."""
    words = f"cannot be unpacked: {refused.strerror}" + (f": {refused.filename}" if refused.filename else "")
    if refused.errno in _FULL:
        return Exhausted(words, to=at, hint="remove images, or give the disk more space")
    if refused.errno in _HOSTS_FAULT:
        return Failed(words, to=at, hint="the store's file system must be writable and take extended attributes")
    return Invalid(words, to=at, hint="export the image again")


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
                self._hide(folder, name)
            finally:
                os.close(folder)
        for path, times in sorted(self._directory_times.items(), reverse=True):
            fd = inroot.open_directory(self._root, path)
            try:
                os.utime(fd, ns=times)
            finally:
                os.close(fd)

    def _hide(self, folder: int, name: str) -> None:
        try:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=folder)
            self.inodes += 1
        except FileExistsError:
            # The layer has the name itself. A file hides what is below just as well; a directory must be told to.
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                try:
                    os.setxattr(fd, OPAQUE_ATTRIBUTE, b"y")
                finally:
                    os.close(fd)

    def take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = self._clean(member.name)
        name = path.rpartition("/")[2]
        if name == OPAQUE:
            fd = self._folder(path.rpartition("/")[0])
            try:
                os.setxattr(fd, OPAQUE_ATTRIBUTE, b"y")
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

    def _open_parent(self, path: str, *, create: bool = True) -> tuple[int, str]:
        parent, _, name = path.rpartition("/")
        return (self._folder(parent) if create else inroot.open_directory(self._root, parent)), name

    def _folder(self, path: str) -> int:
        """The directory of an entry; what the archive did not hold of it is made, and counts too."""
        return inroot.open_directory(self._root, path, create=True, made=self._count)

    def _count(self) -> None:
        self.inodes += 1

    def _place(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        if not path:
            if member.isdir():
                self._finish_directory(self._root, member, path)
            return
        folder, name = self._open_parent(path)
        try:
            self._make_room(folder, name, path, keep=member.isdir())
            self._create(archive, member, folder, name, path)
        finally:
            os.close(folder)

    def _make_room(self, folder: int, name: str, path: str, *, keep: bool) -> None:
        """A later entry replaces an earlier one of the same name; a directory stays one."""
        try:
            there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(there.st_mode):
            os.unlink(name, dir_fd=folder)
            self.inodes -= there.st_nlink == 1
        elif not keep:
            self.inodes -= _remove_tree(folder, name)
            gone = f"{path}/"
            self._directory_times = {
                one: times for one, times in self._directory_times.items() if not f"{one}/".startswith(gone)
            }
            self._whiteouts = [one for one in self._whiteouts if not one.startswith(gone)]

    def _create(self, archive: tarfile.TarFile, member: tarfile.TarInfo, folder: int, name: str, path: str) -> None:
        times = (int(member.mtime * 1e9),) * 2
        if member.isdir():
            try:
                os.mkdir(name, 0o700, dir_fd=folder)
                self.inodes += 1
            except FileExistsError:
                pass  # made for an earlier entry inside it; its mode and owner come now
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                self._finish_directory(fd, member, path)
            finally:
                os.close(fd)
        elif member.islnk():
            target, last = self._open_parent(self._clean(member.linkname), create=False)
            try:
                os.link(last, name, src_dir_fd=target, dst_dir_fd=folder, follow_symlinks=False)
            finally:
                os.close(target)
        elif member.issym():
            os.symlink(member.linkname, name, dir_fd=folder)
            self.inodes += 1
            os.chown(name, member.uid, member.gid, dir_fd=folder, follow_symlinks=False)
            os.utime(name, ns=times, dir_fd=folder, follow_symlinks=False)
        elif member.isfile():
            self._write(archive, member, folder, name)
        elif member.ischr() or member.isblk() or member.isfifo():
            kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK if member.isblk() else stat.S_IFIFO
            number = 0 if member.isfifo() else os.makedev(member.devmajor, member.devminor)
            os.mknod(name, kind | 0o600, number, dir_fd=folder)
            self.inodes += 1
            os.chown(name, member.uid, member.gid, dir_fd=folder)
            os.chmod(name, member.mode & 0o7777, dir_fd=folder)
            os.utime(name, ns=times, dir_fd=folder)
        else:
            raise Invalid(f"holds {member.name!r} of a kind that no layer has", to=self._at)

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, folder: int, name: str) -> None:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
        with os.fdopen(fd, "wb") as out:
            self.inodes += 1
            content = archive.extractfile(member)
            assert content is not None  # it is a regular file
            if member.issparse():
                beneath = cast("IO[bytes]", cast("io.BufferedReader", content).raw)  # a buffer cannot skip in a stream
                for offset, size in cast("list[tuple[int, int]]", member.sparse):
                    beneath.seek(offset)
                    out.seek(offset)
                    self._copy(beneath, out, size)
                out.truncate(member.size)  # a hole at the end; holes take no space, whatever size a header claims
            else:
                self._copy(content, out, member.size)
            out.flush()
            os.fchown(fd, member.uid, member.gid)
            os.fchmod(fd, member.mode & 0o7777)  # after the owner, whose change clears setuid
            _set_attributes(fd, member)
            os.utime(fd, ns=(int(member.mtime * 1e9),) * 2)

    def _copy(self, source: IO[bytes], target: IO[bytes], size: int) -> None:
        self.octets += size
        while size > 0:
            data = source.read(min(size, tape.CHUNK))
            if not data:
                raise EOFError("a file ends early")
            target.write(data)
            size -= len(data)

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


def _remove_tree(folder: int, name: str) -> int:
    """How many inodes are gone."""
    gone = 1
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        for entry in os.listdir(fd):  # noqa: PTH208 - by descriptor
            there = os.stat(entry, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISDIR(there.st_mode):
                gone += _remove_tree(fd, entry)
            else:
                os.unlink(entry, dir_fd=fd)
                gone += there.st_nlink == 1
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=folder)
    return gone
