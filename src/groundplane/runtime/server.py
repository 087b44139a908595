"""groundplane-cri: CRI v1 on a unix socket. `main` is the daemon; `serve` the same inside a running loop.

Every method of both services is wired; one that is not built answers UNIMPLEMENTED, a streaming one at the first
receive. Errors become status codes by the one table, in one wrapper. Recovery comes first: nothing is served before
every record is true, because a client that is told "no such container" starts a second copy.
"""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from groundplane.aio import serve_until_signal
from groundplane.errors import Exists, GroundplaneError, Kind, Unimplemented
from groundplane.observe import logger, set_up
from groundplane.runtime import config as configuration
from groundplane.runtime.config import Config
from groundplane.system import files

_LARGEST_MESSAGE = 32 << 20  # clients accept 16 MiB, and are refused nothing that they can send
_GRACE_S = 10.0
_SOCKET_MODE = 0o660


def main(config: Path) -> int:
    """Run until SIGTERM or SIGINT; pods go on without us. The exit code."""
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # we start programs by vfork and exec: nothing to prepare
    try:
        found = configuration.load(config)
        set_up(level=found.log_level)
        asyncio.run(_main(found))
    except GroundplaneError as failed:
        print(f"groundplane-cri: {failed}", file=sys.stderr)  # noqa: T201 - the daemon's last word
        return failed.kind.exit_code
    return 0


async def _main(config: Config) -> None:
    await prepare_loop()
    await serve_until_signal(serve(config))


async def prepare_loop() -> None:
    """Wait for programs by pidfd on the running loop; before 3.12 the default is a thread for each of them."""
    if sys.version_info < (3, 12):
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(asyncio.get_running_loop())
        asyncio.get_event_loop_policy().set_child_watcher(watcher)


@asynccontextmanager
async def serve(config: Config, *, images: Any = None, layers: Any = None) -> AsyncIterator[None]:
    """The daemon, from lock to last call. `images` and `layers` stand in for the oci package's in tests."""
    from groundplane.runtime.build import build
    from groundplane.runtime.restore import restore

    files.ensure_directory(config.root, mode=files.PRIVATE_DIR)
    with files.lock(config.root / "lock"):
        async with contextlib.AsyncExitStack() as stack:
            node = build(config, images=images, layers=layers)
            stack.callback(node.store.close)
            await stack.enter_async_context(node.flights)
            node.exits.start()
            stack.callback(node.exits.stop)
            await restore(node)
            await stack.enter_async_context(_listening(config, node))
            logger("cri").info("serve", socket=str(config.socket), cgroups=node.cgroups.version.value)
            yield


@asynccontextmanager
async def _listening(config: Config, node: Any) -> AsyncIterator[None]:
    import grpc

    from groundplane.runtime.proto import api_pb2 as pb
    from groundplane.runtime.service import ImageService, RuntimeService

    files.ensure_directory(config.socket.parent)
    clear_stale_socket(config.socket)
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
            ("grpc.max_send_message_length", _LARGEST_MESSAGE),
            ("grpc.so_reuseport", 0),
        ]
    )
    for name, service in (("RuntimeService", RuntimeService(node)), ("ImageService", ImageService(node))):
        server.add_generic_rpc_handlers([_handlers(pb.DESCRIPTOR.services_by_name[name], service)])
    server.add_insecure_port(f"unix:{config.socket}")
    await server.start()
    config.socket.chmod(_SOCKET_MODE)
    try:
        yield
    finally:
        await server.stop(_GRACE_S)
        config.socket.unlink(missing_ok=True)


def clear_stale_socket(path: Path) -> None:
    """Remove a socket that nobody answers on. Raises Exists if somebody does."""
    if not path.exists():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise Exists("another runtime answers there", to=path, hint="stop it first")


def _handlers(descriptor: Any, service: object) -> Any:
    """One generic handler for all of a service's methods, by its descriptor."""
    import grpc
    from google.protobuf.message_factory import GetMessageClass

    methods = {}
    for method in descriptor.methods:
        request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        coders: dict[str, Any] = {
            "request_deserializer": request.FromString,
            "response_serializer": response.SerializeToString,
        }
        built = getattr(service, method.name, None)
        if method.server_streaming:
            methods[method.name] = grpc.unary_stream_rpc_method_handler(_not_built_stream(method.name), **coders)
        elif built is None:
            methods[method.name] = grpc.unary_unary_rpc_method_handler(_guarded(_not_built(method.name)), **coders)
        else:
            methods[method.name] = grpc.unary_unary_rpc_method_handler(_guarded(built), **coders)
    return grpc.method_handlers_generic_handler(descriptor.full_name, methods)


def _not_built(name: str) -> Callable[[Any], Awaitable[Any]]:
    async def refuse(_: Any) -> Any:
        raise Unimplemented("this call is not built", to=name)

    return refuse


def _not_built_stream(name: str) -> Callable[[Any, Any], AsyncIterator[Any]]:
    async def refuse(_: Any, context: Any) -> AsyncIterator[Any]:
        import grpc

        await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{name}: this call is not built")
        yield None  # never reached: it makes this a generator

    return refuse


def leaf(error: BaseException) -> BaseException:
    """The first failure of a group that says something by itself."""
    while isinstance(error, BaseExceptionGroup):
        error = next((one for one in error.exceptions if isinstance(one, GroundplaneError)), error.exceptions[0])
    return error


def words(error: BaseException) -> str:
    """The message for a client: what happened, and what undoing it met."""
    notes = getattr(error, "__notes__", [])
    return "; ".join([str(error) or type(error).__name__, *notes])


def _guarded(call: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    """Errors as status codes; a bug as INTERNAL, with its trace in our log only."""
    import grpc

    async def answer(request: Any, context: Any) -> Any:
        try:
            return await call(request)
        except asyncio.CancelledError:
            raise
        except Exception as raised:  # noqa: BLE001 - the door: nothing may pass as a crash
            error = leaf(raised)
            if isinstance(error, GroundplaneError):
                code = grpc.StatusCode[error.kind.grpc_status]
            else:
                code = grpc.StatusCode[Kind.FAILED.grpc_status]
                logger("cri").error("bug", call=type(request).__name__, exc_info=raised)
            logger("cri").info("refused", call=type(request).__name__, code=code.name, why=words(error))
        return await context.abort(code, words(error))

    return answer
