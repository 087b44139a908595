"""What is said in our words arrives in etcd's messages, and what etcd answers in our words; over the wire's bytes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.etcd import Compare, KeyValue, Op, translate
from groundplane.etcd.model import OpResult
from groundplane.etcd.proto import kv_pb2, rpc_pb2

numbers, ids = st.integers(0, 2**63 - 1), st.integers(0, 2**64 - 1)
words = st.binary(max_size=8)
key_values = st.builds(
    KeyValue,
    key=words,
    value=words,
    mod_revision=numbers,
    create_revision=numbers,
    version=numbers,
    lease=numbers,
)


def as_message(kv: KeyValue) -> kv_pb2.KeyValue:
    return kv_pb2.KeyValue(
        key=kv.key,
        value=kv.value,
        mod_revision=kv.mod_revision,
        create_revision=kv.create_revision,
        version=kv.version,
        lease=kv.lease,
    )


def sent(message: Any) -> Any:
    """The message as it is read at the other end."""
    return type(message).FromString(message.SerializeToString())


@given(key_values, st.none() | key_values, st.booleans())
def test_an_event_keeps_what_is_and_what_was(now: KeyValue, before: KeyValue | None, deleted: bool) -> None:  # noqa: FBT001 - drawn
    kind = kv_pb2.Event.DELETE if deleted else kv_pb2.Event.PUT
    message = kv_pb2.Event(type=kind, kv=as_message(now))
    if before is not None:
        message.prev_kv.CopyFrom(as_message(before))
    found = translate.event(sent(message))
    assert (found.kv, found.deleted, found.previous) == (now, deleted, before)


RELATIONS = {"=": 0, ">": 1, "<": 2, "!=": 3}


@given(words, st.sampled_from(sorted(RELATIONS)), numbers, words)
def test_each_comparison_says_what_of_the_key_and_against_what(
    key: bytes, relation: str, number: int, value: bytes
) -> None:
    asked = [
        Compare.version(key, relation, number),
        Compare.create_revision(key, relation, number),
        Compare.mod_revision(key, relation, number),
        Compare.value(key, relation, value),
    ]
    message = sent(translate.transaction(asked, (), ()))
    assert [one.target for one in message.compare] == [0, 1, 2, 3]
    fields = ["version", "create_revision", "mod_revision", "value"]
    # The operand is there even where it is zero: "not there" is version = 0.
    assert [one.WhichOneof("target_union") for one in message.compare] == fields
    operands = [getattr(one, name) for one, name in zip(message.compare, fields, strict=True)]
    assert operands == [number, number, number, value]
    assert {(one.key, one.result) for one in message.compare} == {(key, RELATIONS[relation])}


def test_a_relation_that_etcd_lacks_is_refused() -> None:
    with pytest.raises(Invalid, match="is not a relation"):
        translate.transaction([Compare.version(b"k", ">=", 1)], (), ())


def test_operations_keep_their_branch_and_order() -> None:
    asked = [Op.put(b"a", b"1", lease=7), Op.get(b"b"), Op.get(b"c/", prefix=True), Op.delete(b"d/", prefix=True)]
    message = sent(translate.transaction([], asked, [Op.delete(b"e")]))
    put, get, those, away = message.success
    assert (put.request_put.key, put.request_put.value, put.request_put.lease) == (b"a", b"1", 7)
    assert (get.request_range.key, get.request_range.range_end) == (b"b", b"")
    assert (those.request_range.key, those.request_range.range_end) == (b"c/", b"c0")
    assert (away.request_delete_range.key, away.request_delete_range.range_end) == (b"d/", b"d0")
    assert [op.request_delete_range.key for op in message.failure] == [b"e"]


def test_the_empty_prefix_is_every_key_and_no_forgotten_one() -> None:
    message = translate.transaction([], [Op.get(b"", prefix=True), Op.delete(b"", prefix=True), Op.get(b"")], ())
    every, away, forgotten = message.success
    assert (every.request_range.key, every.request_range.range_end) == (b"\0", b"\0")
    assert (away.request_delete_range.key, away.request_delete_range.range_end) == (b"\0", b"\0")
    assert (forgotten.request_range.key, forgotten.request_range.range_end) == (b"", b"")


@given(st.booleans(), numbers, st.lists(key_values, max_size=3), numbers)
def test_a_transactions_answers_stay_in_order(
    succeeded: bool,  # noqa: FBT001 - drawn
    revision: int,
    kvs: list[KeyValue],
    deleted: int,
) -> None:
    message = rpc_pb2.TxnResponse(
        header=rpc_pb2.ResponseHeader(revision=revision),
        succeeded=succeeded,
        responses=[
            rpc_pb2.ResponseOp(response_put=rpc_pb2.PutResponse()),
            rpc_pb2.ResponseOp(response_range=rpc_pb2.RangeResponse(kvs=[as_message(kv) for kv in kvs])),
            rpc_pb2.ResponseOp(response_delete_range=rpc_pb2.DeleteRangeResponse(deleted=deleted)),
        ],
    )
    found = translate.transaction_result(sent(message))
    assert (found.succeeded, found.revision) == (succeeded, revision)
    assert found.responses == (OpResult(), OpResult(kvs=tuple(kvs)), OpResult(deleted=deleted))


@given(ids, ids, st.text(max_size=5), st.booleans(), st.lists(st.text(max_size=5), max_size=2))
def test_members_keep_all_bits_of_their_ids(
    cluster: int,
    number: int,
    name: str,
    learner: bool,  # noqa: FBT001 - drawn
    urls: list[str],
) -> None:
    member = rpc_pb2.Member(ID=number, name=name, peerURLs=urls, clientURLs=[], isLearner=learner)
    header = rpc_pb2.ResponseHeader(cluster_id=cluster, member_id=number, raft_term=3)
    found = translate.member_list(sent(rpc_pb2.MemberListResponse(header=header, members=[member])))
    assert (found.cluster_id, found.member_id, found.raft_term) == (cluster, number, 3)
    [one] = found.members
    assert (one.id, one.name, one.peer_urls, one.client_urls, one.is_learner) == (
        number,
        name,
        tuple(urls),
        (),
        learner,
    )
