"""Addresses: who has which, agreed on by all hosts through one store, in Calico's own layout.

- `block`, `keys`: the stored values, both ways; `change`: what is written together
- `plan`: which pools serve, in what order blocks are tried; `affinity`: how a block is claimed and given up
- `allocator`: the effects, every one a compare-and-swap; `store`: etcd, or memory
"""

from groundplane.network.ipam.allocator import Allocator, Interface, Release, tunnel_handle
from groundplane.network.ipam.block import Attribute, Block, HandleID
from groundplane.network.ipam.plan import choose_pools
from groundplane.network.ipam.store import EtcdStore, MemoryStore, Store

__all__ = [
    "Allocator",
    "Attribute",
    "Block",
    "EtcdStore",
    "HandleID",
    "Interface",
    "MemoryStore",
    "Release",
    "Store",
    "choose_pools",
    "tunnel_handle",
]
