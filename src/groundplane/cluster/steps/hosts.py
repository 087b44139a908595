"""Hosts: boot those that are down, put every file in its place, run every unit."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from groundplane.cluster import layout, wanted
from groundplane.cluster.lab.init import UNITS
from groundplane.cluster.lab.lab import Lab, boots
from groundplane.cluster.lab.spawn import Spawner
from groundplane.cluster.lab.units import Unit
from groundplane.cluster.model import Cluster, Host, Role
from groundplane.cluster.provider import HostDoor
from groundplane.cluster.wanted import WantedFile
from groundplane.errors import Failed
from groundplane.system import files

_LOOK_AGAIN = 0.01  # seconds between looks at a supervisor, which has no way to call back; a look costs 0.3 ms


class UnitNotReady(Failed):
    """A unit did not come to serve in time; the end of its log says why."""


async def boot(cluster: Cluster, lab: Lab, spawner: Spawner | None) -> tuple[str, ...]:
    """Boot the hosts that are down. Names of those it booted."""
    down = [host for host in cluster.hosts if not lab.up(host.name)]
    if not down:
        return ()
    assert spawner is not None  # `up` makes one whenever a host is down
    await asyncio.to_thread(_clear_run_directories, lab, down)
    await asyncio.to_thread(spawner.boot, boots(cluster, lab, down))
    return tuple(host.name for host in down)


def _clear_run_directories(lab: Lab, hosts: Iterable[Host]) -> None:
    """A host that was cut off left sockets and pins that mean nothing any more."""
    import shutil

    from groundplane.cluster.lab import cgroups

    for host in hosts:
        paths = lab.paths.host(host.name)
        cgroups.kill(paths.cgroup)
        if paths.run.exists():
            shutil.rmtree(paths.run)


def lay_out(door: HostDoor, host: Host, wanted_files: Iterable[WantedFile]) -> list[Path]:
    """Put files in place; the paths of those that were not so already."""
    written = [
        file.path
        for file in wanted_files
        if not (file.keep and door.read(file.path) is not None) and door.write(file.path, file.data, mode=file.mode)
    ]
    if Role.ETCD in host.roles:
        for directory in (layout.ETCD_DATA, layout.ETCD_WAL):
            door.make_directory(directory, mode=files.PRIVATE_DIR)
        for link, target in layout.ETCD_LINKS:
            door.link(link, target)
    return written


def host_files(cluster: Cluster, host: Host) -> tuple[WantedFile, ...]:
    """Every configuration file of a host, with what only this machine can say filled in."""
    import sys

    from groundplane.cluster.steps.network import first_bird_config
    from groundplane.cni.executable import executable_text

    package_root = Path(__file__).resolve().parents[3]
    return wanted.files(
        cluster,
        host,
        cni_executable=executable_text(sys.executable, str(package_root)),
        bird_first=first_bird_config(cluster, host) if Role.NODE in host.roles else "",
    )


def units(cluster: Cluster, host: Host, *, ca: bytes) -> tuple[Unit, ...]:
    """Every unit of a host, in the order in which they may start."""
    found: list[Unit] = []
    if Role.NODE in host.roles:
        found.extend(wanted.node_units(ca=ca))
    if Role.ETCD in host.roles:
        found.append(wanted.etcd_unit(cluster, host, ca=ca))
    if Role.NODE in host.roles:
        found.append(wanted.PODS_UNIT)
    return tuple(found)


async def run_units(
    door: HostDoor, wanted_units: Sequence[Unit], *, only: frozenset[str]
) -> Mapping[str, Sequence[str]]:
    """Have a host run the units named `only` as wanted; what it runs besides stays as it is, changed or not."""
    recorded = door.read(UNITS)
    have = {unit.name: unit for unit in map(Unit.from_json, json.loads(recorded))} if recorded else {}
    chosen = [unit if unit.name in only else have.get(unit.name) for unit in wanted_units]
    names = {unit.name for unit in wanted_units}
    surplus = [unit for name, unit in have.items() if name not in names]
    return await door.apply([unit for unit in (*chosen, *surplus) if unit is not None])


async def stop_surplus(door: HostDoor, wanted_units: Sequence[Unit]) -> Sequence[str]:
    """Have a host run exactly these units. The names of those stopped."""
    return (await door.apply(wanted_units)).get("stopped", ())


async def until_running(door: HostDoor, unit: str, *, within: float, log: Callable[[], str]) -> None:
    """Wait until a unit serves. Raises UnitNotReady with the end of its log."""
    try:
        async with asyncio.timeout(within):
            while True:
                status = (await door.status()).get(unit)
                if status is not None and status.running:
                    return
                await asyncio.sleep(_LOOK_AGAIN)
    except TimeoutError as late:
        hint = f"see `groundplane logs {door.name} {unit}`"
        raise UnitNotReady(f"{unit} does not serve after {within:g} s: {log()}", to=door.name, hint=hint) from late
