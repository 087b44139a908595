"""The agent of one host: joins the datastore, the calculation, the kernel, BIRD and the socket.

    etcd ──watch──▶ Mirror ──▶ compute, views ──▶ packet filter, routes, tunnel   (one change at a time, coalesced)
                                            └──▶ bird.conf ──configure──▶ BIRD
    socket ──▶ Pods: ADD, DEL, CHECK …   resources.*   status

It may be killed at any moment and started again, with or without etcd: what the kernel has stays as it is until the
cluster has been read, and then only the difference is written. While etcd is away, pods keep running as they are.
"""

import asyncio
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from groundplane.aio import serve_until_signal
from groundplane.cni.request import parse_request
from groundplane.errors import GroundplaneError, Invalid, Unavailable
from groundplane.etcd import Client
from groundplane.network import registration, resource_ops
from groundplane.network.config import AgentConfig, parse_config
from groundplane.network.convergence import Convergence
from groundplane.network.datastore import Datastore
from groundplane.network.ipam import Allocator, EtcdStore
from groundplane.network.mirror import Mirror
from groundplane.network.pods import Pods
from groundplane.network.report import report
from groundplane.network.server import AgentServer
from groundplane.network.stores import EtcdAddresses, EtcdRecords
from groundplane.observe import logger, set_up

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_REFRESH = timedelta(seconds=90)  # Felix's refresh interval of routes and sets


class Agent:
    """One host's. `async with` starts it; leaving the block stops it, and leaves the kernel as it is."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._log = logger("agent")
        self._client = Client(config.endpoints, tls=config.tls)
        self._store = Datastore(self._client)
        self._allocator = Allocator(EtcdStore(self._client))
        self._mirror = Mirror()
        self._turn = asyncio.Lock()
        self._work = Convergence(config, self._mirror)
        self._pods = Pods(
            node=config.node,
            addresses=EtcdAddresses(self._allocator, self._mirror, turn=self._turn),
            records=EtcdRecords(self._store, self._mirror),
            calculated=self._work,
            links=self._work.links,
            mtu=self._work.pod_mtu,
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self._client.close)
        await self._work.start()
        self._stack.push_async_callback(self._work.stop)
        await self._stack.enter_async_context(AgentServer(self._config.socket, self._handle))
        group = await self._stack.enter_async_context(_Group())
        group.start(self._follow())
        group.start(self._work.run())
        group.start(self._refresh())
        group.start(self._keep_tunnel_address())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _handle(self, op: str, message: Mapping[str, Any]) -> object:
        match op:
            case "cni":
                env, command = message.get("env"), str(message.get("command") or "")
                if not isinstance(env, Mapping):
                    raise Invalid("is not an object", to="env")
                request = parse_request(command, env, message.get("config"))
                return await self._pods.serve(request)
            case "status":
                return await report(self._config, self._mirror, self._work, self._allocator)
            case "resources.apply":
                return await resource_ops.apply_all(self._store, message.get("documents"))
            case "resources.list":
                return await resource_ops.list_all(self._store, message)
            case "resources.delete":
                return await resource_ops.delete_one(self._store, self._allocator, message)
        raise Invalid(f"{op!r} is not an operation", to="op", hint="cni, status or resources.*")

    async def _follow(self) -> None:
        pause, waiting = _FIRST_PAUSE, False
        while True:
            try:
                config = self._config
                guid = uuid.uuid4().hex
                await registration.register(self._store, name=config.node, address=config.address, guid=guid)
                async for batch in self._store.watch_all():
                    pause, waiting = _FIRST_PAUSE, False
                    self._mirror.take(batch)
                    self._work.changed()
            except Unavailable as away:
                if not waiting:
                    self._log.warning("etcd.unavailable", reason=str(away))
                waiting = True
            except GroundplaneError as refused:
                self._log.error("etcd.refused", reason=str(refused))
            # etcd has no event for "I am back": gRPC is asked again, ever less often
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH.total_seconds())
            self._work.changed(again=True)

    async def _keep_tunnel_address(self) -> None:
        while True:
            await self._work.next_change()
            node = self._mirror.node(self._config.node)
            if node is None or node.bgp is None:
                continue
            pools = registration.tunnel_pools(self._mirror.pools(), node)
            have = node.bgp.ipv4_ipip_tunnel_addr
            if (have is None and not pools) or (have is not None and any(have in pool.cidr for pool in pools)):
                continue
            try:
                async with self._turn:
                    await registration.give_tunnel_address(self._store, self._allocator, node, pools)
            except GroundplaneError as refused:
                self._log.error("tunnel.address", reason=str(refused))


class _Group:
    """A TaskGroup whose tasks never end by themselves: leaving the block cancels them."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Any) -> None:
        self._tasks.append(self._group.create_task(work))

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(kind, error, trace)


async def _run(config: AgentConfig) -> None:
    await serve_until_signal(Agent(config))


def main(config: Path) -> int:
    """Run until SIGTERM; the exit code."""
    try:
        parsed = parse_config(config.read_bytes(), at=config)
    except OSError as missing:
        refused = Invalid(f"cannot be read: {missing.strerror}", to=config, hint="`groundplane up` writes it")
        set_up()
        logger("agent").error("agent.config", reason=str(refused))
        return refused.kind.exit_code
    except GroundplaneError as refused:
        set_up()
        logger("agent").error("agent.config", reason=str(refused))
        return refused.kind.exit_code
    set_up(level=parsed.log)
    try:
        asyncio.run(_run(parsed))
    except GroundplaneError as refused:
        logger("agent").error("agent.failed", reason=str(refused))
        return refused.kind.exit_code
    return 0
