"""The kernel's nftables, through libnftables (ctypes): transactions in, listings out.

A `Netfilter` belongs to the network namespace of the thread that made it, whichever thread uses it later: its netlink
socket is opened there. Calls block for the kernel's answer, milliseconds, with the interpreter's lock released.
"""

import ctypes
import threading
from functools import cache
from typing import Protocol

from groundplane.errors import Failed, NotFound
from groundplane.nftables import parse, render
from groundplane.nftables.diff import diff
from groundplane.nftables.model import Table
from groundplane.nftables.transaction import Transaction

_JSON = 1 << 4  # NFT_CTX_OUTPUT_*, of <nftables/libnftables.h>
_STATELESS, _NUMERIC_PROTO, _NUMERIC_PRIO, _NUMERIC_SYMBOL = 1 << 2, 1 << 7, 1 << 8, 1 << 9


class LibraryMissing(NotFound):
    """libnftables is not installed on this host."""


class Refused(Failed):
    """nft, or the kernel, refused; nothing of the transaction was done. The message holds their words."""


class PacketFilter(Protocol):
    """What an `Applier` needs of a kernel; `memory.MemoryFilter` is the one without."""

    def read(self, family: str, name: str) -> Table | None:
        """The table as it is now, or None where there is none."""
        ...

    def run(self, transaction: Transaction) -> None:
        """All of it, or (raising Refused) nothing."""
        ...


class Netfilter:
    """The packet filter of one network namespace. Threads may share it; their calls take turns."""

    def __init__(self) -> None:
        """In the calling thread's network namespace. Raises LibraryMissing."""
        self._library = _library()
        self._turn = threading.Lock()
        self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)
        flags = _JSON | _STATELESS | _NUMERIC_PROTO | _NUMERIC_PRIO | _NUMERIC_SYMBOL
        self._library.nft_ctx_output_set_flags(self._context, flags)

    def close(self) -> None:
        """Let the netlink socket go; the tables stay."""
        with self._turn:
            if self._context:
                self._library.nft_ctx_free(self._context)
                self._context = ctypes.c_void_p()

    def read(self, family: str, name: str) -> Table | None:
        """The table as the kernel has it now, or None where there is none."""
        # Asked first, since nft's "no such file" may be about anything inside the table, too.
        if name not in parse.parse_tables(self._run(render.render_list_tables(family), to=family)):
            return None
        return parse.parse(self._run(render.render_list(family, name), to=f"{family} {name}"))

    def run(self, transaction: Transaction) -> None:
        """All of it, or (raising Refused) nothing."""
        if transaction:
            self._run(render.render(transaction), to=f"{transaction.family} {transaction.table}")

    def _run(self, commands: bytes, *, to: str) -> bytes:
        with self._turn:
            if not self._context:
                raise Refused("this packet filter was closed", to=f"nftables {to}")
            refused = self._library.nft_run_cmd_from_buffer(self._context, commands)
            output: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
            words: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if refused:
            raise Refused(_plain(words.decode(errors="replace")), to=f"nftables {to}", hint=_hint(words))
        return output


class Applier:
    """Keeps one table as it is wanted, at the price of what changed: it remembers what it applied last.

    Listing a large table costs more than changing it, so only `resync` does: call it at the start, and now and then,
    since another program may have been there. After a refusal the next `apply` looks again by itself.
    """

    def __init__(self, filters: PacketFilter, *, name: str, family: str = "inet") -> None:
        self._filters, self._name, self._family = filters, name, family
        self._known: Table | None = None
        self._looked = False

    @property
    def table(self) -> Table | None:
        """What the kernel holds, as far as is known."""
        return self._known

    def resync(self) -> Table | None:
        """Look at the kernel; what it holds is where the next `apply` starts from."""
        self._known = self._filters.read(self._family, self._name)
        self._looked = True
        return self._known

    def apply(self, want: Table | None) -> Transaction:
        """Make the kernel's table `want` (None: gone), in one transaction; answers what it took, false if nothing.

        Raises Refused, with the kernel as it was.
        """
        if not self._looked:
            self.resync()
        changes = diff(self._known, want)
        if not changes:
            return changes
        self._looked = False  # until this has come to an end
        self._filters.run(changes)
        self._known, self._looked = want, True
        return changes


def _plain(words: str) -> str:
    """What nft said, without its place in a buffer that nobody sees."""
    lines = [line.partition("Error: ")[2] or line for line in words.splitlines() if line.strip()]
    return "; ".join(lines[:3]) or "nft refused without a word"


def _hint(words: bytes) -> str:
    if b"not permitted" in words:
        return "needs root, or CAP_NET_ADMIN in this network namespace"
    if b"not supported" in words:
        return "this kernel lacks a part of nf_tables"
    return ""


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError as missing:
        raise LibraryMissing(
            "the library is not on this host", to="libnftables.so.1", hint="apt install libnftables1"
        ) from missing
    context = ctypes.c_void_p
    library.nft_ctx_new.argtypes, library.nft_ctx_new.restype = [ctypes.c_uint32], context
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [context]
    library.nft_ctx_free.argtypes, library.nft_ctx_free.restype = [context], None
    library.nft_ctx_output_set_flags.argtypes = [context, ctypes.c_uint]
    library.nft_ctx_output_set_flags.restype = None
    library.nft_run_cmd_from_buffer.argtypes = [context, ctypes.c_char_p]
    library.nft_run_cmd_from_buffer.restype = ctypes.c_int
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes, getattr(library, name).restype = [context], ctypes.c_char_p
    return library
