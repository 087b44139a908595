"""The tunnel's two programs, as instructions: parameters in, lines out.

`encapsulate` stands on the tunnel device's egress. It finds the remote node by the inner destination, puts an outer
IPv4 header (protocol 4, RFC 2003) before the packet and hands it to the uplink's neighbour layer, so netfilter never
sees the outer packet: conntrack still holds the inner flow and would apply the inner flow's NAT to the outer header.

`decapsulate` stands on the uplink's ingress. What is not IP-in-IP to this node passes untouched. What is, and comes
from a node of the cluster, loses its outer header and arrives anew on the tunnel device. The rest is dropped: other
senders, fragments (a classifier cannot join them), outer options, an inside that is not IPv4.

The outer header: DF as inside, so that path MTU works as inside; a random identification, for packets without DF; TOS
0, which tells routers not to mark (RFC 6040's compatibility mode) since marks would be lost with the outer header.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address

from groundplane.network.bpf.assembler import (
    Label,
    Line,
    Op,
    Reg,
    Size,
    When,
    alu,
    big_endian_16,
    call,
    jump,
    jump_if,
    leave,
    load,
    load_map,
    mov,
    store,
)

ROUTES, PEERS = "routes", "peers"
OUTER_HEADER = 20
TTL = 64

_R0, _R1, _R2, _R3, _R4, _R5 = Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R4, Reg.R5
_PACKET, _LENGTH, _FLAGS, _REMOTE, _FP = Reg.R6, Reg.R7, Reg.R8, Reg.R9, Reg.FP

# Helpers of linux/bpf.h, by number.
_MAP_LOOKUP, _PRANDOM, _STORE_BYTES, _REDIRECT = 1, 7, 9, 23
_CSUM_DIFF, _PULL_DATA, _ADJUST_ROOM, _REDIRECT_NEIGH = 28, 39, 50, 152
_ROOM_MAC = 1
_FIXED_GSO, _ENCAP_IPV4, _DECAP_IPV4 = 1, 2, 0x80  # the route's MTU has already made segments small enough
_INVALIDATE_HASH = 2
_INGRESS = 1
_PASS, _DROP = -1, 2

# struct __sk_buff
_SKB_LEN, _SKB_PROTOCOL, _SKB_DATA, _SKB_DATA_END = 0, 16, 76, 80
# From the start of the frame: Ethernet, then IPv4 (the inner one follows the outer one).
_ETH = 14
_VERSION, _FRAGMENT, _PROTOCOL, _SOURCE, _DESTINATION = _ETH, _ETH + 6, _ETH + 9, _ETH + 12, _ETH + 16
_ONE_HEADER, _TWO_HEADERS = _ETH + 20, _ETH + 40
# As a little-endian machine loads them from the wire.
_IPV4 = 0x0008
_DF, _FRAGMENTED = 0x0040, 0xFF3F
_PLAIN_HEADER = 0x45
_IPIP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """What is baked into both programs."""

    local: IPv4Address
    uplink_index: int
    device_index: int
    device_mac: bytes


def encapsulate(tunnel: Tunnel) -> tuple[Line, ...]:
    """The egress program; the map ROUTES is a longest-prefix trie from inner destination to remote node."""
    key, header = -8, -28
    return (
        mov(_PACKET, _R1),
        load(Size.U32, _R0, _PACKET, _SKB_PROTOCOL),
        jump_if(When.NE, _R0, _IPV4, "drop"),
        *_window(_ONE_HEADER, "drop"),
        load(Size.U16, _FLAGS, _R2, _FRAGMENT),
        alu(Op.AND, _FLAGS, _DF),
        load(Size.U32, _R0, _R2, _DESTINATION),
        store(Size.U32, _FP, key + 4, _R0),
        store(Size.U32, _FP, key, 32),
        load_map(_R1, ROUTES),
        mov(_R2, _FP),
        alu(Op.ADD, _R2, key),
        call(_MAP_LOOKUP),
        jump_if(When.EQ, _R0, 0, "drop"),
        load(Size.U32, _REMOTE, _R0, 0),
        load(Size.U32, _LENGTH, _PACKET, _SKB_LEN),
        alu(Op.ADD, _LENGTH, OUTER_HEADER - _ETH),
        jump_if(When.GT, _LENGTH, 0xFFFF, "huge"),
        jump("sized"),
        Label("huge"),  # to be cut into segments, each of which gets its own length
        mov(_LENGTH, 0),
        Label("sized"),
        big_endian_16(_LENGTH),
        call(_PRANDOM),
        store(Size.U16, _FP, header, _PLAIN_HEADER),
        store(Size.U16, _FP, header + 2, _LENGTH),
        store(Size.U16, _FP, header + 4, _R0),
        store(Size.U16, _FP, header + 6, _FLAGS),
        store(Size.U16, _FP, header + 8, TTL | _IPIP << 8),
        store(Size.U16, _FP, header + 10, 0),
        store(Size.U32, _FP, header + 12, _wire(tunnel.local)),
        store(Size.U32, _FP, header + 16, _REMOTE),
        *_checksum(header),
        # The second try is for what is in a tunnel already: the kernel's one set of inner offsets is taken.
        *_adjust(OUTER_HEADER, _FIXED_GSO | _ENCAP_IPV4),
        jump_if(When.EQ, _R0, 0, "write"),
        *_adjust(OUTER_HEADER, _FIXED_GSO),
        jump_if(When.NE, _R0, 0, "drop"),
        Label("write"),
        *_write(_ETH, header, 20, _INVALIDATE_HASH),
        mov(_R1, tunnel.uplink_index),
        mov(_R2, 0),
        mov(_R3, 0),
        mov(_R4, 0),
        call(_REDIRECT_NEIGH),
        leave(),
        Label("drop"),
        mov(_R0, _DROP),
        leave(),
    )


def decapsulate(tunnel: Tunnel) -> tuple[Line, ...]:
    """The ingress program; the map PEERS holds the addresses of the nodes that may send."""
    scratch = -8
    return (
        mov(_PACKET, _R1),
        load(Size.U32, _R0, _PACKET, _SKB_PROTOCOL),
        jump_if(When.NE, _R0, _IPV4, "pass"),
        mov(_R2, _ONE_HEADER),
        call(_PULL_DATA),
        *_window(_ONE_HEADER, "pass"),
        load(Size.U8, _R0, _R2, _PROTOCOL),
        jump_if(When.NE, _R0, _IPIP, "pass"),
        load(Size.U32, _R0, _R2, _DESTINATION),
        mov(_R5, _wire(tunnel.local)),
        *_low_half(_R5),
        jump_if(When.NE, _R0, _R5, "pass"),
        mov(_R1, _PACKET),
        mov(_R2, _TWO_HEADERS),
        call(_PULL_DATA),
        *_window(_TWO_HEADERS, "drop"),
        load(Size.U8, _R0, _R2, _VERSION),
        jump_if(When.NE, _R0, _PLAIN_HEADER, "drop"),
        load(Size.U16, _R0, _R2, _FRAGMENT),
        alu(Op.AND, _R0, _FRAGMENTED),
        jump_if(When.NE, _R0, 0, "drop"),
        load(Size.U8, _R0, _R2, _ONE_HEADER),
        alu(Op.RSH, _R0, 4),
        jump_if(When.NE, _R0, 4, "drop"),
        load(Size.U32, _R0, _R2, _SOURCE),
        store(Size.U32, _FP, scratch, _R0),
        load_map(_R1, PEERS),
        mov(_R2, _FP),
        alu(Op.ADD, _R2, scratch),
        call(_MAP_LOOKUP),
        jump_if(When.EQ, _R0, 0, "drop"),
        # The second try is for kernels before 6.3, which have no flag for it.
        *_adjust(-OUTER_HEADER, _FIXED_GSO | _DECAP_IPV4),
        jump_if(When.EQ, _R0, 0, "readdress"),
        *_adjust(-OUTER_HEADER, _FIXED_GSO),
        jump_if(When.NE, _R0, 0, "drop"),
        Label("readdress"),  # to the device's own hardware address, or it would count as another host's packet
        store(Size.U32, _FP, scratch, int.from_bytes(tunnel.device_mac[:4], "little")),
        store(Size.U16, _FP, scratch + 4, int.from_bytes(tunnel.device_mac[4:], "little")),
        *_write(0, scratch, 6, 0),
        mov(_R1, tunnel.device_index),
        mov(_R2, _INGRESS),
        call(_REDIRECT),
        leave(),
        Label("pass"),
        mov(_R0, _PASS),
        leave(),
        Label("drop"),
        mov(_R0, _DROP),
        leave(),
    )


def _wire(address: IPv4Address) -> int:
    return int.from_bytes(address.packed, "little")


def _window(size: int, otherwise: str) -> tuple[Line, ...]:
    """R2 = the frame, of which the verifier now knows `size` bytes to be readable."""
    return (
        load(Size.U32, _R2, _PACKET, _SKB_DATA),
        load(Size.U32, _R3, _PACKET, _SKB_DATA_END),
        mov(_R4, _R2),
        alu(Op.ADD, _R4, size),
        jump_if(When.GT, _R4, _R3, otherwise),
    )


def _low_half(reg: Reg) -> tuple[Line, ...]:
    """Undo the sign extension of a 32-bit immediate."""
    return alu(Op.LSH, reg, 32), alu(Op.RSH, reg, 32)


def _adjust(by: int, flags: int) -> tuple[Line, ...]:
    return mov(_R1, _PACKET), mov(_R2, by), mov(_R3, _ROOM_MAC), mov(_R4, flags), call(_ADJUST_ROOM)


def _write(at: int, stack: int, size: int, flags: int) -> tuple[Line, ...]:
    return (
        mov(_R1, _PACKET),
        mov(_R2, at),
        mov(_R3, _FP),
        alu(Op.ADD, _R3, stack),
        mov(_R4, size),
        mov(_R5, flags),
        call(_STORE_BYTES),
        jump_if(When.NE, _R0, 0, "drop"),
    )


def _checksum(header: int) -> tuple[Line, ...]:
    """RFC 1071 over the header on the stack; the sum of ten words folds to 16 bits in two steps."""
    fold = (mov(_R1, _R0), alu(Op.RSH, _R1, 16), alu(Op.AND, _R0, 0xFFFF), alu(Op.ADD, _R0, _R1))
    return (
        mov(_R1, 0),
        mov(_R2, 0),
        mov(_R3, _FP),
        alu(Op.ADD, _R3, header),
        mov(_R4, 20),
        mov(_R5, 0),
        call(_CSUM_DIFF),
        *_low_half(_R0),
        *fold,
        *fold,
        alu(Op.XOR, _R0, 0xFFFF),
        store(Size.U16, _FP, header + 10, _R0),
    )
