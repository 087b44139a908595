"""A small eBPF assembler: what the tunnel's two programs need, and nothing more.

The encoding is RFC 9669's: eight bytes an instruction (opcode, two registers, 16-bit offset, 32-bit immediate), for
little-endian machines only. Jumps name labels, maps are named too; both are resolved by `assemble`. An attached program
is known again by its `fingerprint`: the bytes with every map left out.

Nothing here talks to the kernel.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum

from groundplane.errors import Invalid

_LDX_MEM, _STX_MEM, _ST_MEM = 0x61, 0x63, 0x62
_LD_IMM64 = 0x18
_PSEUDO_MAP_FD = 1
_CALL, _EXIT, _GOTO = 0x85, 0x95, 0x05
_TO_BIG_ENDIAN = 0xDC
_REGISTER_SOURCE = 0x08


class Reg(IntEnum):
    """R0 holds results, R1 to R5 arguments (lost over a call), R6 to R9 survive calls, FP is the frame's top."""

    R0 = 0
    R1 = 1
    R2 = 2
    R3 = 3
    R4 = 4
    R5 = 5
    R6 = 6
    R7 = 7
    R8 = 8
    R9 = 9
    FP = 10


class Size(Enum):
    """How wide a load or a store is; the value is the opcode's bits."""

    U8 = 0x10
    U16 = 0x08
    U32 = 0x00
    U64 = 0x18


class Op(Enum):
    """64-bit arithmetic with an immediate; with a register the source bit is set."""

    ADD = 0x07
    OR = 0x47
    AND = 0x57
    LSH = 0x67
    RSH = 0x77
    XOR = 0xA7
    MOV = 0xB7


class When(Enum):
    """Unsigned 64-bit comparisons; the value is the opcode with an immediate."""

    EQ = 0x15
    GT = 0x25
    NE = 0x55


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction; `target` is a label not yet resolved, `map_name` a map not yet opened (it takes two slots)."""

    opcode: int
    dst: int = 0
    src: int = 0
    offset: int = 0
    imm: int = 0
    target: str = ""
    map_name: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """The place of the next instruction."""

    name: str


Line = Instruction | Label


def alu(op: Op, dst: Reg, operand: Reg | int) -> Instruction:
    """`dst = dst op operand`; for MOV, `dst = operand`. An immediate is sign-extended to 64 bits."""
    if isinstance(operand, Reg):
        return Instruction(opcode=op.value | _REGISTER_SOURCE, dst=dst, src=operand)
    return Instruction(opcode=op.value, dst=dst, imm=operand)


def mov(dst: Reg, operand: Reg | int) -> Instruction:
    """`dst = operand`."""
    return alu(Op.MOV, dst, operand)


def big_endian_16(dst: Reg) -> Instruction:
    """The low 16 bits of `dst` in network order; the rest becomes 0."""
    return Instruction(opcode=_TO_BIG_ENDIAN, dst=dst, imm=16)


def load(size: Size, dst: Reg, base: Reg, offset: int) -> Instruction:
    """`dst = *(size *)(base + offset)`, zero-extended."""
    return Instruction(opcode=_LDX_MEM | size.value, dst=dst, src=base, offset=offset)


def store(size: Size, base: Reg, offset: int, value: Reg | int) -> Instruction:
    """`*(size *)(base + offset) = value`."""
    if isinstance(value, Reg):
        return Instruction(opcode=_STX_MEM | size.value, dst=base, src=value, offset=offset)
    return Instruction(opcode=_ST_MEM | size.value, dst=base, offset=offset, imm=value)


def jump_if(when: When, left: Reg, right: Reg | int, target: str) -> Instruction:
    """Go on at `target` if `left when right`; an immediate is sign-extended first."""
    if isinstance(right, Reg):
        return Instruction(opcode=when.value | _REGISTER_SOURCE, dst=left, src=right, target=target)
    return Instruction(opcode=when.value, dst=left, imm=right, target=target)


def jump(target: str) -> Instruction:
    """Go on at `target`."""
    return Instruction(opcode=_GOTO, target=target)


def call(helper: int) -> Instruction:
    """Call the kernel's helper of that number."""
    return Instruction(opcode=_CALL, imm=helper)


def leave() -> Instruction:
    """End the program; R0 is its answer."""
    return Instruction(opcode=_EXIT)


def load_map(dst: Reg, name: str) -> Instruction:
    """`dst` = the map of that name."""
    return Instruction(opcode=_LD_IMM64, dst=dst, src=_PSEUDO_MAP_FD, map_name=name)


def assemble(lines: Sequence[Line], maps: Mapping[str, int]) -> bytes:
    """The program's bytes; `maps` gives each map's file descriptor.

    Raises Invalid for a label that is missing, doubled or too far, a map that is missing, or an immediate that is no
    32-bit number.
    """
    places: dict[str, int] = {}
    slot = 0
    for line in lines:
        match line:
            case Label(name=name):
                if name in places:
                    raise Invalid("the label stands twice", to=name)
                places[name] = slot
            case Instruction():
                slot += 2 if line.map_name else 1
    code = bytearray()
    for line in lines:
        if isinstance(line, Instruction):
            code += _encode(line, at=len(code) // 8, places=places, maps=maps)
    return bytes(code)


def fingerprint(lines: Sequence[Line]) -> str:
    """Sixteen hex digits, equal for equal programs whatever the maps' descriptors are today."""
    names = {line.map_name for line in lines if isinstance(line, Instruction) and line.map_name}
    return hashlib.sha256(assemble(lines, dict.fromkeys(names, 0))).hexdigest()[:16]


def _encode(line: Instruction, *, at: int, places: Mapping[str, int], maps: Mapping[str, int]) -> bytes:
    offset, imm = line.offset, line.imm
    if line.target:
        if line.target not in places:
            raise Invalid("no such label", to=line.target)
        offset = places[line.target] - at - 1
    if line.map_name:
        if line.map_name not in maps:
            raise Invalid("no such map", to=line.map_name)
        imm = maps[line.map_name]
    try:
        first = struct.pack("<BBhI", line.opcode, line.dst | line.src << 4, offset, _unsigned(imm))
    except struct.error as wide:
        raise Invalid(f"does not fit an instruction: {wide}", to=line) from wide
    return first + bytes(8) if line.map_name else first


def _unsigned(imm: int) -> int:
    """Either reading of 32 bits is welcome: -1 and 0xFFFFFFFF are the same bytes."""
    return imm + (1 << 32) if imm < 0 else imm
