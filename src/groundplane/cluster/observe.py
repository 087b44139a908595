"""Look at what is there before anything is changed: the facts that `plan` decides from."""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from groundplane.cluster import layout, wanted
from groundplane.cluster.certificates import Store
from groundplane.cluster.lab.init import UNITS
from groundplane.cluster.lab.lab import Lab
from groundplane.cluster.lab.units import Unit, difference
from groundplane.cluster.model import Cluster, Host, Role
from groundplane.cluster.plan import Facts, HostFacts
from groundplane.cluster.status import operator_tls, pods_seen
from groundplane.cluster.steps import hosts as host_steps
from groundplane.cluster.steps import network as network_steps
from groundplane.errors import GroundplaneError
from groundplane.etcd import Client
from groundplane.system import files

_QUICK = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The facts, and what only carrying them out needs. `pods_changed`: hosts whose list of pods will be another."""

    facts: Facts
    etcd_serves: bool
    pods_changed: frozenset[str]


async def observe(cluster: Cluster, before: Cluster | None, lab: Lab) -> Observed:
    """Everything, at the same time. Changes nothing. etcd is reached only from inside the fabric."""
    store = Store(lab.paths.pki)
    decisions = store.decide(cluster, now=datetime.now(UTC))
    async with asyncio.TaskGroup() as group:
        hosts = [group.create_task(_host(cluster, lab, store, host)) for host in cluster.hosts]
        resources = group.create_task(_resources(cluster, lab, store))
        pods = group.create_task(_pods(cluster, lab))
    wanted_names = {host.name for host in cluster.hosts}
    seen, serves = resources.result()
    facts = Facts(
        fabric=lab.fabric_up(cluster.networks),
        certificates=decisions,
        hosts=tuple(task.result() for task in hosts),
        leaving=tuple(name for name in lab.known_hosts() if name not in wanted_names),
        members_before=members_with_data(before, lab),
        members_wanted=members(cluster),
        resources=seen,
        stale_resources=tuple(network_steps.stale(cluster, before)),
        pods=pods.result(),
    )
    changed = frozenset(host.name for host in facts.hosts if layout.PODS_CONFIG in host.files)
    return Observed(facts=facts, etcd_serves=serves, pods_changed=changed)


def members(cluster: Cluster) -> frozenset[str]:
    """The hosts with etcd. Pure."""
    return frozenset(host.name for host in cluster.with_role(Role.ETCD))


def members_with_data(before: Cluster | None, lab: Lab) -> frozenset[str] | None:
    """The members of the etcd that was brought up last, None if nothing of it is left."""
    if before is None:
        return None
    left = any((lab.paths.host(host.name).data / "opt-etcd/wal").exists() for host in before.hosts)
    return members(before) if left else None


async def _host(cluster: Cluster, lab: Lab, store: Store, host: Host) -> HostFacts:
    door = lab.host(host.name)
    up = lab.up(host.name)
    every = list(host_steps.host_files(cluster, host))
    ca = files.read_optional(store.pair("ca").certificate)
    if ca is not None:
        try:
            every += store.for_host(host)
        except FileNotFoundError:
            pass  # a certificate that is still to be issued; its issuing is in the plan
    different: dict[Path, bool] = {}
    for file in every:
        there = door.read(file.path)
        if there != file.data and not (file.keep and there is not None):
            different[file.path] = there is not None
    units = {unit.name: unit for unit in host_steps.units(cluster, host, ca=ca or b"")}
    have: dict[str, Unit] = {}
    if up:
        recorded = door.read(UNITS)
        have = {unit.name: unit for unit in map(Unit.from_json, json.loads(recorded))} if recorded else {}
    change = difference(have, units)
    verbs = dict.fromkeys(units, "")
    verbs.update({unit.name: "start" for unit in change.start})
    verbs.update({unit.name: "restart" for unit in change.restart})
    return HostFacts(name=host.name, up=up, files=different, units=verbs, surplus=change.stop)


async def _resources(cluster: Cluster, lab: Lab, store: Store) -> tuple[dict[str, str], bool]:
    """What is in etcd of what is wanted, and whether etcd serves; all missing where it does not."""
    tls = operator_tls(store)
    missing = dict.fromkeys(network_steps.wanted(cluster), "missing")
    running = any(lab.up(host.name) for host in cluster.with_role(Role.ETCD))
    if not running or not all(path.exists() for path in (tls.ca, tls.cert, tls.key)):
        return missing, False
    try:
        async with Client(wanted.endpoints(cluster), tls=tls, timeout=_QUICK) as client:
            return await network_steps.compare(cluster, client), True
    except GroundplaneError:
        return missing, False  # etcd does not serve: `up` starts or waits for it


async def _pods(cluster: Cluster, lab: Lab) -> dict[str, str]:
    found = {f"{pod.namespace}/{pod.name}": "missing" for pod in cluster.pods}
    for host in cluster.with_role(Role.NODE):
        if lab.up(host.name):
            for key, seen in (await pods_seen(cluster, lab.host(host.name))).items():
                found[key] = "" if seen.state == "running" and seen.ip else seen.state
    return found
