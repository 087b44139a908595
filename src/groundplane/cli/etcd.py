"""`groundplane etcd …`: etcdctl's own tables, and the unit files."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from groundplane.cli.target import cluster_of, lab_of
from groundplane.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from groundplane.etcd import Client

T = TypeVar("T")


def health(arguments: argparse.Namespace) -> int:
    """Does each endpoint commit; 1 if one does not, as etcdctl."""
    from groundplane.etcd import tables
    from groundplane.etcd.health import observe_health

    rows = _ask(arguments, observe_health)
    sys.stdout.write(tables.health_json(rows) if arguments.output == "json" else tables.health_table(rows))
    return 0 if all(row.healthy for row in rows) else 1


def status(arguments: argparse.Namespace) -> int:
    """What each member says of itself; 1 if one does not answer."""
    from groundplane.etcd import tables
    from groundplane.etcd.health import observe_status

    rows, failures = _ask(arguments, observe_status)
    for endpoint, failed in failures.items():
        print(f"Failed to get the status of endpoint {endpoint} ({failed.happened})", file=sys.stderr)
    sys.stdout.write(tables.status_json(rows) if arguments.output == "json" else tables.status_table(rows))
    return 1 if failures else 0


def members(arguments: argparse.Namespace) -> int:
    """Who belongs to the cluster."""
    from groundplane.etcd import tables

    found = _ask(arguments, lambda client: client.member_list())
    sys.stdout.write(tables.members_json(found) if arguments.output == "json" else tables.members_table(found))
    return 0


def unit(arguments: argparse.Namespace) -> int:
    """Print the systemd unit of one member."""
    from groundplane.cluster import wanted
    from groundplane.cluster.model import Role
    from groundplane.etcd import render_unit

    cluster = cluster_of(arguments)
    host = cluster.host(arguments.host)
    if host is None or Role.ETCD not in host.roles:
        known = ", ".join(found.name for found in cluster.with_role(Role.ETCD))
        raise NotFound("no such host with the role etcd", to=arguments.host, hint=f"known: {known}")
    sys.stdout.write(render_unit(wanted.member(cluster, host)))
    return 0


def _ask(arguments: argparse.Namespace, question: "Callable[[Client], Awaitable[T]]") -> T:
    """Ask etcd as the operator, from inside the fabric."""
    from groundplane.cluster import wanted
    from groundplane.cluster.certificates import Store
    from groundplane.cluster.status import operator_tls
    from groundplane.etcd import Client
    from groundplane.system import netns

    cluster, lab = cluster_of(arguments), lab_of(arguments)
    if not netns.pinned(lab.paths.fabric):
        raise Unavailable("the cluster is down", to=lab.name, hint="run `groundplane up`")
    lab.enter_fabric()

    async def run() -> T:
        async with Client(wanted.endpoints(cluster), tls=operator_tls(Store(lab.paths.pki))) as client:
            return await question(client)

    return asyncio.run(run())
