"""IPAM's keys in etcd, and the small values: affinities, handles, configuration. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from ipaddress import ip_network

import msgspec

from groundplane.decoding import UNREADABLE
from groundplane.errors import Invalid
from groundplane.network.calc.model import IPNetwork
from groundplane.network.ipam.block import HandleID

PREFIX = "/calico/ipam/v2/"
CONFIG_KEY = PREFIX + "config"
HANDLES = PREFIX + "handle/"
DEFAULT_MAX_BLOCKS = 20


class AffinityState(Enum):
    """Whether a host has a block: only a confirmed one counts. Pending is an intent, pendingDeletion its undoing."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    PENDING_DELETION = "pendingDeletion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """How many addresses a handle holds in each block: never fewer than it really does."""

    blocks: Mapping[IPNetwork, int] = field(default_factory=dict)

    def changed(self, cidr: IPNetwork, by: int) -> "Handle":
        """Count up or down; a block at zero is dropped."""
        count = self.blocks.get(cidr, 0) + by
        others = {block: n for block, n in self.blocks.items() if block != cidr}
        return Handle(blocks={**others, cidr: count} if count > 0 else others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """`max_blocks` 0 is the default of 20."""

    strict_affinity: bool = False
    auto_allocate_blocks: bool = True
    max_blocks: int = 0
    cooldown: timedelta = timedelta(0)


def _family(cidr: IPNetwork) -> str:
    return f"ipv{cidr.version}"


def _dashed(cidr: IPNetwork) -> str:
    return str(cidr).replace("/", "-")


def block_key(cidr: IPNetwork) -> str:
    """Give the key of a block."""
    return f"{blocks_prefix(cidr.version)}{_dashed(cidr)}"


def blocks_prefix(version: int) -> str:
    """Give the prefix of all blocks of one family."""
    return f"{PREFIX}assignment/ipv{version}/block/"


def affinity_key(host: str, cidr: IPNetwork) -> str:
    """Give the key that says a block is a host's."""
    return f"{host_prefix(host)}{_family(cidr)}/block/{_dashed(cidr)}"


def host_prefix(host: str) -> str:
    """Give the prefix of all that is a host's."""
    return f"{PREFIX}host/{host}/"


def affinities_prefix(host: str, version: int) -> str:
    """Give the prefix of a host's affinities of one family."""
    return f"{host_prefix(host)}ipv{version}/block/"


def handle_key(handle: HandleID) -> str:
    """Give the key of a handle."""
    return f"{HANDLES}{handle}"


def parse_affinity_key(key: str) -> tuple[str, IPNetwork] | None:
    """Take `…/host/<host>/ipv4/block/<cidr>` apart; None for any other key."""
    match key.removeprefix(PREFIX).split("/"):
        case ["host", host, "ipv4" | "ipv6", "block", dashed] if key.startswith(PREFIX):
            cidr = _undashed(dashed)
            return None if cidr is None else (host, cidr)
        case _:
            return None


def parse_block_key(key: str) -> IPNetwork | None:
    """Take `…/assignment/ipv4/block/<cidr>` apart; None for any other key."""
    match key.removeprefix(PREFIX).split("/"):
        case ["assignment", "ipv4" | "ipv6", "block", dashed] if key.startswith(PREFIX):
            return _undashed(dashed)
        case _:
            return None


def _undashed(text: str) -> IPNetwork | None:
    try:
        return ip_network(text.replace("-", "/"))
    except ValueError:
        return None


def encode_affinity(state: AffinityState) -> bytes:
    """Write the value that is stored."""
    return msgspec.json.encode({"state": state.value, "deleted": False})


def decode_affinity(value: bytes, *, at: str) -> AffinityState:
    """Read a stored affinity; an empty one, or one without a state, is an old writer's for confirmed."""
    try:
        wire = msgspec.json.decode(value or b"{}", type=dict[str, object])
        return AffinityState(wire.get("state") or "confirmed")
    except (*UNREADABLE, ValueError) as failed:
        raise Invalid(f"the stored affinity cannot be read: {failed}", to=at) from failed


class _HandleWire(msgspec.Struct):
    block: dict[str, int] | None = None
    deleted: bool = False


def encode_handle(handle: Handle) -> bytes:
    """Write the value that is stored."""
    return msgspec.json.encode({"block": {str(cidr): n for cidr, n in handle.blocks.items()}, "deleted": False})


def decode_handle(value: bytes, *, at: str) -> Handle:
    """Read a stored handle."""
    try:
        wire = msgspec.json.decode(value, type=_HandleWire)
        return Handle(blocks={ip_network(cidr): n for cidr, n in (wire.block or {}).items()})
    except (*UNREADABLE, ValueError) as failed:
        raise Invalid(f"the stored handle cannot be read: {failed}", to=at) from failed


class _ConfigWire(msgspec.Struct):
    strict_affinity: bool = False
    auto_allocate_blocks: bool = False  # a value without the field means no; only an absent value means yes
    maxBlocksPerHost: int = 0  # noqa: N815 - Calico's spelling
    ipCooldownSeconds: int = 0  # noqa: N815


def decode_config(value: bytes | None) -> Config:
    """Read the stored configuration; None stands for an absent key, and gives the defaults."""
    if value is None:
        return Config()
    try:
        wire = msgspec.json.decode(value, type=_ConfigWire)
    except UNREADABLE as failed:
        raise Invalid(f"the stored configuration cannot be read: {failed}", to=CONFIG_KEY) from failed
    return Config(
        strict_affinity=wire.strict_affinity,
        auto_allocate_blocks=wire.auto_allocate_blocks,
        max_blocks=wire.maxBlocksPerHost,
        cooldown=timedelta(seconds=max(0, wire.ipCooldownSeconds)),
    )
