"""CRI's two services: each method reads its request, calls a verb, and writes the answer. No rule lives here."""

# ruff: noqa: N802, D102 - the names are CRI's, and so is what they mean
import asyncio
import json
from collections.abc import Iterable
from typing import Any

from groundplane.errors import NotFound
from groundplane.runtime import answers, stats, translate
from groundplane.runtime.container import create, exec, remove, start, stop, update  # noqa: A004 - the verb's name
from groundplane.runtime.image import verbs as image
from groundplane.runtime.model import Container, Sandbox, SandboxState
from groundplane.runtime.node import Node
from groundplane.runtime.proto import api_pb2 as pb
from groundplane.runtime.sandbox import run as sandbox_run
from groundplane.runtime.sandbox import stop as sandbox_stop

VERSION = "0.1.0"


class RuntimeService:
    """runtime.v1.RuntimeService."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def Version(self, _: pb.VersionRequest) -> pb.VersionResponse:
        return pb.VersionResponse(
            version="0.1.0", runtime_name="groundplane", runtime_version=VERSION, runtime_api_version="v1"
        )

    async def Status(self, request: pb.StatusRequest) -> pb.StatusResponse:
        node = self._node
        network, why = node.network.ready()
        default = node.engines[""]
        answer = pb.StatusResponse(
            status=pb.RuntimeStatus(
                conditions=[
                    pb.RuntimeCondition(
                        type="RuntimeReady",
                        status=default.installed,
                        reason="" if default.installed else "ContainerRuntimeNotReady",
                        message="" if default.installed else f"{default.program} is not installed",
                    ),
                    pb.RuntimeCondition(
                        type="NetworkReady",
                        status=network,
                        reason="" if network else "NetworkPluginNotReady",
                        message=why,
                    ),
                ]
            ),
            runtime_handlers=[
                pb.RuntimeHandler(name=name, features=pb.RuntimeHandlerFeatures(recursive_read_only_mounts=True))
                for name in sorted(node.engines)
            ],
            features=pb.RuntimeFeatures(supplemental_groups_policy=True, mount_options=True),
        )
        if request.verbose:
            config = node.config
            answer.info["config"] = json.dumps(
                {
                    "stateDir": str(config.state),
                    "rootDir": str(config.root),
                    "handlers": config.handlers,
                    "cgroupParent": config.cgroup_parent,
                    "cgroupVersion": node.cgroups.version.value,
                }
            )
            answer.info["cniconfig"] = json.dumps(
                {"confDir": str(config.cni_conf_dir), "binDir": str(config.cni_bin_dir)}
            )
            answer.info["lastCNILoadStatus"] = json.dumps(why or "OK")
        return answer

    async def RuntimeConfig(self, _: pb.RuntimeConfigRequest) -> pb.RuntimeConfigResponse:
        return pb.RuntimeConfigResponse(linux=pb.LinuxRuntimeConfiguration(cgroup_driver=pb.CGROUPFS))

    async def UpdateRuntimeConfig(self, _: pb.UpdateRuntimeConfigRequest) -> pb.UpdateRuntimeConfigResponse:
        # Only a CNI template would use the pod CIDR, and there is none: the network has its own address plan.
        return pb.UpdateRuntimeConfigResponse()

    async def RunPodSandbox(self, request: pb.RunPodSandboxRequest) -> pb.RunPodSandboxResponse:
        spec = translate.sandbox(translate.required(request, "config"), handler=request.runtime_handler)
        return pb.RunPodSandboxResponse(pod_sandbox_id=await sandbox_run.run(self._node, spec))

    async def StopPodSandbox(self, request: pb.StopPodSandboxRequest) -> pb.StopPodSandboxResponse:
        await sandbox_stop.stop(self._node, translate.identity(request.pod_sandbox_id, "pod_sandbox_id"))
        return pb.StopPodSandboxResponse()

    async def RemovePodSandbox(self, request: pb.RemovePodSandboxRequest) -> pb.RemovePodSandboxResponse:
        await sandbox_stop.remove(self._node, translate.identity(request.pod_sandbox_id, "pod_sandbox_id"))
        return pb.RemovePodSandboxResponse()

    async def PodSandboxStatus(self, request: pb.PodSandboxStatusRequest) -> pb.PodSandboxStatusResponse:
        found = self._node.sandbox(request.pod_sandbox_id)
        answer = pb.PodSandboxStatusResponse(status=answers.sandbox_status(found))
        if request.verbose:
            answer.info["info"] = json.dumps(
                {
                    "pid": found.infra.pid,
                    "netns": str(self._node.pins.path("net", found.id)) if found.spec.own_network else "",
                    "runtimeHandler": found.spec.handler,
                    "cniResult": json.loads(found.cni_result) if found.cni_result else None,
                    "cgroup": self._node.pod_cgroup(found),
                    "stepsMs": found.steps_ms,
                }
            )
        return answer

    async def ListPodSandbox(self, request: pb.ListPodSandboxRequest) -> pb.ListPodSandboxResponse:
        wanted = request.filter
        state = wanted.state.state if wanted.HasField("state") else None
        return pb.ListPodSandboxResponse(
            items=[
                answers.sandbox(one)
                for one in self._sandboxes(wanted.id, wanted.label_selector)
                if state is None or answers.sandbox_state(one.state) == state
            ]
        )

    def _sandboxes(self, prefix: str, selector: Any) -> Iterable[Sandbox]:
        """Those that match; a prefix that fits several matches nothing."""
        known = [one for one in self._node.store.sandboxes.all.values() if one.state is not SandboxState.STARTING]
        found = _matching(known, prefix)
        chosen = [one for one in found if answers.selected(one.spec.labels, selector.items())]
        return sorted(chosen, key=lambda one: one.created_ns)

    def _containers(self, prefix: str, sandbox: str, selector: Any) -> Iterable[Container]:
        known = [one for one in self._node.store.containers.all.values() if one.state.value != "creating"]
        found = _matching(known, prefix)
        chosen = [
            one
            for one in found
            if (not sandbox or one.sandbox_id.startswith(sandbox))
            and answers.selected(one.spec.labels, selector.items())
        ]
        return sorted(chosen, key=lambda one: one.created_ns)

    async def CreateContainer(self, request: pb.CreateContainerRequest) -> pb.CreateContainerResponse:
        spec = translate.container(translate.required(request, "config"))
        sandbox = translate.identity(request.pod_sandbox_id, "pod_sandbox_id")
        return pb.CreateContainerResponse(container_id=await create.create(self._node, sandbox, spec))

    async def StartContainer(self, request: pb.StartContainerRequest) -> pb.StartContainerResponse:
        await start.start(self._node, translate.identity(request.container_id, "container_id"))
        return pb.StartContainerResponse()

    async def StopContainer(self, request: pb.StopContainerRequest) -> pb.StopContainerResponse:
        await stop.stop(self._node, translate.identity(request.container_id, "container_id"), timeout_s=request.timeout)
        return pb.StopContainerResponse()

    async def RemoveContainer(self, request: pb.RemoveContainerRequest) -> pb.RemoveContainerResponse:
        await remove.remove(self._node, translate.identity(request.container_id, "container_id"))
        return pb.RemoveContainerResponse()

    async def ListContainers(self, request: pb.ListContainersRequest) -> pb.ListContainersResponse:
        wanted = request.filter
        state = wanted.state.state if wanted.HasField("state") else None
        return pb.ListContainersResponse(
            containers=[
                answers.container(one)
                for one in self._containers(wanted.id, wanted.pod_sandbox_id, wanted.label_selector)
                if state is None or answers.container_state(one.state) == state
            ]
        )

    async def ContainerStatus(self, request: pb.ContainerStatusRequest) -> pb.ContainerStatusResponse:
        found = self._node.container(request.container_id)
        answer = pb.ContainerStatusResponse(status=answers.container_status(found))
        if request.verbose:
            bundle = self._node.bundle(found.id)
            answer.info["info"] = json.dumps(
                {
                    "sandboxID": found.sandbox_id,
                    "pid": found.init.pid,
                    "conmonPid": found.shim.pid,
                    "bundle": str(bundle),
                    "cgroup": found.cgroup,
                    "runtimeSpec": _read_json(bundle / "config.json"),
                }
            )
        return answer

    async def UpdateContainerResources(
        self, request: pb.UpdateContainerResourcesRequest
    ) -> pb.UpdateContainerResourcesResponse:
        container = translate.identity(request.container_id, "container_id")
        await update.update(self._node, container, translate.resources(request.linux))
        return pb.UpdateContainerResourcesResponse()

    async def ReopenContainerLog(self, request: pb.ReopenContainerLogRequest) -> pb.ReopenContainerLogResponse:
        await update.reopen_log(self._node, translate.identity(request.container_id, "container_id"))
        return pb.ReopenContainerLogResponse()

    async def ExecSync(self, request: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
        container = translate.identity(request.container_id, "container_id")
        done = await exec.exec_sync(self._node, container, tuple(request.cmd), timeout_s=request.timeout)
        return pb.ExecSyncResponse(stdout=done.stdout, stderr=done.stderr, exit_code=done.code)

    async def ContainerStats(self, request: pb.ContainerStatsRequest) -> pb.ContainerStatsResponse:
        found = self._node.container(request.container_id)
        return pb.ContainerStatsResponse(stats=await asyncio.to_thread(stats.container, self._node, found))

    async def ListContainerStats(self, request: pb.ListContainerStatsRequest) -> pb.ListContainerStatsResponse:
        wanted = request.filter
        chosen = list(self._containers(wanted.id, wanted.pod_sandbox_id, wanted.label_selector))

        def gather() -> list[pb.ContainerStats]:
            return [stats.container(self._node, one) for one in chosen]

        return pb.ListContainerStatsResponse(stats=await asyncio.to_thread(gather))

    async def PodSandboxStats(self, request: pb.PodSandboxStatsRequest) -> pb.PodSandboxStatsResponse:
        found = self._node.sandbox(request.pod_sandbox_id)
        return pb.PodSandboxStatsResponse(stats=await asyncio.to_thread(stats.sandbox, self._node, found))

    async def ListPodSandboxStats(self, request: pb.ListPodSandboxStatsRequest) -> pb.ListPodSandboxStatsResponse:
        wanted = request.filter
        chosen = [one for one in self._sandboxes(wanted.id, wanted.label_selector) if one.state is SandboxState.READY]

        def gather() -> list[pb.PodSandboxStats]:
            return [stats.sandbox(self._node, one) for one in chosen]

        return pb.ListPodSandboxStatsResponse(stats=await asyncio.to_thread(gather))


class ImageService:
    """runtime.v1.ImageService."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def ListImages(self, request: pb.ListImagesRequest) -> pb.ListImagesResponse:
        wanted = request.filter.image.image
        if wanted:
            found = await image.status(self._node, wanted)
            return pb.ListImagesResponse(images=[answers.image(found)] if found else [])
        return pb.ListImagesResponse(images=[answers.image(one) for one in await image.images(self._node)])

    async def ImageStatus(self, request: pb.ImageStatusRequest) -> pb.ImageStatusResponse:
        found = await image.status(self._node, translate.required(request, "image").image)
        if found is None:
            return pb.ImageStatusResponse()
        answer = pb.ImageStatusResponse(image=answers.image(found))
        if request.verbose:
            answer.info["info"] = json.dumps({"imageSpec": {"config": {"User": found.config.user}}})
        return answer

    async def PullImage(self, request: pb.PullImageRequest) -> pb.PullImageResponse:
        return pb.PullImageResponse(image_ref=await image.pull(self._node, translate.required(request, "image").image))

    async def RemoveImage(self, request: pb.RemoveImageRequest) -> pb.RemoveImageResponse:
        await image.remove(self._node, translate.required(request, "image").image)
        return pb.RemoveImageResponse()

    async def ImageFsInfo(self, _: pb.ImageFsInfoRequest) -> pb.ImageFsInfoResponse:
        usage = pb.FilesystemUsage(**await asyncio.to_thread(stats.image_filesystem, self._node))
        return pb.ImageFsInfoResponse(image_filesystems=[usage], container_filesystems=[usage])


def _matching(known: list[Any], prefix: str) -> list[Any]:
    if not prefix:
        return known
    found = [one for one in known if one.id.startswith(prefix)]
    return found if len(found) == 1 else []


def _read_json(path: Any) -> object:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as gone:
        raise NotFound("no longer has a bundle", to=path.parent.name[:13]) from gone
