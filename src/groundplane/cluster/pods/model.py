"""Pods as they are wanted and as a container runtime shows them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum

import msgspec

OWNER_LABEL = "groundplane.dev/keeper"
HASH_ANNOTATION = "groundplane.dev/pod-hash"
CONTAINER = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPod:
    """One pod of one container."""

    name: str
    namespace: str
    uid: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def digest(self) -> str:
        """Changes with anything that needs the pod to be made anew."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "WantedPod":
        """The pod that `to_json` was called on."""
        return msgspec.convert(data, cls)


class Phase(Enum):
    """A container's CRI state."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenContainer:
    """A container in a sandbox. `attempt` counts from 0 within the sandbox; `ended` is seconds since the epoch."""

    id: str
    phase: Phase
    attempt: int
    created: float
    ended: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSandbox:
    """A sandbox that the keeper made."""

    id: str
    key: str
    digest: str
    ready: bool
    attempt: int
    created: float
    containers: tuple[SeenContainer, ...] = ()
