"""Which failure a gRPC status is: whether it may be tried again hangs on that."""

import grpc
import grpc.aio
import pytest

from groundplane.errors import Denied, Exhausted, GroundplaneError, Invalid, Unavailable, WrongState
from groundplane.etcd import Compacted
from groundplane.etcd.channel import not_sent, to_error
from groundplane.etcd.model import EtcdRefused

Code = grpc.StatusCode
REFUSED = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: connect: Connection refused (111)"


def failure(code: grpc.StatusCode, details: str) -> GroundplaneError:
    none = grpc.aio.Metadata()
    return to_error(grpc.aio.AioRpcError(code, none, none, details=details, debug_error_string=""), "https://m1:2379")


@pytest.mark.parametrize(
    ("code", "details", "kind"),
    [
        (Code.UNAVAILABLE, "etcdserver: no leader", Unavailable),
        (Code.CANCELLED, "context canceled", Unavailable),
        # A member stopped in order, as gRPC reports it: nothing of etcd's own.
        (Code.INTERNAL, "Received RST_STREAM with error code 0", Unavailable),
        (Code.INTERNAL, "Stream removed (Data frame with END_STREAM flag received)", Unavailable),
        (Code.UNKNOWN, "Stream removed", Unavailable),
        (Code.UNKNOWN, "No status received", Unavailable),
        (Code.INTERNAL, "grpc: error while marshaling", EtcdRefused),
        (Code.DATA_LOSS, "etcdserver: corrupt cluster", EtcdRefused),
        (Code.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted", Compacted),
        (Code.OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision", Invalid),
        (Code.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded", Exhausted),
        (Code.FAILED_PRECONDITION, "etcdserver: not leader", WrongState),
        (Code.PERMISSION_DENIED, "etcdserver: permission denied", Denied),
    ],
)
def test_a_status_becomes_the_kind_that_says_what_to_do(
    code: grpc.StatusCode, details: str, kind: type[GroundplaneError]
) -> None:
    found = failure(code, details)
    assert type(found) is kind
    assert "etcdserver: " not in str(found)
    assert not not_sent(found)


def test_only_a_call_without_a_connection_is_sure_not_to_have_been_sent() -> None:
    assert not_sent(failure(Code.UNAVAILABLE, REFUSED))
    assert not not_sent(failure(Code.UNAVAILABLE, "Socket closed"))
