"""libcni's role: find a network's list of plugins, derive each plugin's configuration, run them, keep the result.

ADD and CHECK run in list order, DEL in reverse. A plugin of type `groundplane` is asked through the agent's socket,
with no process started; any other type is executed from the binary directories. A failed ADD leaves what it did to
the caller's DEL, which every runtime sends after a failure: only it knows that the sandbox is given up.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from groundplane.cni import model
from groundplane.cni.cache import Cached, ResultCache
from groundplane.cni.errors import PluginUnavailable, agent_error, cni_error
from groundplane.cni.model import Attachment, InvalidConfig, Result
from groundplane.errors import DeadlineExceeded, NotFound
from groundplane.system import process

BIN_DIR = Path("/opt/cni/bin")
OWN_TYPE = "groundplane"
_SUFFIXES = {".conf", ".conflist", ".json"}
_AT_ONCE = 8  # each executed plugin is a fork and an exec: more than this only queue for the processors
_LONGEST_LINE = 1 << 24


class NoNetwork(NotFound):
    """There is no usable network configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginList:
    """A list as written: `plugins` are the raw objects. `source` is its text, which the cache keeps."""

    name: str
    version: str
    plugins: tuple[Mapping[str, Any], ...]
    disable_check: bool = False
    source: bytes = field(repr=False)


def load_network(
    conf_dir: Path, *, bin_dirs: Sequence[Path] = (BIN_DIR,), cache: ResultCache | None = None
) -> "NetworkList":
    """The first valid file of `conf_dir` in lexical order.

    Raises NoNetwork if there is none, or InvalidConfig with the reasons of every file that was refused.
    """
    try:
        found = sorted(path for path in conf_dir.iterdir() if path.suffix in _SUFFIXES and path.is_file())
    except FileNotFoundError:
        found = []
    refused: list[str] = []
    for path in found:
        try:
            return NetworkList(parse_list(path.read_bytes(), at=path), bin_dirs=bin_dirs, cache=cache)
        except (model.VersionRefused, InvalidConfig) as bad:
            refused.append(str(bad))
    if refused:
        raise InvalidConfig("; ".join(refused), to=conf_dir, hint="mend or remove these files")
    raise NoNetwork(
        "holds no network configuration", to=conf_dir, hint="put a .conflist there, or run `groundplane up`"
    )


def parse_list(text: bytes, *, at: object) -> PluginList:
    """A `.conflist`, or a single plugin's `.conf` as a list of one. Raises InvalidConfig and VersionRefused."""
    try:
        document = model.mapping(json.loads(text), str(at))
    except ValueError as bad:
        raise InvalidConfig(f"is not JSON: {bad}", to=at) from bad
    plugins = model.items(document, "plugins", str(at)) if "plugins" in document else [document]
    if not plugins:
        raise InvalidConfig("names no plugin", to=f"{at}.plugins")
    for index, plugin in enumerate(plugins):
        kind = model.mapping(plugin, f"{at}.plugins[{index}]").get("type")
        if not isinstance(kind, str) or not kind or "/" in kind or kind.startswith("."):
            raise InvalidConfig(f"{kind!r} is not a plugin's type", to=f"{at}.plugins[{index}].type")
    # cniVersions (1.1) offers several: the highest that is spoken here
    offered = [str(one) for one in model.items(document, "cniVersions", str(at))]
    spoken = [one for one in [str(document.get("cniVersion") or ""), *offered] if one in model.VERSIONS]
    if not spoken:
        model.version_key(str(document.get("cniVersion") or ""))
    return PluginList(
        name=model.network_name(document.get("name"), str(at)),
        version=max(spoken, key=model.version_key),
        plugins=tuple(plugins),
        disable_check=str(document.get("disableCheck") or "").lower() == "true",
        source=bytes(text),
    )


