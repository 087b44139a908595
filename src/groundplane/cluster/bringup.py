"""Carry out one `up`: the steps, in the order that `up`'s picture shows, each timed and told of."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane import pki
from groundplane.aio import Retry
from groundplane.cluster import layout, record, wanted
from groundplane.cluster.certificates import Store, agent_name
from groundplane.cluster.lab.host import LabHost
from groundplane.cluster.lab.lab import Lab
from groundplane.cluster.lab.spawn import Spawner
from groundplane.cluster.lab.units import Unit
from groundplane.cluster.model import Cluster, Host, Role
from groundplane.cluster.observe import Observed, members, members_with_data, observe
from groundplane.cluster.plan import check_members
from groundplane.cluster.status import look, operator_tls, pods_seen
from groundplane.cluster.steps import hosts as host_steps
from groundplane.cluster.steps import images as image_steps
from groundplane.cluster.steps import network as network_steps
from groundplane.cluster.steps.proof import prove
from groundplane.errors import Failed
from groundplane.etcd import Client
from groundplane.names import HostName

if TYPE_CHECKING:
    from groundplane.cluster.up import Steps

_SETTLE = Retry(within=timedelta(seconds=60), first=timedelta(milliseconds=10), longest=timedelta(milliseconds=100))
_LOOK_AGAIN = 0.02  # seconds between looks at what has no way to call back
_UNIT_WITHIN = 60.0


@dataclass(slots=True)
class BringUp:
    """One run of `up`, under the lab's lock."""

    cluster: Cluster
    before: Cluster | None
    lab: Lab
    spawner: Spawner | None
    steps: "Steps"
    _race: pki.KeyRace | None = None
    _store: Store = field(init=False)
    _asked: dict[HostName, set[str]] = field(default_factory=dict)
    _applying: dict[HostName, asyncio.Lock] = field(default_factory=dict)

    def prepare(self) -> None:
        """What must happen before there is an event loop or a thread: fork for the CA's key, enter the fabric."""
        from groundplane.cluster.lab import fabric

        self._store = Store(self.lab.paths.pki)
        # Whatever is going to refuse refuses now, before anything is made.
        check_members(members_with_data(self.before, self.lab), members(self.cluster))
        self._store.decide(self.cluster, now=datetime.now(UTC))
        self._race = self._store.start_race(self.cluster, now=datetime.now(UTC))
        try:
            began = time.monotonic()
            made = fabric.ensure(
                self.lab.paths.fabric, self.cluster.networks, [host.address for host in self.cluster.hosts]
            )
            self.lab.enter_fabric()
            self.steps.done(
                "fabric", began, [f"bridge for {network}" for network in self.cluster.networks] if made else []
            )
        except BaseException:
            if self._race is not None:
                self._race.cancel()
            raise

    async def run(self) -> bool:
        """Do the difference and prove the result; whether the cluster is healthy."""
        observed = await observe(self.cluster, self.before, self.lab)
        await self._stop_leaving(observed)
        async with asyncio.TaskGroup() as group:
            certificates = group.create_task(self._certificates(observed))
            group.create_task(self._hosts())
            images = group.create_task(asyncio.to_thread(image_steps.build_lab_image, self.lab))
        del certificates
        record.save(self.cluster)
        await self._files()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._images(images.result()))
            group.create_task(self._etcd_then_network(observed))
        await self._pods(observed)
        return await self._prove()

    def _doors(self, role: Role | None = None) -> list[tuple[Host, LabHost]]:
        hosts = self.cluster.hosts if role is None else self.cluster.with_role(role)
        return [(host, self.lab.host(host.name)) for host in hosts]

    async def _stop_leaving(self, observed: Observed) -> None:
        leaving = observed.facts.leaving
        if leaving:
            began = time.monotonic()
            await asyncio.to_thread(self.lab.forget, [HostName(name) for name in leaving])
            for name in leaving:
                self._store.forget(agent_name(name))
            self.steps.done("leaving", began, [f"stopped {name}" for name in leaving])

    async def _certificates(self, observed: Observed) -> None:
        began = time.monotonic()
        now = datetime.now(UTC)
        issued = await asyncio.to_thread(
            self._store.issue, self.cluster, observed.facts.certificates, now=now, race=self._race
        )
        self.steps.done("certificates", began, [f"issued {', '.join(issued)}"] if issued else [])

    async def _hosts(self) -> None:
        began = time.monotonic()
        booted = await host_steps.boot(self.cluster, self.lab, self.spawner)
        self.steps.done("hosts", began, [f"booted {', '.join(booted)}"] if booted else [], nothing="up")

    async def _files(self) -> None:
        """Every file in its place; then what needs no store may start while etcd forms."""
        began = time.monotonic()

        def lay_out() -> list[str]:
            done = []
            for host, door in self._doors():
                every = (*self._store.for_host(host), *host_steps.host_files(self.cluster, host))
                written = host_steps.lay_out(door, host, every)
                if written:
                    done.append(f"{len(written)} on {host.name}")
            return done

        self.steps.done("files", began, await asyncio.to_thread(lay_out))

    def _units(self, host: Host) -> tuple[Unit, ...]:
        return host_steps.units(self.cluster, host, ca=self._store.ca_pem())

    async def _run(self, host: Host, door: LabHost, *names: str) -> dict[str, str]:
        """Have these units run, besides those that run already or were asked for before. "started" or "restarted"."""
        async with self._applying.setdefault(host.name, asyncio.Lock()):
            asked = self._asked.setdefault(host.name, set())
            asked.update(names)
            result = await host_steps.run_units(door, self._units(host), only=frozenset(asked))
        return {name: verb for verb in ("started", "restarted") for name in result.get(verb, ())}

    async def _images(self, archive: Path) -> None:
        """The runtime starts, then takes in the images that its pods need."""
        began = time.monotonic()

        async def one(host: Host, door: LabHost) -> tuple[str, ...]:
            await self._run(host, door, "groundplane-cri", "bird")
            pods = [pod for pod in self.cluster.pods if pod.host == host.name]
            await self._until(door, "groundplane-cri")
            return await image_steps.ensure(door, pods, archive) if pods else ()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(host, door)) for host, door in self._doors(Role.NODE)]
        imported = [
            f"{name} on {host.name}"
            for (host, _), t in zip(self._doors(Role.NODE), tasks, strict=True)
            for name in t.result()
        ]
        self.steps.done("images", began, imported)

    async def _etcd_then_network(self, observed: Observed) -> None:
        await self._etcd(observed)
        await self._resources()
        await self._agents()

    async def _etcd(self, observed: Observed) -> None:
        """New members one after the other as fast as each listens; running ones, if changed, one at a time to health.

        A fresh member first asks its peers' `/members` with a limit of a second each, and one whose listener is open
        but which does not answer yet costs that second: so each waits for the one before.
        """
        began = time.monotonic()
        done = []
        forming = not observed.etcd_serves
        for host, door in self._doors(Role.ETCD):
            verb = (await self._run(host, door, "etcd")).get("etcd")
            if verb:
                done.append(f"{host.name} {verb}")
                if forming:
                    await self._until_listening(host, door)
                else:
                    await self._until(door, "etcd")
        for _, door in self._doors(Role.ETCD):
            await self._until(door, "etcd")
        self.steps.done("etcd", began, done, nothing="serving")

    async def _until_listening(self, host: Host, door: LabHost) -> None:
        end = time.monotonic() + _UNIT_WITHIN
        while True:
            try:
                _, writer = await asyncio.open_connection(str(host.ip), layout.PEER_PORT)
            except OSError:
                if time.monotonic() > end:
                    await host_steps.until_running(door, "etcd", within=0.1, log=lambda: door.log_tail("etcd"))
                await asyncio.sleep(0.005)
                continue
            writer.close()
            return

    async def _resources(self) -> None:
        began = time.monotonic()
        tls = operator_tls(self._store)
        async with Client(wanted.endpoints(self.cluster), tls=tls) as client:
            states = await _SETTLE(lambda: network_steps.compare(self.cluster, client))
            gone = network_steps.stale(self.cluster, self.before).values()
            done = await network_steps.apply(self.cluster, client, states, gone)
            done += await network_steps.register_nodes(self.cluster, client)
        self.steps.done("resources", began, done)

    async def _agents(self) -> None:
        began = time.monotonic()
        done = []
        for host, door in self._doors(Role.NODE):
            if verb := (await self._run(host, door, "groundplane-agent")).get("groundplane-agent"):
                done.append(f"{host.name} {verb}")
        for _, door in self._doors(Role.NODE):
            await self._until(door, "groundplane-agent")
        self.steps.done("agents", began, done, nothing="in step")

    async def _pods(self, observed: Observed) -> None:
        """The keepers start, or are told that their list has changed; then every pod must run."""
        began = time.monotonic()
        import signal

        for host, door in self._doors():
            await self._run(host, door, wanted.PODS_UNIT.name)
            await host_steps.stop_surplus(door, self._units(host))
            if host.name in observed.pods_changed and "groundplane-pods" in await door.status():
                await door.signal("groundplane-pods", signal.SIGHUP)
        waiting = {f"{pod.namespace}/{pod.name}" for pod in self.cluster.pods}
        already = {key for key, state in observed.facts.pods.items() if not state}
        end = time.monotonic() + _UNIT_WITHIN
        while waiting:
            for _, door in self._doors(Role.NODE):
                for key, seen in (await pods_seen(self.cluster, door)).items():
                    if seen.state == "running" and seen.ip:
                        waiting.discard(key)
            if waiting and time.monotonic() > end:
                words = "; ".join(
                    f"{door.name}: {door.log_tail('groundplane-pods')}" for _, door in self._doors(Role.NODE)
                )
                raise Failed(f"pods {', '.join(sorted(waiting))} do not run: {words}", to=self.cluster.name)
            if waiting:
                await asyncio.sleep(_LOOK_AGAIN)
        started = [
            f"{pod.name} on {pod.host}" for pod in self.cluster.pods if f"{pod.namespace}/{pod.name}" not in already
        ]
        self.steps.done("pods", began, started, nothing="running")

    async def _until(self, door: LabHost, unit: str) -> None:
        await host_steps.until_running(door, unit, within=_UNIT_WITHIN, log=lambda: door.log_tail(unit))

    async def _prove(self) -> bool:
        """BGP up, everything healthy, and packets between all pods."""
        began = time.monotonic()
        picture = await look(self.cluster, self.lab)
        end = time.monotonic() + _UNIT_WITHIN
        while not picture.healthy and time.monotonic() < end:
            await asyncio.sleep(_LOOK_AGAIN)
            picture = await look(self.cluster, self.lab)
        self.steps.done(
            "health", began, [], nothing=f"leader {picture.leader}, BGP {picture.established}/{picture.sessions}"
        )
        if not picture.healthy:
            for problem in picture.problems:
                self.steps.tell("problem", 0.0, problem, ok=False)
            return False
        return await self._proof()

    async def _proof(self) -> bool:
        if len(self.cluster.pods) < 2:  # noqa: PLR2004 - nothing to prove between fewer
            return True
        began = time.monotonic()
        async with Client(wanted.endpoints(self.cluster), tls=operator_tls(self._store)) as client:
            proof = await prove(self.cluster, self._doors(Role.NODE), client)
        self.steps.done("proof", began, [], nothing=proof.words())
        for problem in proof.problems():
            self.steps.tell("proof", 0.0, problem, ok=False)
        return not proof.problems()
