"""Which pools may serve a request, and in what order their blocks are tried. Pure.

Each host walks the blocks in a circle from a place of its own, drawn from its name: hosts that start together then
rarely meet at the same block, and a host that comes back finds its way to the same ones.
"""

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import ip_network

from groundplane.errors import Invalid, NotFound
from groundplane.network.calc.model import IPAddress, IPNetwork
from groundplane.network.resources.pool import AssignmentMode, IPPool, Use
from groundplane.network.selector import parse

_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193
_WORD = 2**32


def choose_pools(
    pools: Sequence[IPPool],
    *,
    version: int,
    use: Use,
    node_labels: Mapping[str, str],
    namespace_labels: Mapping[str, str] | None = None,
    requested: Collection[IPNetwork] = (),
) -> tuple[IPPool, ...]:
    """Select the pools that may serve, in order of their names.

    Requested ones must all be there and enabled; their selectors are passed over. Raises NotFound if none is left.
    """
    enabled = [pool for pool in sorted(pools, key=lambda pool: pool.name) if not pool.disabled]
    enabled = [pool for pool in enabled if pool.cidr.version == version]
    if requested:
        by_cidr = {pool.cidr: pool for pool in enabled}
        missing = [str(cidr) for cidr in requested if cidr not in by_cidr]
        if missing:
            raise NotFound("no enabled pool has this range", to=", ".join(missing), hint="see the IPPool resources")
        chosen = [by_cidr[cidr] for cidr in requested]
    else:
        chosen = [
            pool
            for pool in enabled
            if pool.assignment_mode is AssignmentMode.AUTOMATIC
            and parse(pool.node_selector).matches(node_labels)
            and parse(pool.namespace_selector).matches(namespace_labels or {})
        ]
    chosen = [pool for pool in chosen if use in pool.allowed_uses]
    if not chosen:
        raise NotFound(
            f"no pool serves IPv{version} addresses for {use.value} here",
            to="IPPool",
            hint="add an IPPool whose selectors, allowedUses and family fit, or enable one",
        )
    return tuple(chosen)


def pool_of(address: IPAddress, pools: Sequence[IPPool], *, use: Use) -> IPPool:
    """Find the enabled pool that an address lies in."""
    for pool in pools:
        if pool.cidr.version == address.version and address in pool.cidr and not pool.disabled:
            if use not in pool.allowed_uses:
                raise Invalid(f"pool {pool.name} is not for {use.value}", to=address, hint="see its allowedUses")
            return pool
    raise NotFound("is in no enabled pool", to=address, hint="add an IPPool with its range")


def block_of(address: IPAddress, pool: IPPool) -> IPNetwork:
    """Find the block of the pool that an address lies in."""
    return ip_network((address, pool.block_size), strict=False)


def fnv1_32(text: str) -> int:
    """Compute the 32-bit FNV-1 hash."""
    found = _FNV_OFFSET
    for byte in text.encode():
        found = (found * _FNV_PRIME) % _WORD ^ byte
    return found


def candidates(pool: IPPool, host: str) -> Iterator[IPNetwork]:
    """Walk all blocks of a pool once, in a circle, from the host's own place."""
    count = 2 ** max(0, pool.block_size - pool.cidr.prefixlen)
    start = random.Random(fnv1_32(host)).randrange(count)  # noqa: S311 - a place to start, not a secret
    size = 2 ** (pool.cidr.max_prefixlen - pool.block_size)
    for step in range(count):
        first = pool.cidr.network_address + ((start + step) % count) * size
        yield ip_network((first, pool.block_size))
