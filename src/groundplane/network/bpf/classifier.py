"""Programs on a device's clsact hooks, by netlink: what is attached is read back, and replaced in one step.

The filter's name says all that a restarted agent must know: whose it is, which program (its fingerprint) and which map
that program holds, whose id stays good as long as the filter stands.
"""

import errno
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

_OWNER = "groundplane"
_PRIORITY = 26480  # below (after) anything an operator numbers by hand; also what marks the place as ours
_HANDLE = 1
_CLSACT_PARENT = 0xFFFFFFF1
_NAME = re.compile(rf"{_OWNER}:([0-9a-f]{{16}}):([0-9]+)")


class Side(Enum):
    """Which of the two hooks, as the parent handle that names it."""

    INGRESS = 0xFFFFFFF2
    EGRESS = 0xFFFFFFF3


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A program of ours on a hook: its fingerprint and the id of its map."""

    fingerprint: str
    map_id: int


def observe(ip: IPRoute, index: int, side: Side) -> Attached | None:
    """Our program there, if any."""
    for found in _filters(ip, index, side):
        options = found.get_attr("TCA_OPTIONS")
        name = options.get_attr("TCA_BPF_NAME") if options is not None else None
        if _priority(found) == _PRIORITY and name and (ours := _NAME.fullmatch(name)):
            return Attached(fingerprint=ours[1], map_id=int(ours[2]))
    return None


def attach(ip: IPRoute, index: int, side: Side, *, program: int, protocol: int, state: Attached) -> None:
    """Put `program` there, making the hooks if they are missing; one that stands there is swapped, no packet lost.

    `protocol` is the Ethernet protocol whose packets it sees.
    """
    try:
        ip.tc("add", "clsact", index)
    except NetlinkError as refused:
        if refused.code != errno.EEXIST:
            raise
    ip.tc(
        "replace-filter",
        "bpf",
        index,
        _HANDLE,
        parent=side.value,
        prio=_PRIORITY,
        protocol=protocol,
        fd=program,
        name=f"{_OWNER}:{state.fingerprint}:{state.map_id}",
        direct_action=True,
    )


def detach(ip: IPRoute, index: int, side: Side) -> None:
    """Take ours off, and the hooks too if nobody else uses them; nothing there is fine."""
    for found in _filters(ip, index, side):
        if _priority(found) == _PRIORITY and found["handle"]:
            ip.tc("del-filter", "bpf", index, _HANDLE, parent=side.value, info=found["info"])
    hooks = any(qdisc.get_attr("TCA_KIND") == "clsact" for qdisc in ip.get_qdiscs(index=index))
    if hooks and not any(_filters(ip, index, each) for each in Side):
        ip.tc("del", "clsact", index)


def _filters(ip: IPRoute, index: int, side: Side) -> list[Any]:
    try:
        return list(ip.get_filters(index=index, parent=side.value))
    except NetlinkError as refused:
        if refused.code in (errno.EINVAL, errno.ENOENT):  # no such hooks on the device
            return []
        raise


def _priority(found: Any) -> int:
    return int(found["info"]) >> 16
