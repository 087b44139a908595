"""gRPC channels to etcd's endpoints: mutual TLS, quick to notice a member that comes back, new when certificates are.

One channel an endpoint, made when first used. Errors leave as groundplane's kinds, with etcd's words.
"""

import time
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from groundplane import errors
from groundplane.errors import GroundplaneError, Invalid, Unavailable
from groundplane.etcd.model import Compacted, EtcdRefused, TLSFiles
from groundplane.etcd.proto import rpc_pb2

_LIMIT = 64 * 1024 * 1024
_OPTIONS = (
    ("grpc.max_receive_message_length", _LIMIT),
    ("grpc.max_send_message_length", _LIMIT),
    # A member that has just started is to be found at once; gRPC's own first pause is a second.
    ("grpc.initial_reconnect_backoff_ms", 100),  # gRPC makes anything shorter 100
    ("grpc.max_reconnect_backoff_ms", 500),
    # Not a pause: how long one attempt to connect, TLS included, may take. Four round trips of a slow link or a busy
    # machine must fit, and an endpoint that does not answer at all must leave time for the next one.
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.keepalive_time_ms", 10_000),  # etcd refuses more than one in 5 s
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),
)
_LEAVES: dict[grpc.StatusCode, type[GroundplaneError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.Invalid,
    grpc.StatusCode.OUT_OF_RANGE: errors.Invalid,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: errors.WrongState,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.Exhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.CANCELLED: Unavailable,  # the server let go of the call, as when it stops
    grpc.StatusCode.PERMISSION_DENIED: errors.Denied,
    grpc.StatusCode.UNAUTHENTICATED: errors.Denied,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.UNIMPLEMENTED: errors.Unimplemented,
}
_CHECK_FILES_EVERY = 1.0


_NO_CONNECTION = "failed to connect to all addresses"
_CANNOT_CONNECT = "cannot connect"
# A member that is stopped in order resets the streams it serves; gRPC reports that as an internal or unknown error.
_BROKEN_OFF = ("RST_STREAM", "Stream removed", "No status received")


def to_error(refused: grpc.aio.AioRpcError, endpoint: str) -> GroundplaneError:
    """Groundplane's error for a gRPC one, in etcd's words."""
    words = (refused.details() or refused.code().name).removeprefix("etcdserver: ")
    if words.startswith(_NO_CONNECTION):
        words = f"{_CANNOT_CONNECT}: {words.rpartition(': ')[2].lower()}"
        return Unavailable(words, to=endpoint)
    if refused.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN) and any(w in words for w in _BROKEN_OFF):
        return Unavailable("broke the call off", to=endpoint, hint="it may be stopping: try again")
    if refused.code() is grpc.StatusCode.OUT_OF_RANGE and "has been compacted" in words:
        return Compacted(words, to=endpoint, hint="read again at a newer revision")
    return _LEAVES.get(refused.code(), EtcdRefused)(words, to=endpoint)


def not_sent(failed: GroundplaneError) -> bool:
    """Whether a failure proves that the call never left: there was no connection to send it on."""
    return failed.happened.startswith(_CANNOT_CONNECT)


class Channels:
    """The channels of one client."""

    def __init__(self, endpoints: Sequence[str], tls: TLSFiles | None) -> None:
        if not endpoints:
            raise Invalid("no endpoint", to="etcd", hint="give at least one, such as https://192.0.2.1:2379")
        self.endpoints = tuple(endpoints)
        for endpoint in self.endpoints:
            scheme, _, address = endpoint.partition("://")
            if scheme not in ("https", "http") or not address or (scheme == "https" and tls is None):
                raise Invalid("is not an endpoint this client can use", to=endpoint, hint="https:// needs TLS files")
        self.tls = tls
        self._stamp = self._files_stamp()
        self._checked = time.monotonic()
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._calls: dict[tuple[str, str], Any] = {}
        self._retired: list[grpc.aio.Channel] = []

    def call(self, endpoint: str, method: str) -> Any:
        """The multicallable of `/etcdserverpb.Service/Method` at `endpoint`."""
        self._renew()
        key = (endpoint, method)
        if key not in self._calls:
            service, name = method.split("/")
            found = rpc_pb2.DESCRIPTOR.services_by_name[service].methods_by_name[name]
            channel = self._channel(endpoint)
            answer: Any = found.output_type
            kind = {
                (False, False): channel.unary_unary,
                (False, True): channel.unary_stream,
                (True, True): channel.stream_stream,
            }[found.client_streaming, found.server_streaming]
            self._calls[key] = kind(
                f"/{found.containing_service.full_name}/{name}",
                request_serializer=_serialize,
                response_deserializer=answer._concrete_class.FromString,  # noqa: SLF001 - protobuf's own door
            )
        return self._calls[key]

    async def close(self) -> None:
        """Drop every connection."""
        for channel in (*self._channels.values(), *self._retired):
            await channel.close(None)
        self._channels.clear()
        self._calls.clear()
        self._retired.clear()

    def _channel(self, endpoint: str) -> grpc.aio.Channel:
        if endpoint not in self._channels:
            scheme, _, address = endpoint.partition("://")
            address = address.rstrip("/")
            if scheme == "http":
                self._channels[endpoint] = grpc.aio.insecure_channel(address, options=_OPTIONS)
            else:
                self._channels[endpoint] = grpc.aio.secure_channel(address, self._credentials(), options=_OPTIONS)
        return self._channels[endpoint]

    def _credentials(self) -> grpc.ChannelCredentials:
        assert self.tls is not None  # checked with the endpoints
        try:
            ca, cert, key = (path.read_bytes() for path in (self.tls.ca, self.tls.cert, self.tls.key))
        except OSError as bad:
            raise Unavailable(
                f"cannot be read: {bad.strerror}", to=bad.filename, hint="`groundplane up` puts certificates in place"
            ) from bad
        return grpc.ssl_channel_credentials(root_certificates=ca, private_key=key, certificate_chain=cert)

    def _files_stamp(self) -> tuple[tuple[int, int], ...]:
        if self.tls is None:
            return ()
        found = []
        for path in (self.tls.ca, self.tls.cert, self.tls.key):
            try:
                seen = path.stat()
                found.append((seen.st_ino, seen.st_mtime_ns))
            except OSError:
                found.append((0, 0))
        return tuple(found)

    def _renew(self) -> None:
        """New certificates mean new channels; calls on old ones may finish."""
        now = time.monotonic()
        if now - self._checked < _CHECK_FILES_EVERY:
            return
        self._checked = now
        stamp = self._files_stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            self._retired.extend(self._channels.values())
            self._channels = {}
            self._calls = {}


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
