"""BIRD's file as its own parser takes it, and its answers."""

import asyncio
import subprocess
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from groundplane.network.bird import BirdControl, BirdRefused, BirdSilent, BirdView, Peer, Pool, initial, render
from groundplane.network.bird.render import peer_of, protocol_name
from groundplane.network.bird.status import parse_reply, parse_sessions

pytestmark = pytest.mark.unit

VIEW = BirdView(
    node="b",
    address=IPv4Interface("10.0.0.2/24"),
    peers=(Peer(node="a", address=IPv4Address("10.0.0.1")), Peer(node="c", address=IPv4Address("10.0.0.10"))),
    blocks=(IPv4Network("10.244.1.0/26"), IPv4Network("10.245.0.0/26")),
    pools=(
        Pool(cidr=IPv4Network("10.244.0.0/16")),
        Pool(cidr=IPv4Network("10.245.0.0/16"), tunnelled=True),
        Pool(cidr=IPv4Network("10.246.0.0/16"), exported=False),
    ),
    ignored_interfaces=("docker0", 'odd"name'),
)


@pytest.mark.parametrize(
    "text",
    [
        render(VIEW),
        render(replace(VIEW, peers=(), blocks=(), pools=())),
        render(replace(VIEW, port=1790)),
        initial(IPv4Address("10.0.0.2"), "b"),
    ],
)
def test_bird_itself_accepts_every_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "bird.conf").write_text(text)
    done = subprocess.run(["bird", "-p", "-c", tmp_path / "bird.conf"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_order_of_what_is_known_does_not_matter() -> None:
    other = replace(
        VIEW, peers=tuple(reversed(VIEW.peers)), blocks=tuple(reversed(VIEW.blocks)), pools=tuple(reversed(VIEW.pools))
    )
    assert render(other) == render(VIEW)


def test_of_two_nodes_exactly_one_calls() -> None:
    here = IPv4Interface("10.0.0.2/24")
    for there in (IPv4Interface("10.0.0.1/24"), IPv4Interface("10.0.0.10/24"), IPv4Interface("10.0.0.3/24")):
        mine = render(BirdView(node="x", address=here, peers=(Peer(node="y", address=there.ip),)))
        theirs = render(BirdView(node="y", address=there, peers=(Peer(node="x", address=here.ip),)))
        assert ("passive on" in mine) != ("passive on" in theirs)


def test_a_stub_speaks_no_bgp() -> None:
    assert "bgp" not in initial(IPv4Address("10.0.0.2"), "b")


def test_names_of_sessions_are_read_back() -> None:
    address = IPv4Address("192.168.153.131")
    assert peer_of(protocol_name(address)) == address
    assert peer_of("kernel1") is None
    assert peer_of("Mesh_x") is None


ANSWER = """1002-device1    Device     ---        up     2026-01-01 10:00:00  
1006-
1002-Mesh_10_0_0_1 BGP        ---        up     2026-01-01 10:00:02  Established   
1006-  BGP state:          Established
     Neighbor address: 10.0.0.1
1002-Mesh_10_0_0_10 BGP        ---        start  2026-01-01 10:00:01  Connect       Socket: Connection refused
1006-  BGP state:          Connect
     Last error:       Socket: Connection refused
0000 
""".splitlines()  # noqa: W291 - as BIRD prints it


def test_sessions_are_parsed_with_continued_lines() -> None:
    up, down = parse_sessions(parse_reply(["2002-Name Proto Table State Since Info", *ANSWER]))
    assert (up.peer, up.established, up.since) == (IPv4Address("10.0.0.1"), True, "2026-01-01 10:00:02")
    assert (down.bgp, down.info, down.established) == ("Connect", "Socket: Connection refused", False)


async def test_a_refusal_carries_birds_words(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"0001 BIRD ready.\n")
        await reader.readline()
        writer.write(b"0002-Reading configuration\n8002 bird.conf:3:1 syntax error\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, str(tmp_path / "ctl"))
    async with server:
        with pytest.raises(BirdRefused, match="syntax error"):
            await BirdControl(tmp_path / "ctl").configure()


async def test_an_absent_bird_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(BirdSilent):
        await BirdControl(tmp_path / "ctl").sessions()
