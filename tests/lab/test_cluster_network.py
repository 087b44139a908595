"""The pod network of a whole cluster, seen with packets: encapsulation, policy, natOutgoing, several subnets."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplane.system import netns
from tests.lab.cluster_kit import groundplane, inside, status, until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OUTSIDE = "192.168.153.254"
POLICY = """
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: db-only-from-api}
spec:
  selector: app == 'db'
  types: [Ingress]
  ingress:
    - {action: Allow, protocol: TCP, source: {selector: app == 'api'}, destination: {ports: [8080]}}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web-stays-in, namespace: default}
spec:
  selector: app == 'web'
  types: [Egress]
  egress:
    - {action: Allow, destination: {selector: has(app)}}
"""


def write(folder: Path, name: str, *, mode: str, policy: str = "", hosts: dict[str, str] | None = None) -> Path:
    shutil.copytree(EXAMPLES / "seed", folder / "seed", dirs_exist_ok=True)
    lines = (EXAMPLES / "seed.yaml").read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not any(w in line for w in ("heartbeat", "election", "plainLoopback")))
    text = text.replace("seed-verbatim", name)
    csr = folder / "seed/etcd-csr.json"
    for old, new in (hosts or {}).items():
        text = text.replace(old, new)
        csr.write_text(csr.read_text().replace(f'"{old}"', f'"{new}"'))
    network = folder / "seed/network.yaml"
    network.write_text(
        (EXAMPLES / "seed/network.yaml").read_text().replace("ipipMode: Never", f"ipipMode: {mode}") + policy
    )
    (folder / "cluster.yaml").write_text(text)
    return folder / "cluster.yaml"


def reaches(name: str, source: str, address: str, port: int = 8080) -> bool:
    """Whether pod `source` can open a connection to `address`, from inside its own network namespace."""
    pod = next(p for p in status(name)["pods"] if p["name"] == source)
    script = (
        f"for n in /run/groundplane/cri/ns/net/*; do nsenter --net=$n ip -4 -o addr | grep -q ' {pod['ip']}/' && "
        f"exec nsenter --net=$n timeout 1 bash -c '>/dev/tcp/{address}/{port}'; done; exit 9"
    )
    return inside(name, pod["host"], "sh", "-c", script, check=False).returncode == 0


def address_of(name: str, pod: str) -> str:
    return str(next(p["ip"] for p in status(name)["pods"] if p["name"] == pod))


@pytest.fixture(scope="module")
def tunnelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    name, folder = "tunnelled", tmp_path_factory.mktemp("tunnelled")
    path = write(folder, name, mode="Always", policy=POLICY)
    groundplane("down", "--name", name, "--purge")
    done = groundplane("up", str(path))
    assert "policy keeps" in done.stderr
    yield name, path
    groundplane("down", "--name", name, "--purge")


def test_packets_between_hosts_are_ip_in_ip(tunnelled: tuple[str, Path]) -> None:
    name, _ = tunnelled
    dump = subprocess.Popen(
        ["nsenter", f"--net=/run/groundplane/{name}/fabric", "tcpdump", "-n", "-c", "2", "-l", "ip proto 4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert dump.stderr is not None
    while "listening on" not in dump.stderr.readline():
        pass
    assert reaches(name, "api", address_of(name, "db"))
    out, _ = dump.communicate(timeout=10)
    assert "192.168.153.130 > 192.168.153.131: IP 10.244." in out


def test_policy_is_held_in_both_directions(tunnelled: tuple[str, Path]) -> None:
    name, _ = tunnelled
    db = address_of(name, "db")
    assert reaches(name, "api", db)
    assert not reaches(name, "web", db)
    assert reaches(name, "web", address_of(name, "api"))


def test_a_pod_leaves_the_cluster_as_its_host(tunnelled: tuple[str, Path]) -> None:
    name, _ = tunnelled
    listener = netns.open_socket(Path(f"/run/groundplane/{name}/fabric"))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((OUTSIDE, 8080))
    listener.listen()
    listener.settimeout(5)
    seen: list[str] = []

    def serve() -> None:
        client, (peer, _) = listener.accept()
        with client:
            seen.append(peer)

    with listener:
        thread = threading.Thread(target=serve)
        thread.start()
        assert reaches(name, "api", OUTSIDE)
        thread.join()
        assert seen == ["192.168.153.130"]
        # The web pod's egress policy names the cluster's pods only.
        assert not reaches(name, "web", OUTSIDE)


def test_a_policy_that_leaves_the_file_leaves_the_cluster(tunnelled: tuple[str, Path]) -> None:
    name, path = tunnelled
    network = path.parent / "seed/network.yaml"
    text = network.read_text()
    network.write_text(text[: text.index("\n---\n")])
    assert "remove" in groundplane("plan", str(path)).stdout
    done = groundplane("up", str(path))
    assert "removed GlobalNetworkPolicy db-only-from-api" in done.stderr
    until("web reaches db", lambda: reaches(name, "web", address_of(name, "db")))


def test_hosts_in_several_subnets_are_tunnelled_only_between_them(tmp_path: Path) -> None:
    name = "subnets"
    path = write(tmp_path, name, mode="CrossSubnet", hosts={"192.168.153.131": "192.168.154.131"})
    groundplane("down", "--name", name, "--purge")
    try:
        groundplane("up", str(path))
        assert status(name)["healthy"] is True
        routes = inside(name, "etcd1", "ip", "-4", "route").stdout.splitlines()
        pods = {p["name"]: p["ip"].rsplit(".", 1)[0] for p in status(name)["pods"]}
        near = next(line for line in routes if line.startswith(pods["api"]) and "/26" in line)
        far = next(line for line in routes if line.startswith(pods["db"]) and "/26" in line)
        assert "dev eth0" in near, near
        assert "via 192.168.154.131" in far, far
        assert "dev eth0" not in far, far
    finally:
        groundplane("down", "--name", name, "--purge")


def test_an_encapsulation_that_is_not_built_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    path = write(tmp_path, "vxlan", mode="Never")
    network = tmp_path / "seed/network.yaml"
    network.write_text(network.read_text().replace("vxlanMode: Never", "vxlanMode: Always"))
    done = groundplane("up", str(path), check=False)
    assert done.returncode == 11, done.stderr
    assert "vxlanMode" in done.stderr
    assert not Path("/run/groundplane/vxlan").exists()


def test_a_node_that_leaves_the_file_leaves_nothing_behind(tmp_path: Path) -> None:
    name = "leaving"
    path = write(tmp_path, name, mode="Never")
    text = path.read_text()
    more = text.replace("pki:\n", "  - {name: node4, address: 192.168.153.140, roles: [node]}\npki:\n", 1)
    more += "  - {name: far, host: node4, image: groundplane/lab, command: [sleep, '1000']}\n"
    groundplane("down", "--name", name, "--purge")
    try:
        path.write_text(more)
        groundplane("up", str(path))
        found = status(name)
        assert found["bgp"] == {"sessions": 12, "established": 12}
        block = next(h for h in found["hosts"] if h["name"] == "node4")["blocks"][0]["cidr"]
        path.write_text(text)
        said = groundplane("up", str(path)).stderr
        assert "stopped node4" in said
        assert "removed Node node4" in said
        found = status(name)
        assert found["healthy"] is True, found["problems"]
        assert found["bgp"] == {"sessions": 6, "established": 6}
        until("its block has left the routes", lambda: block not in inside(name, "etcd1", "ip", "route").stdout)
        assert "no change" in groundplane("up", str(path)).stderr
    finally:
        groundplane("down", "--name", name, "--purge")
