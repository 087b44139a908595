"""A container's runtime-spec `config.json` from what CRI asked for and what its image says (CRI reference §6, §7, §8).

Pure: the host's facts, the resolved identity and every path are handed in. Nothing here looks at the machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from groundplane.errors import Invalid, Unimplemented
from groundplane.runtime import capability, mounts, resources, seccomp
from groundplane.runtime.model import (
    Container,
    ContainerSpec,
    ImageConfig,
    NamespaceMode,
    Profile,
    ProfileKind,
    Sandbox,
)

OCI_VERSION = "1.0.2"
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INFRA_OOM_SCORE = -998


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What this machine offers, found once at start."""

    machine: str = "x86_64"
    cgroup_v2: bool = False
    swap: bool = True
    mqueue: bool = True  # whether /dev/mqueue is there, for those who share the host's
    seccomp: bool = True
    apparmor: bool = False
    selinux: bool = False
    capabilities: frozenset[str] = frozenset(capability.KNOWN)
    oom_score_floor: int = -1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where this container's things are on the host. A namespace path of "" means the host's own."""

    rootfs: str
    shared: mounts.Shared
    net: str = ""
    ipc: str = ""
    uts: str = ""
    pid: str = ""  # joined; see also `own_pid`
    own_pid: bool = True
    seccomp_text: str = ""  # of a Localhost profile
    devices: tuple[dict[str, Any], ...] = field(default=())  # found under the CRI devices, or all for privileged


def argv(spec: ContainerSpec, image: ImageConfig) -> list[str]:
    """Kubernetes' rule: `command` replaces Entrypoint and Cmd, `args` alone replaces Cmd. Raises Invalid if empty."""
    if spec.command:
        found = [*spec.command, *spec.args]
    elif spec.args:
        found = [*image.entrypoint, *spec.args]
    else:
        found = [*image.entrypoint, *image.cmd]
    if not found:
        raise Invalid(
            "no command specified", to=f"container {spec.name}", hint="give a command: the image has none of its own"
        )
    return found


def environment(spec: ContainerSpec, image: ImageConfig, *, hostname: str) -> list[str]:
    """Defaults, then the image's, then the client's: a later value replaces an earlier one in place."""
    found: dict[str, str] = {"PATH": DEFAULT_PATH.partition("=")[2]}
    if hostname:
        found["HOSTNAME"] = hostname
    if spec.tty:
        found["TERM"] = "xterm"
    for entry in image.env:
        key, _, value = entry.partition("=")
        found[key] = value
    found.update(spec.envs)
    return [f"{key}={value}" for key, value in found.items()]


def namespaces(spec: ContainerSpec, places: Places, host: Host) -> list[dict[str, str]]:
    """`linux.namespaces`: joined by path where the pod pinned one, new where only `type` is given."""
    found = [{"type": "mount"}]
    for kind, path in (("network", places.net), ("ipc", places.ipc), ("uts", places.uts)):
        if path:
            found.append({"type": kind, "path": path})
    if places.pid:
        found.append({"type": "pid", "path": places.pid})
    elif places.own_pid:
        found.append({"type": "pid"})
    if host.cgroup_v2 and not spec.security.privileged:
        found.append({"type": "cgroup"})
    return found


def seccomp_of(
    profile: Profile | None, *, privileged: bool, capabilities: frozenset[str], text: str, host: Host
) -> dict[str, Any] | None:
    """`linux.seccomp`, or None for unconfined."""
    if privileged or profile is None or profile.kind is ProfileKind.UNCONFINED:
        return None
    if not host.seccomp:
        raise Invalid("this kernel has no seccomp", to="seccomp profile", hint="ask for Unconfined")
    if profile.kind is ProfileKind.LOCALHOST:
        return seccomp.parse_profile(text, at=profile.ref, machine=host.machine)
    return seccomp.default_profile(capabilities, machine=host.machine)


def apparmor_of(profile: Profile | None, *, privileged: bool, host: Host) -> str:
    """`process.apparmorProfile`; "" for none."""
    if profile is None or profile.kind is ProfileKind.UNCONFINED:
        return ""
    if not host.apparmor:
        raise Invalid("AppArmor is not enabled on this host", to="AppArmor profile", hint="ask for Unconfined")
    if profile.kind is ProfileKind.LOCALHOST:
        return profile.ref
    if privileged:
        return ""
    raise Unimplemented(
        "there is no default AppArmor profile", to="AppArmor profile", hint="load one and name it as Localhost"
    )


def _annotations(container: Container, sandbox: Sandbox) -> dict[str, str]:
    """Ours, and both families that VM runtimes read."""
    meta = sandbox.spec.metadata
    return {
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.sandbox-id": sandbox.id,
        "io.kubernetes.cri.sandbox-name": meta.name,
        "io.kubernetes.cri.sandbox-namespace": meta.namespace,
        "io.kubernetes.cri.sandbox-uid": meta.uid,
        "io.kubernetes.cri.container-name": container.spec.name,
        "io.kubernetes.cri.image-name": container.spec.image.image,
        "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.cri-o.SandboxID": sandbox.id,
        "io.kubernetes.cri-o.ContainerID": container.id,
    }


