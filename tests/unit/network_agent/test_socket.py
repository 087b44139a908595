"""The agent's socket, both ends."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from groundplane.errors import DeadlineExceeded, Exhausted, Failed, Invalid, WrongState
from groundplane.network.client import AgentClient, AgentSilent
from groundplane.network.server import AgentServer

pytestmark = pytest.mark.unit


async def handle(op: str, message: Mapping[str, Any]) -> object:
    match op:
        case "echo":
            return message.get("value")
        case "full":
            raise Exhausted("2 free of 3 wanted", to="10.0.0.0/26", hint="add a pool")
        case "bug":
            raise KeyError("x")
        case "hang":
            await asyncio.sleep(3600)
    return None


async def test_errors_cross_the_socket_with_kind_words_and_hint(tmp_path: Path) -> None:
    async with AgentServer(tmp_path / "s", handle):
        client = AgentClient(tmp_path / "s")
        assert await client.ask("echo", value=[1]) == [1]
        with pytest.raises(Exhausted) as refused:
            await client.ask("full")
        assert str(refused.value) == "10.0.0.0/26: 2 free of 3 wanted; add a pool"
        with pytest.raises(Failed):
            await client.ask("bug")


async def test_only_root_may_ask(tmp_path: Path) -> None:
    async with AgentServer(tmp_path / "s", handle):
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600


async def test_the_socket_of_a_killed_agent_is_replaced_but_not_a_living_ones(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("left over")
    async with AgentServer(tmp_path / "s", handle):
        with pytest.raises(WrongState):
            await AgentServer(tmp_path / "s", handle).__aenter__()
        assert await AgentClient(tmp_path / "s").ask("echo", value=1) == 1


async def test_many_ask_at_once_and_a_slow_one_holds_nobody(tmp_path: Path) -> None:
    async with AgentServer(tmp_path / "s", handle):
        client = AgentClient(tmp_path / "s")
        slow = AgentClient(tmp_path / "s", within=timedelta(milliseconds=200))
        hang = asyncio.ensure_future(slow.ask("hang"))
        assert await asyncio.gather(*(client.ask("echo", value=n) for n in range(50))) == list(range(50))
        with pytest.raises(DeadlineExceeded):
            await hang


@pytest.mark.parametrize("line", [b"{\n", b"[]\n", b"{}\n", b'{"op": 3}\n', b"\xff\n"])
async def test_what_is_no_request_is_answered_all_the_same(tmp_path: Path, line: bytes) -> None:
    async with AgentServer(tmp_path / "s", handle):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(line)
        answer = json.loads(await reader.readline())
        writer.close()
    assert answer["error"]["kind"] == Invalid.kind.name


async def test_an_absent_agent_is_told_from_a_refusing_one(tmp_path: Path) -> None:
    with pytest.raises(AgentSilent):
        await AgentClient(tmp_path / "none").status()
