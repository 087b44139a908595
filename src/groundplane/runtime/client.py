"""A CRI v1 client over a unix socket, for groundplane's own callers; errors come back as the kinds they left as."""

from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio
from google.protobuf.message_factory import GetMessageClass

from groundplane import errors
from groundplane.errors import GroundplaneError, Kind
from groundplane.runtime.proto import api_pb2

_LIMIT = 32 * 1024 * 1024
_OPTIONS = (
    ("grpc.max_receive_message_length", _LIMIT),
    ("grpc.default_authority", "localhost"),
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 5000),  # gRPC's name for how long one attempt may take
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.use_local_subchannel_pool", 1),
)
_BY_STATUS: dict[str, type[GroundplaneError]] = {
    leaf.kind.grpc_status: leaf
    for leaf in (
        errors.Invalid,
        errors.NotFound,
        errors.WrongState,
        errors.Exhausted,
        errors.Unavailable,
        errors.Denied,
        errors.Exists,
        errors.DeadlineExceeded,
        errors.Unimplemented,
    )
}
assert all(kind.grpc_status in _BY_STATUS for kind in Kind if kind is not Kind.FAILED)


class RuntimeClient:
    """Both CRI services on one socket: `await client.call("ListContainers", api_pb2.ListContainersRequest())`."""

    def __init__(self, socket: Path, *, within: timedelta = timedelta(seconds=30)) -> None:
        self._socket = socket
        self._within = within.total_seconds()
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}", options=_OPTIONS)
        self._calls: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop the connection."""
        await self._channel.close(None)

    async def call(self, method: str, request: Any, *, within: timedelta | None = None) -> Any:
        """The answer of a unary method of either service. Raises the GroundplaneError leaf of the status code."""
        if method not in self._calls:
            self._calls[method] = self._method(method)
        try:
            return await self._calls[method](request, timeout=within.total_seconds() if within else self._within)
        except grpc.aio.AioRpcError as refused:
            leaf = _BY_STATUS.get(refused.code().name, errors.Failed)
            raise leaf(refused.details() or refused.code().name, to=method) from refused

    def _method(self, name: str) -> Any:
        for service in api_pb2.DESCRIPTOR.services_by_name.values():
            if name in service.methods_by_name:
                answer = GetMessageClass(service.methods_by_name[name].output_type)
                return self._channel.unary_unary(
                    f"/{service.full_name}/{name}",
                    request_serializer=lambda message: message.SerializeToString(),
                    response_deserializer=answer.FromString,
                )
        raise errors.Invalid("is not a CRI v1 method", to=name)
