"""Capabilities: CRI's add and drop lists over a default set (CRI reference §7), purely."""

from collections.abc import Iterable
from dataclasses import dataclass

from groundplane.errors import Invalid

# In the kernel's order (linux/capability.h), so that a name's place is its number.
KNOWN = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
)
DEFAULT = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "NET_RAW",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Names with their CAP_ prefix, in the kernel's order; inheritable equals ambient."""

    permitted: tuple[str, ...]
    ambient: tuple[str, ...] = ()


def _parse(names: Iterable[str]) -> tuple[bool, set[str]]:
    parsed = {name.upper().removeprefix("CAP_") for name in names}
    every = "ALL" in parsed
    parsed.discard("ALL")
    if unknown := sorted(parsed - set(KNOWN)):
        raise Invalid(f"{unknown[0]!r} is not a capability", to="capabilities", hint="use a name of capabilities(7)")
    return every, parsed


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    chosen = set(names)
    return tuple(f"CAP_{name}" for name in KNOWN if name in chosen)


def effective(
    *,
    add: Iterable[str] = (),
    drop: Iterable[str] = (),
    ambient: Iterable[str] = (),
    bound: frozenset[str] = frozenset(KNOWN),
) -> Capabilities:
    """ALL first, then single adds, then single drops: a single drop wins over ALL added, a single add over ALL dropped.

    `bound` is what this daemon itself may hand on; ALL means that. Raises Invalid for an unknown name.
    """
    add_all, adds = _parse(add)
    drop_all, drops = _parse(drop)
    _, ambients = _parse(ambient)
    chosen = set(bound) if add_all else set(DEFAULT & bound)
    if drop_all:
        chosen = set()
    chosen |= adds | ambients
    chosen -= drops
    return Capabilities(permitted=_ordered(chosen), ambient=_ordered(ambients - drops))


def every(bound: frozenset[str] = frozenset(KNOWN)) -> Capabilities:
    """What a privileged container gets."""
    return Capabilities(permitted=_ordered(bound))


def parse_mask(mask: int) -> frozenset[str]:
    """The names of a bit mask as in /proc/self/status; bits newer than this table are left out."""
    return frozenset(name for number, name in enumerate(KNOWN) if mask >> number & 1)
