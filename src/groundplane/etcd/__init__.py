"""The real etcd, cared for: how a member is started, how a client speaks to it, what is healthy, who belongs.

Words: `model`, `flag_table`. Decisions: `flags` (a member's argument list), `unit` (its systemd unit), `preflight` (its
files), `quorum` and `plan` (who joins and leaves, in what order), `tables` (etcdctl's output). Effects: `client` with
`cluster`, `calls`, `watch` and `channel` under it (gRPC), `translate` between messages and words, `member` (one host's
files and binary), `health` (all members at once), `snapshot` (a backup). Names here are loaded when first used:
rendering a unit does not load gRPC.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundplane.etcd.client import Client
    from groundplane.etcd.flags import MemberSpec, check_extra_flags, for_version, render_flags
    from groundplane.etcd.model import (
        Compacted,
        Compare,
        Event,
        EventBatch,
        Health,
        KeyValue,
        Member,
        MemberList,
        MemberStatus,
        Op,
        Snapshot,
        TLSFiles,
        TxnResult,
    )
    from groundplane.etcd.unit import render_unit

_HOMES = {
    "client": ("Client",),
    "flags": ("MemberSpec", "check_extra_flags", "for_version", "render_flags"),
    "model": (
        *("Compacted", "Compare", "Event", "EventBatch", "Health", "KeyValue", "Member", "MemberList"),
        *("MemberStatus", "Op", "Snapshot", "TLSFiles", "TxnResult"),
    ),
    "unit": ("render_unit",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Client",
    "Compacted",
    "Compare",
    "Event",
    "EventBatch",
    "Health",
    "KeyValue",
    "Member",
    "MemberList",
    "MemberSpec",
    "MemberStatus",
    "Op",
    "Snapshot",
    "TLSFiles",
    "TxnResult",
    "check_extra_flags",
    "for_version",
    "render_flags",
    "render_unit",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
