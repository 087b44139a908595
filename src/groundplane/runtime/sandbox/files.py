"""What all containers of a pod are shown: host name, hosts, resolv.conf and /dev/shm."""

import shutil
from pathlib import Path

from groundplane.errors import Failed
from groundplane.runtime.model import DNS, NamespaceMode, Sandbox, SandboxSpec
from groundplane.runtime.mounts import Shared
from groundplane.system import files, mount

_SHM_SIZE = "65536k"  # what every runtime gives, and databases are configured for
_HOST_RESOLV_CONF = Path("/etc/resolv.conf")
_HOST_HOSTS = Path("/etc/hosts")


def resolv_conf(dns: DNS, *, host: str) -> str:
    """The file's text; the host's own where nothing was asked for. Pure."""
    lines = [f"nameserver {one}" for one in dns.servers]
    if dns.searches:
        lines.append("search " + " ".join(dns.searches))
    if dns.options:
        lines.append("options " + " ".join(dns.options))
    return "".join(f"{line}\n" for line in lines) if lines else host


def hostname(spec: SandboxSpec) -> str:
    """The pod's host name: as given, else its own name, cut to what the kernel takes. Pure."""
    return (spec.hostname or spec.metadata.name)[:64]


def shared(spec: SandboxSpec, at: Path) -> Shared:
    """Where the files are. A pod on the host's network has the host's names. Pure."""
    own = spec.own_network
    return Shared(
        hosts=str(at / "hosts") if own else str(_HOST_HOSTS),
        hostname=str(at / "hostname") if own else "",
        resolv_conf=str(at / "resolv.conf"),
        shm="/dev/shm" if spec.namespaces.ipc is NamespaceMode.NODE else str(at / "shm"),  # noqa: S108 - the host's own
    )


def write(spec: SandboxSpec, at: Path) -> None:
    """Make them all; again is fine."""
    files.ensure_directory(at)
    name = hostname(spec)
    found = files.read_optional(_HOST_RESOLV_CONF) or b""
    text = resolv_conf(spec.dns, host=found.decode("utf-8", "replace"))
    files.replace(at / "resolv.conf", text.encode(), durable=False)
    if spec.own_network:
        files.replace(at / "hostname", f"{name}\n".encode(), durable=False)
        hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        files.replace(at / "hosts", hosts.encode(), durable=False)
    if spec.namespaces.ipc is not NamespaceMode.NODE:
        shm = at / "shm"
        files.ensure_directory(shm)
        if not shm.is_mount():
            flags = mount.MS_NOSUID | mount.MS_NODEV | mount.MS_NOEXEC
            mount.mount("shm", shm, "tmpfs", flags, f"mode=1777,size={_SHM_SIZE}")


def remove(at: Path) -> None:
    """Take them away, whatever a crash has left among them; already gone is fine."""
    shm = at / "shm"
    mount.unmount(shm)
    if shm.is_mount():
        raise Failed("is mounted more than once", to=shm, hint="unmount it, then remove the pod again")
    if at.exists():
        shutil.rmtree(at)


def wants_infra(sandbox: Sandbox) -> bool:
    """Whether the pod itself asked for a shared PID namespace. Pure."""
    return sandbox.spec.namespaces.pid is NamespaceMode.POD
