"""The pod network through CNI: what is asked of it for one pod, and the one way in and out (CRI reference §15).

The directory is read at each use: it holds a file or two, and so is never out of date. A file that breaks keeps the
last good network in use. DEL goes to the network that ADD went to, by the result that was kept, whatever the directory
says now.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from groundplane.errors import GroundplaneError, NotFound
from groundplane.observe import logger
from groundplane.runtime.model import SandboxID, SandboxSpec

if TYPE_CHECKING:
    from groundplane.cni import Attachment, NetworkList

_ADD_LIMIT = timedelta(seconds=100)
_DEL_LIMIT = timedelta(seconds=60)
_IFNAME = "eth0"
POD_LABELS = "groundplane.dev/pod-labels"
_BANDWIDTH = {"ingressRate": "kubernetes.io/ingress-bandwidth", "egressRate": "kubernetes.io/egress-bandwidth"}
_UNITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_BURST = 2**31 - 1  # bits: large enough never to be what slows a pod down


def arguments(sandbox: SandboxID, spec: SandboxSpec) -> tuple[tuple[str, str], ...]:
    """CNI_ARGS. Pure."""
    meta = spec.metadata
    return (
        ("IgnoreUnknown", "1"),
        ("K8S_POD_NAMESPACE", meta.namespace),
        ("K8S_POD_NAME", meta.name),
        ("K8S_POD_INFRA_CONTAINER_ID", sandbox),
        ("K8S_POD_UID", meta.uid),
    )


def capabilities(spec: SandboxSpec, *, cgroup: str = "") -> dict[str, object]:
    """What plugins may declare to be told; each gets only what it declares. Pure."""
    found: dict[str, object] = {
        POD_LABELS: dict(spec.labels),
        "io.kubernetes.cri.pod-annotations": dict(spec.annotations),
    }
    ports = [
        {
            "hostPort": one.host_port,
            "containerPort": one.container_port,
            "protocol": one.protocol,
            "hostIP": one.host_ip,
        }
        for one in spec.ports
        if one.host_port > 0
    ]
    if ports:
        found["portMappings"] = ports
    limits = {key: parse_rate(spec.annotations[name]) for key, name in _BANDWIDTH.items() if name in spec.annotations}
    if limits:
        found["bandwidth"] = {**limits, **{key.replace("Rate", "Burst"): _BURST for key in limits}}
    if spec.dns.servers or spec.dns.searches or spec.dns.options:
        found["dns"] = {
            "servers": list(spec.dns.servers),
            "searches": list(spec.dns.searches),
            "options": list(spec.dns.options),
        }
    if cgroup:
        found["cgroupPath"] = cgroup
    return found


def parse_rate(text: str) -> int:
    """Bits a second from a Kubernetes quantity such as `10M`; 0 for what is none."""
    number = text.rstrip("kKMGi")
    unit = text[len(number) :]
    return int(number) * _UNITS[unit] if number.isdigit() and unit in _UNITS else 0


class CNINetwork:
    """Networks of one configuration directory."""

    def __init__(self, conf_dir: Path, *, bin_dir: Path, cache_dir: Path) -> None:
        self._conf_dir = conf_dir
        self._bin_dirs = (bin_dir,)
        self._cache_dir = cache_dir
        self._last: NetworkList | None = None

    def _load(self) -> "NetworkList":
        from groundplane.cni import ResultCache, load_network

        try:
            self._last = load_network(self._conf_dir, bin_dirs=self._bin_dirs, cache=ResultCache(self._cache_dir))
        except NotFound:
            self._last = None
            raise
        except GroundplaneError as broken:
            if self._last is None:
                raise
            logger("cri").warning("network.config", why=str(broken))
        return self._last

    def ready(self) -> tuple[bool, str]:
        """Whether there is a network to attach to, and if not, why."""
        try:
            self._load()
        except GroundplaneError as missing:
            return False, str(missing)
        return True, ""

    async def attach(self, sandbox: SandboxID, spec: SandboxSpec, netns: Path) -> tuple[tuple[str, ...], str]:
        """ADD. Raises what the plugin said."""
        network = self._load()
        result = await network.add(self._attachment(network, sandbox, spec, netns), within=_ADD_LIMIT)
        ips = tuple(str(one.address.ip) for one in result.ips)
        return ips, msgspec.json.encode(result.to_json("1.0.0")).decode()

    async def detach(self, sandbox: SandboxID, spec: SandboxSpec, netns: Path | None) -> None:
        """DEL, with a deadline of its own. Where no ADD ever succeeded a failing DEL is logged, and no more."""
        network = self._attached_to(sandbox)
        if network is not None:
            await network.delete(self._attachment(network, sandbox, spec, netns), within=_DEL_LIMIT)
            return
        try:
            network = self._load()
            await network.delete(self._attachment(network, sandbox, spec, netns), within=_DEL_LIMIT)
        except GroundplaneError as failed:
            logger("cri").warning("network.detach", sandbox=sandbox, why=str(failed))

    def _attached_to(self, sandbox: SandboxID) -> "NetworkList | None":
        """The network that holds a result for `sandbox`."""
        from groundplane.cni import NetworkList, ResultCache
        from groundplane.cni.chain import parse_list

        cache, tail = ResultCache(self._cache_dir), f"-{sandbox}-{_IFNAME}"
        for path in self._cache_dir.glob(f"*{tail}"):
            found = cache.get(path.name.removesuffix(tail), sandbox, _IFNAME)
            if found is not None:
                plugins = parse_list(found.config, at=path)
                return NetworkList(plugins, bin_dirs=self._bin_dirs, cache=cache)
        return None

    def _attachment(
        self, network: "NetworkList", sandbox: SandboxID, spec: SandboxSpec, netns: Path | None
    ) -> "Attachment":
        from groundplane.cni import Attachment

        offered: Mapping[str, object] = capabilities(spec)
        return Attachment(
            container_id=sandbox,
            netns=netns,
            ifname=_IFNAME,
            args=arguments(sandbox, spec),
            capabilities={key: value for key, value in offered.items() if key in network.capabilities},
        )
