"""libcni's role, with real plugin programs and a real (tiny) agent."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from groundplane.cni import Attachment, NetworkList, PluginFailed, PluginUnavailable, ResultCache, load_network
from groundplane.cni.chain import NoNetwork, derive, parse_list
from groundplane.cni.model import InvalidConfig
from groundplane.errors import DeadlineExceeded, Invalid, NotFound

pytestmark = pytest.mark.unit
SOON = timedelta(seconds=10)
AT = Attachment(
    container_id="c1",
    netns=Path("/run/netns/c1"),
    args=(("K8S_POD_NAME", "web"),),
    capabilities={"portMappings": [{"hostPort": 80}], "mac": "x"},
)
RESULT = {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0"}], "ips": [{"address": "10.0.0.2/32", "interface": 0}]}

RECORDER = """#!/bin/sh
input=$(cat)
printf '%s %s %s %s\\n' "$CNI_COMMAND" "$(basename $0)" "$CNI_ARGS" "$input" >> "{log}"
[ "$CNI_COMMAND" = ADD ] && printf '%s' '{result}'
exit 0
"""


def conflist(*plugins: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": plugins, **fields}).encode()


def plugin(at: Path, text: str) -> None:
    at.write_text(text)
    at.chmod(0o755)


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("first", "second"):
        plugin(directory / name, RECORDER.format(log=tmp_path / "log", result=json.dumps(RESULT)))
    return directory


def network(text: bytes, bin_dir: Path) -> NetworkList:
    return NetworkList(parse_list(text, at="list"), bin_dirs=[bin_dir], cache=ResultCache(bin_dir.parent / "results"))


def calls(bin_dir: Path) -> list[tuple[str, str, dict[str, Any]]]:
    lines = (bin_dir.parent / "log").read_text().splitlines()
    return [(line.split()[0], line.split()[1], json.loads(line.split(maxsplit=3)[3])) for line in lines]


def test_runtime_config_holds_only_declared_capabilities() -> None:
    plugins = parse_list(conflist({"type": "a", "capabilities": {"portMappings": True, "mac": False}}), at="list")
    derived = derive(plugins, plugins.plugins[0], AT, None)
    assert derived["runtimeConfig"] == {"portMappings": [{"hostPort": 80}]}
    assert "capabilities" not in derived
    assert (derived["name"], derived["cniVersion"]) == ("pods", "1.0.0")


async def test_add_goes_down_the_list_and_delete_goes_up_with_the_result(bin_dir: Path) -> None:
    joined = network(conflist({"type": "first"}, {"type": "second"}), bin_dir)
    result = await joined.add(AT, within=SOON)
    assert str(result.ips[0].address) == "10.0.0.2/32"
    await joined.delete(AT, within=SOON)
    seen = calls(bin_dir)
    assert [(command, name) for command, name, _ in seen] == [
        ("ADD", "first"),
        ("ADD", "second"),
        ("DEL", "second"),
        ("DEL", "first"),
    ]
    assert "prevResult" not in seen[0][2]
    assert all(stdin["prevResult"] == RESULT for _, _, stdin in seen[1:])
    assert list((bin_dir.parent / "results").iterdir()) == []


async def test_delete_uses_the_configuration_of_the_add_even_when_the_list_has_changed(bin_dir: Path) -> None:
    await network(conflist({"type": "first"}), bin_dir).add(AT, within=SOON)
    later = Attachment(container_id="c1", netns=None)
    await network(conflist({"type": "second"}), bin_dir).delete(later, within=SOON)
    line = (bin_dir.parent / "log").read_text().splitlines()[-1]
    assert line.startswith("DEL first K8S_POD_NAME=web")


async def test_the_cache_is_written_in_libcnis_form(bin_dir: Path) -> None:
    text = conflist({"type": "first"})
    await network(text, bin_dir).add(AT, within=SOON)
    path = bin_dir.parent / "results/pods-c1-eth0"
    document = json.loads(path.read_text())
    assert document["kind"] == "cniCacheV1"
    assert base64.b64decode(document["config"]) == text
    assert document["cniArgs"] == [["K8S_POD_NAME", "web"]]
    assert document["result"] == RESULT
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_torn_cache_file_does_not_stop_a_delete(bin_dir: Path) -> None:
    (bin_dir.parent / "results").mkdir()
    (bin_dir.parent / "results/pods-c1-eth0").write_text('{"kind": "cniCacheV1", "config": 3')
    await network(conflist({"type": "first"}), bin_dir).delete(AT, within=SOON)
    assert calls(bin_dir)[0][:2] == ("DEL", "first")


async def test_a_plugins_own_error_is_passed_on_with_its_name(bin_dir: Path) -> None:
    plugin(
        bin_dir / "bad", '#!/bin/sh\ncat >/dev/null; echo \'{"code": 111, "msg": "no luck", "details": "d"}\'; exit 1\n'
    )
    with pytest.raises(PluginFailed) as failed:
        await network(conflist({"type": "bad"}), bin_dir).add(AT, within=SOON)
    assert (failed.value.code, "no luck" in str(failed.value), "bad" in str(failed.value)) == (111, True, True)


async def test_code_eleven_is_the_only_one_worth_a_retry(bin_dir: Path) -> None:
    plugin(bin_dir / "busy", '#!/bin/sh\ncat >/dev/null; echo \'{"code": 11, "msg": "later"}\'; exit 1\n')
    with pytest.raises(PluginUnavailable):
        await network(conflist({"type": "busy"}), bin_dir).add(AT, within=SOON)


async def test_a_plugin_that_hangs_is_ended(bin_dir: Path) -> None:
    plugin(bin_dir / "slow", "#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(DeadlineExceeded):
        await network(conflist({"type": "slow"}), bin_dir).add(AT, within=timedelta(milliseconds=100))


async def test_a_missing_program_names_the_directories(bin_dir: Path) -> None:
    with pytest.raises(NotFound, match="is not in") as missing:
        await network(conflist({"type": "absent"}), bin_dir).add(AT, within=SOON)
    assert str(bin_dir) in str(missing.value)


@asynccontextmanager
async def agent(at: Path, answer: dict[str, Any]) -> AsyncIterator[list[dict[str, Any]]]:
    asked: list[dict[str, Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(json.loads(await reader.readline()))
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, str(at))
    try:
        yield asked
    finally:
        server.close()
        await server.wait_closed()


async def test_our_own_type_asks_the_agent_and_starts_no_process(bin_dir: Path) -> None:
    path = bin_dir / "agent.sock"
    async with agent(path, {"ok": True, "result": RESULT}) as asked:
        joined = network(conflist({"type": "groundplane", "agentSocket": str(path)}), bin_dir)
        assert str((await joined.add(AT, within=SOON)).ips[0].address) == "10.0.0.2/32"
    assert (asked[0]["op"], asked[0]["command"], asked[0]["env"]["CNI_CONTAINERID"]) == ("cni", "ADD", "c1")


async def test_the_agents_refusal_keeps_its_kind_and_words(bin_dir: Path) -> None:
    path = bin_dir / "agent.sock"
    error = {"kind": "INVALID", "happened": "is wrong", "to": "field", "hint": "mend it", "cni_code": 7}
    async with agent(path, {"ok": False, "error": error}):
        joined = network(conflist({"type": "groundplane", "agentSocket": str(path)}), bin_dir)
        with pytest.raises(Invalid, match="is wrong"):
            await joined.add(AT, within=SOON)


async def test_an_absent_agent_means_try_again(bin_dir: Path) -> None:
    joined = network(conflist({"type": "groundplane", "agentSocket": str(bin_dir / "none")}), bin_dir)
    with pytest.raises(PluginUnavailable):
        await joined.add(AT, within=SOON)


def test_the_first_valid_file_in_lexical_order_is_taken(tmp_path: Path) -> None:
    (tmp_path / "05-broken.conflist").write_text("{")
    (tmp_path / "10-one.conflist").write_bytes(conflist({"type": "a"}))
    (tmp_path / "20-two.conf").write_text('{"cniVersion": "0.4.0", "name": "other", "type": "b"}')
    assert load_network(tmp_path).name == "pods"


def test_every_refused_file_is_named_when_none_is_valid(tmp_path: Path) -> None:
    with pytest.raises(NoNetwork):
        load_network(tmp_path / "absent")
    (tmp_path / "a.conflist").write_text("{")
    (tmp_path / "b.conf").write_text('{"cniVersion": "1.0.0", "name": "x", "type": "../sh"}')
    with pytest.raises(InvalidConfig) as refused:
        load_network(tmp_path)
    assert all(name in str(refused.value) for name in ("a.conflist", "b.conf"))
