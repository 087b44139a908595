"""A pod's own namespaces, kept alive as bind mounts: no pause process (CRI reference §4).

One short-lived thread unshares them, sets the host name and the sysctls inside, brings `lo` up, and pins what it made.
The pins live under `<state>/ns/<kind>/<sandbox>` on a mount with private propagation; a reboot leaves empty files.
"""

import fcntl
import os
import socket
import struct
import threading
from collections.abc import Mapping
from pathlib import Path

from groundplane.errors import Failed, Invalid
from groundplane.runtime.model import NamespaceMode, SandboxID, SandboxSpec
from groundplane.system import files, mount, netns

_FLAGS = {"net": netns.CLONE_NEWNET, "ipc": netns.CLONE_NEWIPC, "uts": netns.CLONE_NEWUTS}
_OCI_NAMES = {"net": "network", "ipc": "ipc", "uts": "uts"}
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")
HOSTNAME_LIMIT = 64
# What containerd sets as well, and pods have come to rely on: any user may listen below 1024 and ping.
DEFAULT_SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}


class SysctlRefused(Failed):
    """The kernel did not take a value."""


def wanted(spec: SandboxSpec) -> tuple[str, ...]:
    """Which namespaces a pod has of its own. Pure."""
    kinds = []
    if spec.own_network:
        kinds += ["net", "uts"]
    if spec.namespaces.ipc is NamespaceMode.POD:
        kinds.append("ipc")
    return tuple(kinds)


def check_sysctls(spec: SandboxSpec) -> dict[str, str]:
    """The sysctls to write, with dots; raises Invalid for one that would reach the host. Pure."""
    found = dict(DEFAULT_SYSCTLS) if spec.own_network else {}
    for key, value in spec.sysctls.items():
        name = key.replace("/", ".")
        if name.startswith("net."):
            allowed = spec.own_network
        elif name.startswith(_IPC_SYSCTLS):
            allowed = spec.namespaces.ipc is NamespaceMode.POD
        else:
            raise Invalid("is not a namespaced sysctl", to=f"sysctl {key}", hint="use net.*, kernel.shm*, kernel.msg*…")
        if not allowed:
            raise Invalid("the pod shares that namespace with the host", to=f"sysctl {key}", hint="leave it out")
        if ".." in name or not name.replace(".", "").replace("_", "").replace("-", "").isalnum():
            raise Invalid("is not a sysctl's name", to=f"sysctl {key}")
        found[name] = value
    return found


class Pins:
    """The directory of pins."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def prepare(self) -> None:
        """Make the directory a private mount, once: otherwise an unmount here is copied, or held back, elsewhere."""
        files.ensure_directory(self._root, mode=files.PRIVATE_DIR)
        if not any(target == self._root for _, target, _ in mount.mounts()):
            mount.mount(self._root, self._root, flags=mount.MS_BIND)
        mount.make_private(self._root)
        for kind in _FLAGS:
            files.ensure_directory(self._root / kind, mode=files.PRIVATE_DIR)

    def path(self, kind: str, sandbox: SandboxID) -> Path:
        """Where `kind` is pinned, or would be."""
        return self._root / kind / sandbox

    def joined(self, spec: SandboxSpec, sandbox: SandboxID) -> dict[str, str]:
        """The runtime specification's names of the pod's own namespaces, and their pins."""
        return {_OCI_NAMES[kind]: str(self.path(kind, sandbox)) for kind in wanted(spec)}

    def intact(self, spec: SandboxSpec, sandbox: SandboxID) -> bool:
        """Whether every pin is live."""
        return all(netns.pinned(self.path(kind, sandbox)) for kind in wanted(spec))

    def create(self, spec: SandboxSpec, sandbox: SandboxID, *, hostname: str, sysctls: Mapping[str, str]) -> None:
        """Make and pin the pod's namespaces; all or nothing; blocks about 1 ms."""
        kinds = wanted(spec)
        if not kinds:
            return
        errors: list[BaseException] = []

        def inside() -> None:
            try:
                flags = 0
                for kind in kinds:
                    flags |= _FLAGS[kind]
                netns.unshare(flags)
                if "uts" in kinds:
                    socket.sethostname(hostname)
                if "net" in kinds:
                    _loopback_up()
                for key, value in sysctls.items():
                    _write_sysctl(key, value, optional=key in DEFAULT_SYSCTLS and key not in spec.sysctls)
                thread = threading.get_native_id()
                for kind in kinds:
                    netns.pin(Path(f"/proc/self/task/{thread}/ns/{kind}"), self.path(kind, sandbox))
            except BaseException as failed:  # noqa: BLE001 - carried to the caller's thread
                errors.append(failed)

        thread = threading.Thread(target=inside, name=f"pins:{sandbox[:13]}")
        thread.start()
        thread.join()
        if errors:
            self.remove(sandbox)
            raise errors[0]

    def remove(self, sandbox: SandboxID) -> None:
        """Let go of all of them; already gone is fine."""
        for kind in _FLAGS:
            netns.unpin(self.path(kind, sandbox))

    def known(self) -> set[SandboxID]:
        """Every sandbox with a pin, live or not."""
        return {SandboxID(name) for kind in _FLAGS for name in os.listdir(self._root / kind)}  # noqa: PTH208 - names, not paths


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack_from("H", fcntl.ioctl(control, _SIOCGIFFLAGS, request), 16)[0]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def _write_sysctl(key: str, value: str, *, optional: bool) -> None:
    path = Path("/proc/sys") / key.replace(".", "/")
    try:
        path.write_text(value)
    except OSError as refused:
        if optional and isinstance(refused, FileNotFoundError):
            return  # a default of ours that this kernel does not have
        raise SysctlRefused(f"cannot set it to {value!r}: {refused.strerror}", to=f"sysctl {key}") from refused
