"""What every host should hold and run, computed from the cluster alone. Pure: the same cluster gives the same bytes.

Certificates are not here: whether one must be issued depends on what is there (`cluster.certificates`).
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from groundplane.cluster import layout
from groundplane.cluster.lab.units import Unit
from groundplane.cluster.model import Cluster, Host, Pod, Role
from groundplane.cluster.pods.model import WantedPod
from groundplane.etcd.flags import MemberSpec, render_flags
from groundplane.names import HostName

NETWORK_NAME = "k8s-pod-network"
LAB_IMAGE = "groundplane/lab"
_UID_SPACE = uuid.UUID("6f7a1c0e-54b1-5d0c-9d51-3f1f8d5c2a11")


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFile:
    """A file's whole content and mode. `keep`: only written where there is none (a daemon owns it afterwards)."""

    path: Path
    data: bytes
    mode: int = 0o644
    keep: bool = False


def endpoint(host: Host) -> str:
    """The client URL of the member on `host`, if there is one."""
    return f"https://{host.ip}:{layout.CLIENT_PORT}"


def endpoints(cluster: Cluster) -> tuple[str, ...]:
    """The members' client URLs, in the file's order."""
    return tuple(endpoint(host) for host in cluster.with_role(Role.ETCD))


def member(cluster: Cluster, host: Host) -> MemberSpec:
    """What etcd on `host` is started with."""
    return MemberSpec(
        name=host.name,
        address=host.ip,
        peers={peer.name: f"https://{peer.ip}:{layout.PEER_PORT}" for peer in cluster.with_role(Role.ETCD)},
        token=cluster.etcd.token,
        data_dir=layout.ETCD_DATA,
        wal_dir=layout.ETCD_WAL,
        cert=layout.ETCD_CERT,
        key=layout.ETCD_KEY,
        ca=layout.CA,
        flags=dict(cluster.etcd.flags),
        plain_loopback=cluster.etcd.plain_loopback,
    )


def etcd_unit(cluster: Cluster, host: Host, *, ca: bytes) -> Unit:
    """Etcd reads new leaf certificates by itself, but a new CA only at start: `ca` is part of the unit's revision."""
    return Unit(
        name="etcd",
        argv=(str(layout.ETCD_BINARY), *render_flags(member(cluster, host))),
        directory=str(layout.ETCD_DATA),
        notify=True,
        revision=hashlib.sha256(ca).hexdigest()[:16],
        stop_seconds=3.0,  # it hands leadership over within a second; with no quorum left it would wait in vain
    )


def node_units(*, ca: bytes) -> tuple[Unit, ...]:
    """The units of every host with the role node, but for the pods'."""
    revision = hashlib.sha256(ca).hexdigest()[:16]
    # -R: a restarted BIRD tells its peers that the kernel kept forwarding, so that they keep its routes too.
    bird = (str(layout.BIRD_BINARY), "-R", "-f", "-c", str(layout.BIRD_CONFIG), "-s", str(layout.BIRD_SOCKET))
    return (
        Unit(name="bird", argv=bird, stop_seconds=2.0),
        Unit(name="groundplane-cri", daemon="cri", notify=True),
        Unit(name="groundplane-agent", daemon="agent", notify=True, revision=revision),
    )


PODS_UNIT = Unit(name="groundplane-pods", daemon="pods")


def files(cluster: Cluster, host: Host, *, cni_executable: str, bird_first: str) -> tuple[WantedFile, ...]:
    """Every configuration file of a host. `bird_first`: what BIRD starts with, until the agent renders."""
    if Role.NODE not in host.roles:
        return ()
    return (
        _json(layout.AGENT_CONFIG, agent_config(cluster, host), mode=0o600),
        _json(layout.CRI_CONFIG, cri_config(cluster), mode=0o600),
        _json(layout.PODS_CONFIG, pods_config(cluster, host.name), mode=0o600),
        _json(layout.CNI_CONF, cni_config()),
        WantedFile(path=layout.CNI_BINARY, data=cni_executable.encode(), mode=0o755),
        WantedFile(path=layout.BIRD_CONFIG, data=bird_first.encode(), mode=0o640, keep=True),
    )


def agent_config(cluster: Cluster, host: Host) -> Mapping[str, object]:
    """`/etc/groundplane/agent.json`."""
    return {
        "cluster": cluster.name,
        "node": host.name,
        "address": str(host.address),
        "etcd": {
            "endpoints": sorted(endpoints(cluster), key=lambda url: url != endpoint(host)),  # its own member first
            "ca": str(layout.CA),
            "cert": str(layout.AGENT_CERT),
            "key": str(layout.AGENT_KEY),
        },
        "socket": str(layout.AGENT_SOCKET),
        "bird": {"config": str(layout.BIRD_CONFIG), "socket": str(layout.BIRD_SOCKET)},
    }


def cri_config(cluster: Cluster) -> Mapping[str, object]:
    """`/etc/groundplane/cri.json`."""
    return {
        "socket": str(layout.CRI_SOCKET),
        "root": str(layout.STATE / "cri"),
        "state": str(layout.RUN / "cri"),
        "handler": cluster.handler,
        "conmon": "/usr/bin/conmon",
        "cni_conf_dir": str(layout.CNI_CONF_DIR),
        "cni_bin_dir": str(layout.CNI_BIN_DIR),
        "cgroup_parent": "/pods",
    }


def cni_config() -> Mapping[str, object]:
    """The network list that the runtime and any other CNI user reads."""
    return {
        "cniVersion": "1.0.0",
        "name": NETWORK_NAME,
        "plugins": [
            {
                "type": "groundplane",
                "agentSocket": str(layout.AGENT_SOCKET),
                "ipam": {"type": "groundplane-ipam"},
                "capabilities": {"groundplane.dev/pod-labels": True},
            }
        ],
    }


def pods_config(cluster: Cluster, host: HostName) -> Mapping[str, object]:
    """`/etc/groundplane/pods.json`."""
    return {
        "socket": str(layout.CRI_SOCKET),
        "pods": [wanted_pod(cluster, pod).to_json() for pod in cluster.pods if pod.host == host],
    }


def wanted_pod(cluster: Cluster, pod: Pod) -> WantedPod:
    """The pod for the keeper; its uid is stable, so that a repeated `up` asks for the very same pod."""
    return WantedPod(
        name=pod.name,
        namespace=pod.namespace,
        uid=str(uuid.uuid5(_UID_SPACE, f"{cluster.name}/{pod.namespace}/{pod.name}")),
        image=pod.image,
        command=pod.command,
        args=pod.args,
        env=pod.env,
        labels=dict(pod.labels),
    )


def _json(path: Path, value: Mapping[str, object], *, mode: int = 0o644) -> WantedFile:
    return WantedFile(path=path, data=(json.dumps(value, indent=2) + "\n").encode(), mode=mode)