def container(
    container: Container, sandbox: Sandbox, image: ImageConfig, *, places: Places, host: Host, hostname: str
) -> dict[str, Any]:
    """The whole config.json. Raises Invalid or Unimplemented, naming what cannot be given."""
    spec, security = container.spec, container.spec.security
    privileged = security.privileged
    if privileged and not sandbox.spec.privileged:
        raise Invalid("a privileged container needs a privileged pod sandbox", to=f"container {spec.name}")
    caps = (
        capability.every(host.capabilities)
        if privileged
        else capability.effective(
            add=security.capabilities_add,
            drop=security.capabilities_drop,
            ambient=security.capabilities_ambient,
            bound=host.capabilities,
        )
    )
    profile = seccomp_of(
        security.seccomp,
        privileged=privileged,
        capabilities=frozenset(caps.permitted),
        text=places.seccomp_text,
        host=host,
    )
    limits = resources.render(spec.resources, cgroup_v2=host.cgroup_v2, swap=host.swap)
    limits["devices"] = resources.device_rules(list(places.devices), privileged=privileged)
    linux: dict[str, Any] = {
        "namespaces": namespaces(spec, places, host),
        "cgroupsPath": container.cgroup,
        "resources": limits,
        "devices": [{key: value for key, value in one.items() if key != "access"} for one in places.devices],
        # Given even when empty: a runtime must not mix in masks of its own.
        "maskedPaths": [] if privileged else list(security.masked_paths),
        "readonlyPaths": [] if privileged else list(security.readonly_paths),
    }
    if profile is not None:
        linux["seccomp"] = profile
    if propagation := mounts.rootfs_propagation(spec.mounts):
        linux["rootfsPropagation"] = propagation
    process = _process(container, image, caps, host=host, hostname=hostname)
    if label := apparmor_of(security.apparmor, privileged=privileged, host=host):
        process["apparmorProfile"] = label
    if host.selinux and security.selinux.type and not privileged:
        se = security.selinux
        process["selinuxLabel"] = f"{se.user}:{se.role}:{se.type}:{se.level}"
    return {
        "ociVersion": OCI_VERSION,
        "process": process,
        "root": {"path": places.rootfs, "readonly": security.readonly_rootfs},
        "mounts": mounts.plan(
            spec.mounts,
            shared=places.shared,
            privileged=privileged,
            readonly_rootfs=security.readonly_rootfs,
            ipc=NamespaceMode.NODE if not places.ipc else NamespaceMode.POD,
            cgroup_v2=host.cgroup_v2,
            host_mqueue=host.mqueue,
        ),
        "annotations": _annotations(container, sandbox),
        "linux": linux,
    }


def _process(
    container: Container, image: ImageConfig, caps: capability.Capabilities, *, host: Host, hostname: str
) -> dict[str, Any]:
    spec, identity = container.spec, container.identity
    allowed = list(caps.permitted)
    # The kernel gives a process that is not root no capability but its ambient ones once it execs.
    return {
        "terminal": spec.tty,
        "user": {"uid": identity.uid, "gid": identity.gid, "additionalGids": list(identity.groups)},
        "args": argv(spec, image),
        "env": environment(spec, image, hostname=hostname),
        "cwd": spec.working_dir or image.working_dir or "/",
        "capabilities": {
            "bounding": allowed,
            "effective": allowed,
            "permitted": allowed,
            "inheritable": list(caps.ambient),
            "ambient": list(caps.ambient),
        },
        "noNewPrivileges": spec.security.no_new_privs,
        "oomScoreAdj": max(spec.resources.oom_score_adj, host.oom_score_floor),
    }


def infra(sandbox: Sandbox, *, rootfs: str, cgroup: str, pins: Mapping[str, str], host: Host) -> dict[str, Any]:
    """The process that holds a pod's shared PID namespace: no right, no file but itself, no memory to speak of."""
    joined = [{"type": kind, "path": path} for kind, path in pins.items()]
    return {
        "ociVersion": OCI_VERSION,
        "process": {
            "terminal": False,
            "user": {"uid": 65535, "gid": 65535},
            "args": ["/pause"],
            "env": [],
            "cwd": "/",
            "capabilities": {name: [] for name in ("bounding", "effective", "permitted", "inheritable", "ambient")},
            "noNewPrivileges": True,
            "oomScoreAdj": max(_INFRA_OOM_SCORE, host.oom_score_floor),
        },
        "root": {"path": rootfs, "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]}
        ],
        "annotations": {
            "io.kubernetes.cri.container-type": "sandbox",
            "io.kubernetes.cri.sandbox-id": sandbox.id,
            "io.kubernetes.cri-o.ContainerType": "sandbox",
            "io.kubernetes.cri-o.SandboxID": sandbox.id,
        },
        "linux": {
            "namespaces": [{"type": "mount"}, {"type": "pid"}, *joined],
            "cgroupsPath": cgroup,
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        },
    }
