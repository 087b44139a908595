"""Pods on a real bridge, by Debian's CNI plugins, in a network namespace of the daemon's own; and a v1-only host."""

import json
from pathlib import Path

import pytest

from groundplane.runtime.proto import api_pb2 as pb
from tests.lab.runtime_host import Host, host

pytestmark = pytest.mark.lab
PLUGINS = Path("/usr/lib/cni")


def bridge(at: Host) -> None:
    document = {
        "cniVersion": "1.0.0",
        "name": "bridged",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "gptest0",
                "isGateway": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(at.base / "ipam"),
                    "ranges": [[{"subnet": "10.89.0.0/24"}], [{"subnet": "fd00:89::/64"}]],
                },
            }
        ],
    }
    (at.conf_dir / "10-bridged.conflist").write_text(json.dumps(document))


def test_pods_reach_each_other_and_give_their_addresses_back() -> None:
    with host("own-network", bin_dir=PLUGINS) as at:
        bridge(at)
        server, client = at.run(network=0), at.run(network=0)
        web = at.begin(server, "sh", "-c", "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp")
        asking = at.begin(client, "sleep", "1000")
        network = at.pod(server).network
        assert network.ip.startswith("10.89.0.")
        assert [one.ip[:6] for one in network.additional_ips] == ["fd00:8"]
        got = at.exec(asking, "sh", "-c", f"until wget -q -O - http://{network.ip}/; do sleep 0.05; done", timeout=10)
        assert got.stdout == b"hello\n"
        assert at.exec(web, "true").exit_code == 0
        stats = at.runtime.PodSandboxStats(pb.PodSandboxStatsRequest(pod_sandbox_id=server)).stats
        assert stats.linux.network.default_interface.rx_bytes.value > 0
        at.remove(server)
        at.remove(client)
        left = [path.name for path in (at.base / "ipam/bridged").iterdir() if path.name[0].isdigit()]
        assert left == []
        assert at.leftovers() == []


def test_a_host_that_shows_only_v1_controllers_runs_containers() -> None:
    with host("v1-only") as at:
        sandbox = at.run(at.sandbox_config(pid=0))
        container = at.begin(sandbox, "sleep", "1000", pid=0)
        assert at.exec(container, "true").exit_code == 0
        assert at.runtime.ContainerStats(
            pb.ContainerStatsRequest(container_id=container)
        ).stats.memory.usage_bytes.value
        at.remove(sandbox)
        assert at.leftovers() == []
