"""bpf(2): load programs, make maps, read and write them. Every failure says what was asked and what the kernel said."""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from groundplane.errors import Failed, NotFound, Unimplemented

_NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280}
_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _MAP_DELETE, _MAP_NEXT_KEY, _PROG_LOAD = 0, 1, 2, 3, 4, 5
_MAP_FD_BY_ID, _INFO_BY_FD = 14, 15
_SCHED_CLS = 3
_NO_PREALLOC = 1
_LOG_SIZE = 1 << 18
_TAIL = 1500

_libc = ctypes.CDLL(None, use_errno=True)


class BpfFailed(Failed):
    """bpf(2) refused."""


class MapGone(NotFound):
    """No map has this id any more."""


class MapKind(IntEnum):
    """The kinds of map in use."""

    HASH = 1
    LPM_TRIE = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class MapShape:
    """What a map holds: sizes in bytes, `entries` at most."""

    kind: MapKind
    key_bytes: int
    value_bytes: int
    entries: int


class Map:
    """An open map. Close it, or use it as a context; an attached program keeps its own hold."""

    __slots__ = ("fd", "shape")

    def __init__(self, fd: int, shape: MapShape) -> None:
        self.fd = fd
        self.shape = shape

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go; twice is fine."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    @property
    def id(self) -> int:
        """The kernel's number for the map, by which `open_map` finds it again."""
        info = ctypes.create_string_buffer(32)
        _bpf(_INFO_BY_FD, struct.pack("<IIQ", self.fd, len(info), ctypes.addressof(info)), "ask for a map's id")
        number: int = struct.unpack_from("<I", info, 4)[0]
        return number

    def put(self, key: bytes, value: bytes) -> None:
        """Set one entry."""
        self._entry(_MAP_UPDATE, key, ctypes.create_string_buffer(value, len(value)), "write a map")

    def get(self, key: bytes) -> bytes | None:
        """One entry's value; for a trie, the longest prefix that covers `key`."""
        value = ctypes.create_string_buffer(self.shape.value_bytes)
        try:
            self._entry(_MAP_LOOKUP, key, value, "read a map")
        except NotFound:
            return None
        return value.raw

    def remove(self, key: bytes) -> bool:
        """Take one entry out; False if it was not there."""
        try:
            self._entry(_MAP_DELETE, key, None, "delete from a map")
        except NotFound:
            return False
        return True

    def keys(self) -> tuple[bytes, ...]:
        """Every key there is now."""
        return tuple(self._walk())

    def _walk(self) -> Iterator[bytes]:
        last: bytes | None = None
        while True:
            following = ctypes.create_string_buffer(self.shape.key_bytes)
            try:
                self._entry(_MAP_NEXT_KEY, last, following, "list a map")
            except NotFound:
                return
            last = following.raw
            yield last

    def _entry(self, command: int, key: bytes | None, value: object, what: str) -> None:
        held = None if key is None else ctypes.create_string_buffer(key, len(key))
        asked = struct.pack("<IxxxxQQQ", self.fd, _address(held), _address(value), 0)
        _bpf(command, asked, what)


def create_map(name: str, shape: MapShape) -> Map:
    """A new, empty map; `name` (at most 15 characters) is what bpftool shows."""
    asked = struct.pack("<5I", shape.kind, shape.key_bytes, shape.value_bytes, shape.entries, _NO_PREALLOC)
    fd = _bpf(_MAP_CREATE, asked + struct.pack("<II16s", 0, 0, name.encode()), f"make the map {name}")
    return Map(fd, shape)


def open_map(number: int, shape: MapShape) -> Map:
    """The living map of that id. Raises MapGone."""
    try:
        return Map(_bpf(_MAP_FD_BY_ID, struct.pack("<III", number, 0, 0), "open a map"), shape)
    except NotFound as gone:
        raise MapGone("no such map", to=f"map {number}") from gone


def load_classifier(name: str, code: bytes) -> int:
    """A file descriptor of the verified program, for tc. Raises BpfFailed with the verifier's words."""
    try:
        return _load(name, code, log=None)
    except BpfFailed:
        # Asked again, with a log this time: the log costs, and is rarely wanted.
        log = ctypes.create_string_buffer(_LOG_SIZE)
        try:
            return _load(name, code, log=log)
        except BpfFailed as refused:
            words = log.value[-_TAIL:].decode("utf-8", "replace").strip()
            raise BpfFailed(f"{refused.happened}\n{words}" if words else refused.happened, to=name) from refused


def _load(name: str, code: bytes, *, log: ctypes.Array[ctypes.c_char] | None) -> int:
    held = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"GPL")  # some of the helpers are only for programs that say so
    asked = struct.pack(
        "<IIQQIIQII16s",
        _SCHED_CLS,
        len(code) // 8,
        ctypes.addressof(held),
        ctypes.addressof(licence),
        1 if log is not None else 0,
        _LOG_SIZE if log is not None else 0,
        _address(log),
        0,
        0,
        name.encode(),
    )
    return _bpf(_PROG_LOAD, asked, f"load the program {name}")


def _address(buffer: object) -> int:
    return 0 if buffer is None else ctypes.addressof(buffer)  # type: ignore[arg-type]


def _bpf(command: int, attributes: bytes, what: str) -> int:
    number = _NUMBERS.get(platform.machine())
    if number is None:
        raise Unimplemented("eBPF programs are made only for " + ", ".join(_NUMBERS), to=platform.machine())
    held = ctypes.create_string_buffer(attributes, len(attributes))
    done: int = _libc.syscall(number, command, ctypes.byref(held), len(attributes))
    if done >= 0:
        return done
    code = ctypes.get_errno()
    if code == errno.ENOENT:
        raise NotFound("no such entry", to=what)
    hint = "run as root, with CAP_BPF and CAP_NET_ADMIN" if code == errno.EPERM else ""
    raise BpfFailed(f"cannot {what}: {os.strerror(code)}", to="bpf(2)", hint=hint)
