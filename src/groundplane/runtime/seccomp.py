"""Seccomp profiles: ours, and a client's file. Pure but for nothing: a file's text is handed in.

The default profile lets through what programs use and refuses (EPERM) what reaches past a container: loading code into
the kernel, its clock, its swap, its mounts and namespaces, raw I/O, other processes' memory placement, and the younger
interfaces with a record of escapes. A capability that exists to allow such a call opens it again: the profile never
takes away what was granted on purpose. `clone3` answers ENOSYS, because its flags are behind a pointer which a filter
cannot follow; every libc then falls back to `clone`, whose flags it can see.
"""

import json
from typing import Any

from groundplane.errors import Invalid, Unimplemented

_EPERM, _ENOSYS = 1, 38
_AF_VSOCK = 40
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_CLONE_NEW = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)

ARCHITECTURES = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
}

# (system calls, capabilities of which any one opens them; none: nothing does)
DENIED: tuple[tuple[str, frozenset[str]], ...] = (
    ("kexec_load kexec_file_load reboot", frozenset({"CAP_SYS_BOOT"})),
    (
        "init_module finit_module delete_module create_module query_module get_kernel_syms",
        frozenset({"CAP_SYS_MODULE"}),
    ),
    ("iopl ioperm", frozenset({"CAP_SYS_RAWIO"})),
    ("settimeofday stime clock_settime clock_settime64", frozenset({"CAP_SYS_TIME"})),
    ("acct", frozenset({"CAP_SYS_PACCT"})),
    ("syslog", frozenset({"CAP_SYSLOG", "CAP_SYS_ADMIN"})),
    ("vhangup", frozenset({"CAP_SYS_TTY_CONFIG"})),
    ("chroot", frozenset({"CAP_SYS_CHROOT"})),
    ("kcmp pidfd_getfd process_madvise", frozenset({"CAP_SYS_PTRACE"})),
    ("mbind set_mempolicy set_mempolicy_home_node migrate_pages move_pages", frozenset({"CAP_SYS_NICE"})),
    ("open_by_handle_at", frozenset({"CAP_DAC_READ_SEARCH"})),
    ("bpf", frozenset({"CAP_BPF", "CAP_SYS_ADMIN"})),
    ("perf_event_open", frozenset({"CAP_PERFMON", "CAP_SYS_ADMIN"})),
    (
        (
            "mount umount umount2 pivot_root move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr setns "
            "unshare sethostname setdomainname swapon swapoff quotactl quotactl_fd lookup_dcookie fanotify_init"
        ),
        frozenset({"CAP_SYS_ADMIN"}),
    ),
    (
        (
            "add_key request_key keyctl userfaultfd io_uring_setup io_uring_enter io_uring_register nfsservctl uselib "
            "ustat sysfs _sysctl vm86 vm86old"
        ),
        frozenset(),
    ),
)


def _deny(names: list[str], errno: int = _EPERM, args: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno}
    if args:
        rule["args"] = args
    return rule


def default_profile(capabilities: frozenset[str], *, machine: str) -> dict[str, Any]:
    """The runtime specification's `linux.seccomp` for RuntimeDefault. `capabilities` are the container's, with CAP_.

    Raises Unimplemented for a machine whose system call table it does not know.
    """
    if machine not in ARCHITECTURES:
        raise Unimplemented(
            f"there is no default seccomp profile for {machine}", to="seccomp", hint="use a Localhost profile"
        )
    rules = [_deny(names.split()) for names, openers in DENIED if not openers & capabilities]
    if "CAP_SYS_ADMIN" not in capabilities:
        rules += [
            _deny(["clone"], args=[{"index": 0, "value": flag, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ"}])
            for flag in _CLONE_NEW
        ]
        rules.append(_deny(["clone3"], _ENOSYS))
    rules.append(_deny(["socket"], args=[{"index": 0, "value": _AF_VSOCK, "op": "SCMP_CMP_EQ"}]))
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": list(ARCHITECTURES[machine]),
        "syscalls": rules,
    }


def parse_profile(text: str, *, at: str, machine: str) -> dict[str, Any]:
    """A Localhost profile: the runtime specification's form, or the older one with `archMap`. Raises Invalid."""
    try:
        found = json.loads(text)
    except ValueError as bad:
        raise Invalid(f"is not JSON: {bad}", to=f"seccomp profile {at}") from bad
    if not isinstance(found, dict) or not isinstance(found.get("defaultAction"), str):
        raise Invalid("has no defaultAction", to=f"seccomp profile {at}", hint="write it as the OCI runtime spec says")
    if "archMap" in found:
        raise Invalid(
            "has archMap, which is not the OCI runtime specification's",
            to=f"seccomp profile {at}",
            hint='write "architectures": ["SCMP_ARCH_…"] instead',
        )
    found.setdefault("architectures", list(ARCHITECTURES.get(machine, ())))
    return found
