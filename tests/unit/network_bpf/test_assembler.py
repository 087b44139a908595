"""Encodings against what clang 14 makes of the same instructions, and the rules of labels and maps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.network.bpf.assembler import (
    Instruction,
    Label,
    Op,
    Reg,
    Size,
    When,
    alu,
    assemble,
    big_endian_16,
    call,
    fingerprint,
    jump,
    jump_if,
    leave,
    load,
    load_map,
    mov,
    store,
)

# The texts in a file v.s: `clang -target bpf -c v.s -o v.o && llvm-objdump -d v.o`, with Debian 12's clang 14.0.6.
VECTORS = [
    ("r7 = r0", mov(Reg.R7, Reg.R0), "bf07000000000000"),
    ("r1 = 2", mov(Reg.R1, 2), "b701000002000000"),
    ("r0 = -1", mov(Reg.R0, -1), "b7000000ffffffff"),
    ("r4 += 34", alu(Op.ADD, Reg.R4, 34), "0704000022000000"),
    ("r4 += r3", alu(Op.ADD, Reg.R4, Reg.R3), "0f34000000000000"),
    ("r1 &= 65535", alu(Op.AND, Reg.R1, 0xFFFF), "57010000ffff0000"),
    ("r1 >>= 16", alu(Op.RSH, Reg.R1, 16), "7701000010000000"),
    ("r1 <<= 32", alu(Op.LSH, Reg.R1, 32), "6701000020000000"),
    ("r1 ^= 65535", alu(Op.XOR, Reg.R1, 0xFFFF), "a7010000ffff0000"),
    ("r1 |= 64", alu(Op.OR, Reg.R1, 64), "4701000040000000"),
    ("r7 = be16 r7", big_endian_16(Reg.R7), "dc07000010000000"),
    ("r3 = *(u32 *)(r1 + 80)", load(Size.U32, Reg.R3, Reg.R1, 80), "6113500000000000"),
    ("r2 = *(u8 *)(r2 + 23)", load(Size.U8, Reg.R2, Reg.R2, 23), "7122170000000000"),
    ("r2 = *(u16 *)(r2 + 20)", load(Size.U16, Reg.R2, Reg.R2, 20), "6922140000000000"),
    ("r0 = *(u64 *)(r10 - 8)", load(Size.U64, Reg.R0, Reg.FP, -8), "79a0f8ff00000000"),
    ("*(u32 *)(r10 - 4) = r0", store(Size.U32, Reg.FP, -4, Reg.R0), "630afcff00000000"),
    ("call 50", call(50), "8500000032000000"),
    ("exit", leave(), "9500000000000000"),
]


@pytest.mark.parametrize(("line", "expected"), [case[1:] for case in VECTORS], ids=[case[0] for case in VECTORS])
def test_an_instruction_is_what_clang_makes_of_it(line: Instruction, expected: str) -> None:
    assert assemble([line], {}).hex() == expected


def test_a_constant_is_stored_as_rfc_9669_says_which_clang_14_cannot_write() -> None:
    """BPF_ST (2) | BPF_MEM (0x60) | BPF_H (8), section 5.1."""
    assert assemble([store(Size.U16, Reg.FP, -28, 69)], {}).hex() == "6a0ae4ff45000000"


def test_jumps_count_from_the_next_instruction_and_a_map_takes_two_slots() -> None:
    code = assemble(
        [
            Label("top"),
            jump_if(When.EQ, Reg.R0, 0, "end"),
            load_map(Reg.R1, "m"),
            jump_if(When.GT, Reg.R4, Reg.R3, "top"),
            jump("end"),
            Label("end"),
            leave(),
        ],
        {"m": 7},
    )
    assert [code[at : at + 8].hex() for at in range(0, len(code), 8)] == [
        "1500040000000000",  # over the map's two, the comparison and the jump
        "1811000007000000",
        "0000000000000000",
        "2d34fcff00000000",
        "0500000000000000",
        "9500000000000000",
    ]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([Label("a"), Label("a"), leave()], "the label stands twice"),
        ([jump("nowhere")], "no such label"),
        ([load_map(Reg.R1, "unknown")], "no such map"),
        ([mov(Reg.R0, 1 << 32)], "does not fit"),
        ([load(Size.U8, Reg.R0, Reg.R1, 1 << 15)], "does not fit"),
        ([jump("far"), *[leave()] * (1 << 15), Label("far"), leave()], "does not fit"),
    ],
)
def test_what_has_no_encoding_is_refused(lines: list[Instruction | Label], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        assemble(lines, {})


@given(imm=st.integers(-(1 << 31), (1 << 32) - 1))
def test_every_32_bit_number_is_an_immediate(imm: int) -> None:
    assert assemble([mov(Reg.R0, imm)], {})[4:] == (imm % (1 << 32)).to_bytes(4, "little")


def test_a_fingerprint_tells_programs_apart_by_what_they_do() -> None:
    with_map = [load_map(Reg.R1, "m"), leave()]
    assert fingerprint(with_map) == fingerprint([load_map(Reg.R1, "m"), leave()])
    assert fingerprint(with_map) != fingerprint([load_map(Reg.R2, "m"), leave()])
    assert len(fingerprint(with_map)) == 16
