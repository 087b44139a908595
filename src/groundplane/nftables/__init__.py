"""Rules as values: what a table should be, how it differs from what is, and one transaction between the two.

`model` has the words: `Table`, `Chain`, `Set`, `VerdictMap`, `Rule`, and a rule's statements; `transaction` has those
for changes. `diff.diff` compares two tables; `render` and `parse` are libnftables' JSON, both ways; `apply.Netfilter`
is the kernel of a network namespace, `memory.MemoryFilter` one in memory, and `apply.Applier` keeps a table up to date
in either; `evaluate.send` takes a packet through a table, and tells which rules it met.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundplane.nftables.apply import Applier, LibraryMissing, Netfilter, PacketFilter, Refused
    from groundplane.nftables.evaluate import Outcome, Packet, send
    from groundplane.nftables.memory import MemoryFilter
    from groundplane.nftables.model import Table
    from groundplane.nftables.transaction import Transaction

_HOMES = {
    "Applier": "apply",
    "LibraryMissing": "apply",
    "MemoryFilter": "memory",
    "Netfilter": "apply",
    "Outcome": "evaluate",
    "Packet": "evaluate",
    "PacketFilter": "apply",
    "Refused": "apply",
    "Table": "model",
    "Transaction": "transaction",
    "send": "evaluate",
}


def __getattr__(name: str) -> object:
    """Import a name's module when it is first asked for: only some commands touch the kernel's rules."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = [
    "Applier",
    "LibraryMissing",
    "MemoryFilter",
    "Netfilter",
    "Outcome",
    "Packet",
    "PacketFilter",
    "Refused",
    "Table",
    "Transaction",
    "send",
]