def derive(
    plugins: PluginList, plugin: Mapping[str, Any], attachment: Attachment, previous: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A plugin's standard input: name and version injected, declared capabilities as runtimeConfig, prevResult."""
    declared = plugin.get("capabilities")
    wanted = {
        key: attachment.capabilities[key]
        for key, switched_on in (declared.items() if isinstance(declared, Mapping) else ())
        if switched_on and key in attachment.capabilities
    }
    document = {key: value for key, value in plugin.items() if key not in {"capabilities", "cniVersions"}}
    document |= {"name": plugins.name, "cniVersion": plugins.version}
    if wanted:
        document["runtimeConfig"] = wanted
    if previous is not None:
        document["prevResult"] = dict(previous)
    return document


class NetworkList:
    """A network that attachments join and leave. Different attachments may run at once."""

    def __init__(
        self, plugins: PluginList, *, bin_dirs: Sequence[Path] = (BIN_DIR,), cache: ResultCache | None = None
    ) -> None:
        self._plugins = plugins
        self._bin_dirs = tuple(bin_dirs)
        self._cache = cache or ResultCache()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    @property
    def name(self) -> str:
        """The network's name."""
        return self._plugins.name

    @property
    def capabilities(self) -> frozenset[str]:
        """What at least one plugin declares that it takes."""
        declared = (plugin.get("capabilities") for plugin in self._plugins.plugins)
        return frozenset(key for one in declared if isinstance(one, Mapping) for key, on in one.items() if on)

    async def add(self, attachment: Attachment, *, within: timedelta) -> Result:
        """Attach, and keep the result. Raises what a plugin reported, or DeadlineExceeded."""
        previous: Mapping[str, Any] | None = None
        async with _deadline(within, f"ADD to network {self.name}"):
            for plugin in self._plugins.plugins:
                document = derive(self._plugins, plugin, attachment, previous)
                previous = await self._call("ADD", plugin, document, attachment, within=within) or previous
        if previous is None:
            raise InvalidConfig("no plugin gave a result", to=f"network {self.name}")
        result = Result.parse(previous, version=self._plugins.version)
        entry = Cached(config=self._plugins.source, attachment=attachment, result=previous)
        self._cache.put(self.name, entry)
        return result

    async def delete(self, attachment: Attachment, *, within: timedelta) -> None:
        """Detach, with the configuration and arguments of the ADD where they are cached; gone already is success."""
        plugins, at, previous = self._remembered(attachment)
        async with _deadline(within, f"DEL from network {self.name}"):
            for plugin in reversed(plugins.plugins):
                document = derive(plugins, plugin, at, previous)
                await self._call("DEL", plugin, document, at, within=within)
        self._cache.remove(self.name, at.container_id, at.ifname)

    async def check(self, attachment: Attachment, *, within: timedelta) -> None:
        """Raise if the attachment is not as ADD left it. Does nothing where the list says `disableCheck`.

        Raises NotFound where no ADD is remembered, VersionRefused below 0.4.0.
        """
        plugins, at, previous = self._remembered(attachment)
        if plugins.disable_check:
            return
        if model.version_key(plugins.version) < model.version_key("0.4.0"):
            raise model.VersionRefused("CHECK came with 0.4.0", to=f"network {self.name}")
        if previous is None:
            raise NotFound("no result of an ADD is remembered", to=f"{at.container_id} in network {self.name}")
        async with _deadline(within, f"CHECK in network {self.name}"):
            for plugin in plugins.plugins:
                document = derive(plugins, plugin, at, previous)
                await self._call("CHECK", plugin, document, at, within=within)

    async def status(self, *, within: timedelta) -> None:
        """Raise if a plugin could not serve an ADD now. Only 1.1.0 has this; older lists are taken to be ready."""
        if model.version_key(self._plugins.version) < model.version_key("1.1.0"):
            return
        nobody = Attachment(container_id="", netns=None)
        async with _deadline(within, f"STATUS of network {self.name}"):
            for plugin in self._plugins.plugins:
                await self._call("STATUS", plugin, derive(self._plugins, plugin, nobody, None), nobody, within=within)

    def _remembered(self, attachment: Attachment) -> tuple[PluginList, Attachment, Mapping[str, Any] | None]:
        cached = self._cache.get(self.name, attachment.container_id, attachment.ifname)
        if cached is None:
            return self._plugins, attachment, None
        try:
            plugins = parse_list(cached.config, at="cached network configuration")
        except (InvalidConfig, model.VersionRefused):
            plugins = self._plugins  # written by something that this version cannot read: today's list is the best left
        previous = cached.result if model.version_key(plugins.version) >= model.version_key("0.4.0") else None
        return plugins, replace(cached.attachment, netns=attachment.netns), previous

    async def _call(
        self,
        command: str,
        plugin: Mapping[str, Any],
        document: dict[str, Any],
        attachment: Attachment,
        *,
        within: timedelta,
    ) -> Mapping[str, Any] | None:
        env = environment(command, attachment, self._bin_dirs)
        if plugin["type"] == OWN_TYPE:
            path = Path(str(plugin.get("agentSocket") or model.DEFAULT_SOCKET))
            return await _ask_agent(path, {"op": "cni", "command": command, "env": env, "config": document})
        async with self._slots:
            return await self._execute(str(plugin["type"]), document, env, within=within)

    async def _execute(
        self, kind: str, document: dict[str, Any], env: dict[str, str], *, within: timedelta
    ) -> Mapping[str, Any] | None:
        program = next((one / kind for one in self._bin_dirs if os.access(one / kind, os.X_OK)), None)
        if program is None:
            where = ", ".join(map(str, self._bin_dirs))
            raise NotFound(f"is not in {where}", to=f"CNI plugin {kind}", hint="install it there")
        done = await process.run(
            (str(program),),
            within=within,
            stdin=json.dumps(document).encode(),
            env={"PATH": os.environ.get("PATH", os.defpath), **env},
            check=False,
        )
        try:
            answer = json.loads(done.stdout) if done.stdout.strip() else None
        except ValueError as bad:
            words = (done.stderr or done.stdout)[-500:].decode("utf-8", "replace").strip()
            raise cni_error({"msg": f"answered no JSON: {words}"}, plugin=kind) from bad
        if done.code != 0:
            words = done.stderr[-500:].decode("utf-8", "replace").strip()
            raise cni_error(answer if isinstance(answer, Mapping) else {"msg": words}, plugin=kind)
        return answer if isinstance(answer, Mapping) else None


def environment(command: str, attachment: Attachment, bin_dirs: Sequence[Path]) -> dict[str, str]:
    """A plugin's CNI_ variables."""
    env = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": attachment.container_id,
        "CNI_NETNS": "" if attachment.netns is None else str(attachment.netns),
        "CNI_IFNAME": attachment.ifname if attachment.container_id else "",
        "CNI_ARGS": ";".join(f"{key}={value}" for key, value in attachment.args),
        "CNI_PATH": ":".join(map(str, bin_dirs)),
    }
    return {key: value for key, value in env.items() if value or key == "CNI_NETNS"}


@asynccontextmanager
async def _deadline(within: timedelta, what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(within.total_seconds()):
            yield
    except TimeoutError as late:
        raise DeadlineExceeded(f"did not end within {within.total_seconds():g} s", to=what) from late


async def _ask_agent(path: Path, message: dict[str, Any]) -> Mapping[str, Any] | None:
    hint = "start groundplane-agent on this host"
    try:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=_LONGEST_LINE)
    except OSError as refused:
        raise PluginUnavailable(f"the agent does not answer: {refused}", to=path, hint=hint) from refused
    try:
        writer.write(json.dumps(message).encode() + b"\n")
        await writer.drain()
        line = await reader.readline()
        answer = json.loads(line) if line else None
    except (OSError, ValueError) as broken:
        raise PluginUnavailable(f"the agent broke off: {broken}", to=path, hint=hint) from broken
    finally:
        writer.close()
    if not isinstance(answer, Mapping):
        raise PluginUnavailable("the agent closed the connection before it answered", to=path, hint=hint)
    if answer.get("ok"):
        result = answer.get("result")
        return result if isinstance(result, Mapping) and result else None
    raise agent_error(model.mapping(answer.get("error") or {}, "agent's answer"))
