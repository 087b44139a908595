"""Between etcd's protobuf messages and the model; the only place besides the client that touches the messages."""

from collections.abc import Sequence
from typing import Any

from groundplane.errors import Invalid
from groundplane.etcd.model import (
    Compare,
    Event,
    KeyValue,
    Member,
    MemberList,
    MemberStatus,
    Op,
    OpKind,
    OpResult,
    Target,
    TxnResult,
    prefix_end,
)
from groundplane.etcd.proto import kv_pb2 as kv
from groundplane.etcd.proto import rpc_pb2 as rpc

_RELATIONS = {"=": "EQUAL", ">": "GREATER", "<": "LESS", "!=": "NOT_EQUAL"}
_TARGETS = {Target.VERSION: "VERSION", Target.CREATE: "CREATE", Target.MOD: "MOD", Target.VALUE: "VALUE"}


def key_value(found: Any) -> KeyValue:
    """mvccpb.KeyValue."""
    return KeyValue(
        key=found.key,
        value=found.value,
        mod_revision=found.mod_revision,
        create_revision=found.create_revision,
        version=found.version,
        lease=found.lease,
    )


def event(found: Any) -> Event:
    """mvccpb.Event."""
    return Event(
        kv=key_value(found.kv),
        deleted=found.type == kv.Event.DELETE,
        previous=key_value(found.prev_kv) if found.HasField("prev_kv") else None,
    )


def transaction(compare: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op]) -> Any:
    """A TxnRequest."""
    return rpc.TxnRequest(
        compare=[_compare(one) for one in compare],
        success=[_op(one) for one in success],
        failure=[_op(one) for one in failure],
    )


def _compare(one: Compare) -> Any:
    if one.relation not in _RELATIONS:
        raise Invalid(f"{one.relation!r} is not a relation", to="compare", hint="use =, >, < or !=")
    operand: dict[str, Any] = {one.target.value: one.operand}
    result: Any = rpc.Compare.CompareResult.Value(_RELATIONS[one.relation])
    target: Any = rpc.Compare.CompareTarget.Value(_TARGETS[one.target])
    return rpc.Compare(
        key=one.key,
        result=result,
        target=target,
        **operand,
    )


def _op(one: Op) -> Any:
    # Every key is a range from the first there can be; an empty key etcd takes for a forgotten one.
    key, end = (one.key or b"\0", prefix_end(one.key)) if one.prefix else (one.key, b"")
    match one.kind:
        case OpKind.PUT:
            return rpc.RequestOp(request_put=rpc.PutRequest(key=one.key, value=one.data, lease=one.lease))
        case OpKind.GET:
            return rpc.RequestOp(request_range=rpc.RangeRequest(key=key, range_end=end))
        case OpKind.DELETE:
            return rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key, range_end=end))


def transaction_result(answer: Any) -> TxnResult:
    """A TxnResponse."""
    results = []
    for response in answer.responses:
        match response.WhichOneof("response"):
            case "response_range":
                results.append(OpResult(kvs=tuple(key_value(found) for found in response.response_range.kvs)))
            case "response_delete_range":
                results.append(OpResult(deleted=response.response_delete_range.deleted))
            case _:
                results.append(OpResult())
    return TxnResult(succeeded=answer.succeeded, revision=answer.header.revision, responses=tuple(results))


def member(found: Any) -> Member:
    """etcdserverpb.Member."""
    return Member(
        id=found.ID,
        name=found.name,
        peer_urls=tuple(found.peerURLs),
        client_urls=tuple(found.clientURLs),
        is_learner=found.isLearner,
    )


def member_list(answer: Any) -> MemberList:
    """Any response that lists members."""
    return MemberList(
        cluster_id=answer.header.cluster_id,
        member_id=answer.header.member_id,
        raft_term=answer.header.raft_term,
        members=tuple(member(found) for found in answer.members),
    )


def member_status(endpoint: str, answer: Any) -> MemberStatus:
    """A StatusResponse."""
    return MemberStatus(
        endpoint=endpoint,
        cluster_id=answer.header.cluster_id,
        member_id=answer.header.member_id,
        revision=answer.header.revision,
        version=answer.version,
        db_size=answer.dbSize,
        db_size_in_use=answer.dbSizeInUse,
        leader=answer.leader,
        raft_index=answer.raftIndex,
        raft_term=answer.raftTerm,
        raft_applied_index=answer.raftAppliedIndex,
        is_learner=answer.isLearner,
        errors=tuple(answer.errors),
    )
