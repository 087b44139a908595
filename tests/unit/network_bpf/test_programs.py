"""What is baked into the programs, and that only that makes them differ. What they do is the lab's to show."""

from dataclasses import replace
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from groundplane.network.bpf.assembler import Instruction, Label, Line, assemble, fingerprint
from groundplane.network.bpf.programs import PEERS, ROUTES, Tunnel, decapsulate, encapsulate

TUNNEL = Tunnel(local=IPv4Address("10.1.2.3"), uplink_index=2, device_index=9, device_mac=bytes.fromhex("020102030405"))


def slots(code: bytes) -> list[bytes]:
    return [code[at : at + 8] for at in range(0, len(code), 8)]


def ends_well(lines: tuple[Line, ...], maps: dict[str, int]) -> bool:
    """Every jump goes forward, to an instruction inside: so a run ends, as the verifier will also find."""
    code = slots(assemble(lines, maps))
    for at, one in enumerate(code):
        is_jump = one[0] & 0x07 == 0x05 and one[0] not in (0x85, 0x95)
        offset = int.from_bytes(one[2:4], "little", signed=True)
        if is_jump and not (offset >= 0 and at + 1 + offset < len(code)):
            return False
    return code[-1][0] == 0x95


def test_both_programs_only_jump_forward_and_end_with_exit() -> None:
    assert ends_well(encapsulate(TUNNEL), {ROUTES: 3})
    assert ends_well(decapsulate(TUNNEL), {PEERS: 4})


def test_each_program_names_its_one_map() -> None:
    for lines, name in ((encapsulate(TUNNEL), ROUTES), (decapsulate(TUNNEL), PEERS)):
        assert {line.map_name for line in lines if isinstance(line, Instruction) and line.map_name} == {name}


def test_labels_are_all_used() -> None:
    for lines in (encapsulate(TUNNEL), decapsulate(TUNNEL)):
        targets = {line.target for line in lines if isinstance(line, Instruction)}
        assert {line.name for line in lines if isinstance(line, Label)} <= targets


@given(address=st.ip_addresses(v=4), index=st.integers(1, (1 << 31) - 1))
def test_the_address_is_written_in_the_order_of_the_wire(address: IPv4Address, index: int) -> None:
    tunnel = replace(TUNNEL, local=address, uplink_index=index, device_index=index)
    assert any(one[4:] == address.packed for one in slots(assemble(encapsulate(tunnel), {ROUTES: 3})))
    assert any(one[4:] == address.packed for one in slots(assemble(decapsulate(tunnel), {PEERS: 3})))


def test_a_change_of_any_parameter_is_a_change_of_fingerprint_in_the_program_that_uses_it() -> None:
    moved = replace(TUNNEL, local=IPv4Address("10.1.2.4"))
    assert fingerprint(encapsulate(moved)) != fingerprint(encapsulate(TUNNEL))
    assert fingerprint(decapsulate(moved)) != fingerprint(decapsulate(TUNNEL))
    assert fingerprint(encapsulate(replace(TUNNEL, uplink_index=3))) != fingerprint(encapsulate(TUNNEL))
    assert fingerprint(decapsulate(replace(TUNNEL, device_index=3))) != fingerprint(decapsulate(TUNNEL))
    assert fingerprint(decapsulate(replace(TUNNEL, device_mac=bytes(6)))) != fingerprint(decapsulate(TUNNEL))
