"""The words of the runtime: what a client asked for (`…Spec`), and what became of it (`Sandbox`, `Container`).

Everything is frozen; "changed" means `dataclasses.replace`. Times are nanoseconds since the epoch, as CRI has them, and
0 means "not yet". The same values are what the store keeps, so a field may be added (with a default) but never renamed.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import NewType

SandboxID = NewType("SandboxID", str)
ContainerID = NewType("ContainerID", str)

UNKNOWN_EXIT = 255  # what CRI reports for a container whose exit nobody saw
START_ERROR_EXIT = 128
KILLED_EXIT = 137  # 128 + SIGKILL


class NamespaceMode(Enum):
    """Whose namespace a container lives in; the numbers are CRI's."""

    POD = 0
    CONTAINER = 1
    NODE = 2
    TARGET = 3


class SandboxState(Enum):
    """STARTING is ours: recorded before the first effect, never shown to a client."""

    STARTING = "starting"
    READY = "ready"
    NOTREADY = "notready"


class ContainerState(Enum):
    """CREATING is ours: recorded before the first effect, never shown to a client."""

    CREATING = "creating"
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    UNKNOWN = "unknown"


class ProfileKind(Enum):
    """Which security profile; the numbers are CRI's."""

    RUNTIME_DEFAULT = 0
    UNCONFINED = 1
    LOCALHOST = 2


class Propagation(Enum):
    """Mount propagation; the numbers are CRI's, the option names the runtime specification's."""

    PRIVATE = 0
    HOST_TO_CONTAINER = 1
    BIDIRECTIONAL = 2

    @property
    def option(self) -> str:
        """The mount option."""
        return ("rprivate", "rslave", "rshared")[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """A pod's name, unique together; `attempt` counts sandboxes made for one pod."""

    name: str
    namespace: str
    uid: str
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespaces:
    """The default is what an absent message means in CRI: everything shared in the pod."""

    network: NamespaceMode = NamespaceMode.POD
    pid: NamespaceMode = NamespaceMode.POD
    ipc: NamespaceMode = NamespaceMode.POD
    target_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A seccomp or AppArmor profile; `ref` is a path or a name, for LOCALHOST only."""

    kind: ProfileKind
    ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """CRI's LinuxContainerResources; 0 and "" mean "not given"."""

    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_shares: int = 0
    memory_limit_bytes: int = 0
    memory_swap_limit_bytes: int = 0
    oom_score_adj: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    hugepage_limits: dict[str, int] = field(default_factory=dict)
    unified: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port mapping that CNI may carry out."""

    protocol: str
    container_port: int
    host_port: int
    host_ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DNS:
    """resolv.conf, as asked for; all empty means the host's own."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """What RunPodSandbox was given."""

    metadata: Metadata
    hostname: str = ""
    log_directory: str = ""
    dns: DNS = field(default_factory=DNS)
    ports: tuple[Port, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    cgroup_parent: str = ""
    namespaces: Namespaces = field(default_factory=Namespaces)
    privileged: bool = False
    sysctls: dict[str, str] = field(default_factory=dict)
    handler: str = ""

    @property
    def name(self) -> str:
        """Reserved from the start of RunPodSandbox to the end of RemovePodSandbox."""
        meta = self.metadata
        return f"{meta.name}_{meta.namespace}_{meta.uid}_{meta.attempt}"

    @property
    def own_network(self) -> bool:
        """Whether the pod has a network namespace, and so CNI, a host name and sysctls of its own."""
        return self.namespaces.network is NamespaceMode.POD


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process by a name that no later one can have; pid 0 means none."""

    pid: int = 0
    start: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A pod's environment. `attached` is True from before CNI ADD until DEL succeeded: the network owes us a DEL."""

    id: SandboxID
    spec: SandboxSpec
    state: SandboxState
    created_ns: int
    attached: bool = False
    ips: tuple[str, ...] = ()
    cni_result: str = ""
    infra: Process = field(default_factory=Process)
    steps_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One CRI mount."""

    container_path: str
    host_path: str
    readonly: bool = False
    recursive_read_only: bool = False
    selinux_relabel: bool = False
    propagation: Propagation = Propagation.PRIVATE
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One CRI device; `permissions` is a subset of "rwm"."""

    container_path: str
    host_path: str
    permissions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SELinux:
    """A label; all empty means none asked for."""

    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """A container's security context. A `Profile` of None means that nothing was asked for."""

    privileged: bool = False
    capabilities_add: tuple[str, ...] = ()
    capabilities_drop: tuple[str, ...] = ()
    capabilities_ambient: tuple[str, ...] = ()
    namespaces: Namespaces = field(default_factory=Namespaces)
    selinux: SELinux = field(default_factory=SELinux)
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_username: str = ""
    readonly_rootfs: bool = False
    supplemental_groups: tuple[int, ...] = ()
    strict_groups: bool = False
    no_new_privs: bool = False
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    seccomp: Profile | None = None
    apparmor: Profile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """How the client named the image; echoed byte for byte."""

    image: str
    annotations: dict[str, str] = field(default_factory=dict)
    user_specified: str = ""
    handler: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """What CreateContainer was given."""

    name: str
    attempt: int
    image: ImageRequest
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    envs: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    log_path: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    resources: Resources = field(default_factory=Resources)
    security: Security = field(default_factory=Security)
    stop_signal: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the container's process is, resolved."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container. `terminated_ns` is when the stop signal was sent: never sent twice, even over a restart."""

    id: ContainerID
    sandbox_id: SandboxID
    spec: ContainerSpec
    state: ContainerState
    created_ns: int
    image_id: str
    image_ref: str
    cgroup: str
    log_path: str = ""
    started_ns: int = 0
    finished_ns: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    init: Process = field(default_factory=Process)
    shim: Process = field(default_factory=Process)
    identity: Identity = field(default_factory=Identity)
    stop_signal: int = 15
    terminated_ns: int = 0


def container_name(spec: ContainerSpec, pod: Metadata) -> str:
    """Reserved from the start of CreateContainer to the end of RemoveContainer."""
    return f"{spec.name}_{pod.name}_{pod.namespace}_{pod.uid}_{spec.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """What an image says about the process to run."""

    user: str = ""
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    working_dir: str = ""
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in the store; `id` is the digest of its config."""

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size_bytes: int
    config: ImageConfig

    @property
    def ref(self) -> str:
        """What kubelet is told the image is: the id, the same over registries and tags."""
        return self.id
