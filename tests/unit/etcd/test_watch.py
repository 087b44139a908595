"""How far a watch has got, whatever way etcd cuts its responses."""

from hypothesis import given
from hypothesis import strategies as st

from groundplane.etcd.model import prefix_end
from groundplane.etcd.proto import kv_pb2, rpc_pb2
from groundplane.etcd.watch import Position


def response(
    revisions: list[int], *, now: int = 0, created: bool = False, fragment: bool = False
) -> rpc_pb2.WatchResponse:
    events = [kv_pb2.Event(kv=kv_pb2.KeyValue(key=b"k", mod_revision=revision)) for revision in revisions]
    header = rpc_pb2.ResponseHeader(revision=now)
    return rpc_pb2.WatchResponse(header=header, created=created, fragment=fragment, events=events)


def test_being_made_moves_only_a_watch_from_now() -> None:
    from_now, from_five = Position(0), Position(5)
    for position in (from_now, from_five):
        assert position.take(response([], now=40, created=True)) is None
    assert (from_now.wanted, from_five.wanted) == (41, 5)


def test_a_notice_of_progress_moves_a_quiet_watch_past_a_compaction() -> None:
    position = Position(5)
    assert position.take(response([], now=40)) is None
    assert position.wanted == 41


def test_a_notice_of_progress_never_moves_back() -> None:
    position = Position(50)
    position.take(response([], now=40))
    assert position.wanted == 50


def test_a_revision_cut_in_two_comes_out_whole() -> None:
    position = Position(1)
    first = position.take(response([1, 2, 3, 3], fragment=True))
    assert first is not None
    assert [event.kv.mod_revision for event in first.events] == [1, 2]
    assert (first.revision, position.wanted) == (2, 3)
    assert position.take(response([3], fragment=True)) is None
    second = position.take(response([3, 4]))
    assert second is not None
    assert [event.kv.mod_revision for event in second.events] == [3, 3, 3, 3, 4]
    assert position.wanted == 5


def test_a_stream_that_breaks_within_a_revision_has_it_sent_again() -> None:
    position = Position(1)
    position.take(response([1, 2, 2], fragment=True))
    position.restart()
    assert position.wanted == 2
    batch = position.take(response([2, 2, 2]))
    assert batch is not None
    assert len(batch.events) == 3


histories = st.lists(st.integers(1, 4), min_size=1, max_size=12)


@given(histories, st.data())
def test_whatever_is_cut_and_broken_each_event_comes_once_and_revisions_stay_whole(
    sizes: list[int], data: st.DataObject
) -> None:
    """`sizes`: events of revision 1, 2, …; etcd sends from any revision, cut anywhere, breaking off anywhere."""
    history = [revision for revision, size in enumerate(sizes, start=1) for _ in range(size)]
    position, got = Position(1), list[list[int]]()
    for _ in range(50):
        position.restart()
        rest = [revision for revision in history if revision >= position.wanted]
        while rest:
            count = data.draw(st.integers(1, len(rest)))
            piece, rest = rest[:count], rest[count:]
            # Without `fragment` a response ends where a revision does.
            fragment = bool(rest) and (rest[0] == piece[-1] or data.draw(st.booleans()))
            batch = position.take(response(piece, fragment=fragment))
            if batch is not None:
                got.append([event.kv.mod_revision for event in batch.events])
            if data.draw(st.integers(0, 3)) == 0:
                break  # the member dies
        if position.wanted > len(sizes):
            break
    whole = [revision for batch in got for revision in batch]
    assert whole == history[: len(whole)]
    assert all(not set(one) & set(other) for number, one in enumerate(got) for other in got[number + 1 :])


@given(st.binary(max_size=4), st.binary(max_size=6))
def test_the_end_of_a_prefix_takes_in_exactly_the_keys_that_begin_with_it(prefix: bytes, key: bytes) -> None:
    if not prefix or not key:
        return
    end = prefix_end(prefix)
    inside = key >= prefix and (end == b"\0" or key < end)
    assert inside == key.startswith(prefix) or (end == b"\0" and key > prefix)
