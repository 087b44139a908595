"""A host for tests of the runtime: directories, the daemon, a gRPC client, and proof that nothing is left behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from groundplane.runtime.proto import api_pb2 as pb
from groundplane.system import mount, process

HERE = Path(__file__).parent
CGROUPS = Path("/sys/fs/cgroup")
PLUGIN = """#!{python}
import json, os, sys
conf = json.load(sys.stdin)
with open({log!r}, "a") as out:
    print(json.dumps({{"command": os.environ["CNI_COMMAND"], "netns": os.environ.get("CNI_NETNS", ""),
                      "args": os.environ.get("CNI_ARGS", ""), "conf": conf}}), file=out)
if os.path.exists({fail!r}) and os.environ["CNI_COMMAND"] == open({fail!r}).read().strip():
    print(json.dumps({{"cniVersion": "1.0.0", "code": 100, "msg": "told to fail"}})); sys.exit(1)
if os.environ["CNI_COMMAND"] == "ADD":
    print(json.dumps({{"cniVersion": "1.0.0", "interfaces": [{{"name": "eth0", "sandbox": os.environ["CNI_NETNS"]}}],
                      "ips": [{{"address": "10.88.0.7/24", "interface": 0}}]}}))
"""


class Stub:
    def __init__(self, channel: grpc.Channel, service: str) -> None:
        for method in pb.DESCRIPTOR.services_by_name[service].methods:
            answer = GetMessageClass(method.output_type)
            path = f"/runtime.v1.{service}/{method.name}"
            kind = channel.unary_stream if method.server_streaming else channel.unary_unary
            coders = {"request_serializer": lambda m: m.SerializeToString(), "response_deserializer": answer.FromString}
            setattr(self, method.name, kind(path, **coders))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class Host:
    def __init__(self, base: Path, *flags: str, bin_dir: Path | None = None) -> None:
        self.base, self.flags = base, flags
        self.name = f"gp-test-{uuid.uuid4().hex[:8]}"
        self.conf_dir, self.bin_dir = base / "net.d", bin_dir or base / "cni"
        self.logs = base / "logs"
        for path in (self.conf_dir, self.bin_dir, self.logs):
            path.mkdir(exist_ok=True)
        self.socket = base / "cri.sock"
        self.config = base / "cri.json"
        self.state = base / "state"
        self.config.write_text(
            json.dumps(
                {
                    "socket": str(self.socket),
                    "root": str(base / "root"),
                    "state": str(self.state),
                    "cni_conf_dir": str(self.conf_dir),
                    "cni_bin_dir": str(self.bin_dir),
                    "cni_cache_dir": str(base / "cni-cache"),
                    "cgroup_parent": f"/{self.name}",
                    "image_archives": str(base / "archives"),
                }
            )
        )
        self.daemon: subprocess.Popen[bytes] | None = None
        self.attempts = 0

    # -- the daemon ---------------------------------------------------------------------------------------------------

    def argv(self) -> list[str]:
        program = str(HERE / "runtime_daemon.py")
        return [sys.executable, program, str(self.config), str(self.base / "images"), *self.flags]

    def start(self) -> None:
        before = time.monotonic()
        out = (self.base / "daemon.log").open("ab")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self.base / "notify"
        path.unlink(missing_ok=True)
        notify.bind(str(path))
        notify.settimeout(30)
        env = {**os.environ, "NOTIFY_SOCKET": str(path)}
        self.daemon = subprocess.Popen(self.argv(), stdout=out, stderr=out, env=env)
        out.close()
        with notify:
            assert notify.recv(100) == b"READY=1", self.log()
        self.started_in = time.monotonic() - before
        self.channel = grpc.insecure_channel(
            f"unix:{self.socket}", options=[("grpc.max_receive_message_length", 16 << 20)]
        )
        self.runtime = Stub(self.channel, "RuntimeService")
        self.image = Stub(self.channel, "ImageService")

    def log(self) -> str:
        return (self.base / "daemon.log").read_text()

    def end(self, number: int = signal.SIGTERM) -> None:
        if self.daemon is not None:
            self.channel.close()
            self.daemon.send_signal(number)
            self.daemon.wait(30)
            self.daemon = None

    def restart(self) -> None:
        self.end(signal.SIGKILL)
        self.start()

    # -- what a client says -------------------------------------------------------------------------------------------

    def network(self) -> Path:
        """A CNI network whose plugin only remembers what it was asked; the path of its memory."""
        log, plugin = self.base / "cni.log", self.bin_dir / "remember"
        text = PLUGIN.format(python=sys.executable, log=str(log), fail=str(self.base / "cni-fail"))
        plugin.write_text(text)
        plugin.chmod(0o755)
        document = {
            "cniVersion": "1.0.0",
            "name": "test",
            "plugins": [{"type": "remember", "capabilities": {"groundplane.dev/pod-labels": True}}],
        }
        (self.conf_dir / "10-test.conflist").write_text(json.dumps(document))
        return log

    def sandbox_config(self, *, network: Any = 2, pid: Any = 1, **more: Any) -> Any:
        self.attempts += 1
        config = pb.PodSandboxConfig(
            metadata=pb.PodSandboxMetadata(name="pod", namespace="default", uid="uid", attempt=self.attempts),
            log_directory=str(self.logs),
            **more,
        )
        options = config.linux.security_context.namespace_options
        options.network, options.pid = network, pid
        return config

    def run(self, config: Any = None, **more: Any) -> str:
        config = config or self.sandbox_config(**more)
        return str(self.runtime.RunPodSandbox(pb.RunPodSandboxRequest(config=config)).pod_sandbox_id)

    def container_config(self, *command: str, name: str = "main", pid: Any = 1, **more: Any) -> Any:
        config = pb.ContainerConfig(
            metadata=pb.ContainerMetadata(name=name),
            image=pb.ImageSpec(image="busybox"),
            command=list(command),
            log_path=f"{name}.log",
            **more,
        )
        config.linux.security_context.namespace_options.pid = pid
        return config

    def create(self, sandbox: str, *command: str, config: Any = None, **more: Any) -> str:
        config = config or self.container_config(*command, **more)
        request = pb.CreateContainerRequest(pod_sandbox_id=sandbox, config=config)
        return str(self.runtime.CreateContainer(request).container_id)

    def begin(self, sandbox: str, *command: str, **more: Any) -> str:
        container = self.create(sandbox, *command, **more)
        self.runtime.StartContainer(pb.StartContainerRequest(container_id=container))
        return container

    def status(self, container: str) -> Any:
        return self.runtime.ContainerStatus(pb.ContainerStatusRequest(container_id=container)).status

    def pod(self, sandbox: str) -> Any:
        return self.runtime.PodSandboxStatus(pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox)).status

    def info(self, container: str) -> Any:
        request = pb.ContainerStatusRequest(container_id=container, verbose=True)
        return json.loads(self.runtime.ContainerStatus(request).info["info"])

    def exec(self, container: str, *command: str, timeout: int = 0) -> Any:
        return self.runtime.ExecSync(pb.ExecSyncRequest(container_id=container, cmd=command, timeout=timeout))

    def until(self, container: str, state: int, *, within: float = 10) -> Any:
        """Clients can only look again: CRI has no call that waits for a state."""
        end = time.monotonic() + within
        while (found := self.status(container)).state != state:
            assert time.monotonic() < end, found
            time.sleep(0.01)
        return found

    def remove(self, sandbox: str) -> None:
        self.runtime.StopPodSandbox(pb.StopPodSandboxRequest(pod_sandbox_id=sandbox))
        self.runtime.RemovePodSandbox(pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox))

    # -- what is left -------------------------------------------------------------------------------------------------

    def leftovers(self) -> list[str]:
        found = [
            str(target) for _, target, _ in mount.mounts() if target.is_relative_to(self.state) and target.name != "ns"
        ]
        for kind in ("net", "ipc", "uts"):
            found += [str(path) for path in (self.state / "ns" / kind).iterdir()]
        for kind in ("containers", "sandboxes", "engine", "exits", "attach"):
            found += [str(path) for path in (self.state / kind).iterdir()]
        for tree in CGROUPS.iterdir():
            top = tree / self.name
            if top.is_dir():
                found += [str(path) for path in top.iterdir() if path.is_dir()]
        layers = self.base / "images/layers"
        if layers.exists():
            found += [str(path) for path in layers.iterdir()]
        return found

    def clear(self) -> None:
        failed: list[grpc.RpcError] = []
        if self.daemon is not None:
            for one in self.runtime.ListPodSandbox(pb.ListPodSandboxRequest()).items:
                try:
                    self.remove(one.id)
                except grpc.RpcError as stuck:
                    failed.append(stuck)  # told below: the machine is cleaned first
            self.end()
        for path in Path("/proc").iterdir():
            if path.name.isdigit() and str(self.state).encode() in _cmdline(path):
                process.kill_and_wait(int(path.name), within=_SECOND)
        for _, target, _ in reversed(mount.mounts()):
            if target.is_relative_to(self.base):
                mount.unmount(target)
        for tree in CGROUPS.iterdir():
            for at, _, _ in os.walk(tree / self.name, topdown=False):
                Path(at).rmdir()
        shutil.rmtree(self.base)
        assert not failed, failed


def _cmdline(path: Path) -> bytes:
    try:
        return (path / "cmdline").read_bytes()
    except OSError:
        return b""


_SECOND = timedelta(seconds=1)


@contextmanager
def host(*flags: str, bin_dir: Path | None = None, kind: type[Host] = Host) -> Iterator[Host]:
    made = kind(Path(tempfile.mkdtemp(prefix="gp-cri-", dir="/var/tmp")), *flags, bin_dir=bin_dir)
    try:
        made.start()
        yield made
    finally:
        made.clear()
