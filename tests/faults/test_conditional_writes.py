"""Conditional writes, faults 52 and 53: one writer wins, nobody overwrites what it has not seen, on any server."""

from __future__ import annotations

import threading

import pytest

from fastdatastore import errors
from fastdatastore.engine.put import Condition, PutJob
from fastdatastore.testing.faults import Answer, ChangeHeaders, SwallowReply
from tests.support.clients import client_of
from tests.support.faulty import LARGE, MIDDLING, SMALL, Way

BOTH = pytest.mark.parametrize("content", [SMALL, MIDDLING], ids=["small", "large"])


def put(way: Way, content: bytes, condition: Condition | None) -> PutJob:
    client = way.client()
    return client.run_one(client.put(way.place.bucket, way.new, content, condition=condition))


def etag(way: Way) -> str:
    found: str = way.place.direct.head_object(Bucket=way.place.bucket, Key=way.new)["ETag"]
    return found


@BOTH
def test_an_object_is_stored_where_there_is_none(way: Way, content: bytes) -> None:
    put(way, content, Condition())
    assert way.stored() == content


@BOTH
def test_an_object_that_is_there_is_not_overwritten(way: Way, content: bytes) -> None:
    put(way, b"first", None)
    with pytest.raises(errors.Modified, match="What to do"):
        put(way, content, Condition())
    assert way.stored() == b"first"
    assert way.uploads() == []


@BOTH
@pytest.mark.parametrize("quoted", [True, False])
def test_the_object_that_was_seen_is_overwritten(way: Way, content: bytes, quoted: bool) -> None:
    put(way, b"first", None)
    put(way, content, Condition(etag(way) if quoted else etag(way).strip('"')))
    assert way.stored() == content


@BOTH
def test_an_object_that_was_replaced_meanwhile_is_not_overwritten(way: Way, content: bytes) -> None:
    put(way, b"first", None)
    seen = etag(way)
    put(way, b"second", None)
    with pytest.raises(errors.Modified):
        put(way, content, Condition(seen))
    assert way.stored() == b"second"
    assert way.uploads() == []


@BOTH
def test_an_object_that_was_deleted_meanwhile_is_not_made_again(way: Way, content: bytes) -> None:
    # MinIO before September 2025 would store it: minio/minio#21526.
    put(way, b"first", None)
    seen = etag(way)
    way.place.direct.delete_object(Bucket=way.place.bucket, Key=way.new)
    with pytest.raises(errors.Modified):
        put(way, content, Condition(seen))
    assert way.stored() is None


def race(way: Way, contents: list[bytes], condition: str) -> list[Exception | None]:
    """Writes all of them at once, by clients of their own; the errors in the same order."""
    outcomes: list[Exception | None] = [None] * len(contents)
    barrier = threading.Barrier(len(contents))

    def write(number: int) -> None:
        client = client_of(way.place.server)
        job = client.put(way.place.bucket, way.new, contents[number], condition=Condition(condition))
        barrier.wait(20)
        for ended in client.run([job]):
            outcomes[number] = ended.error

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(contents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.fault(52)
@pytest.mark.parametrize("there", [False, True], ids=["to be the first", "to be the next"])
def test_of_many_writers_at_once_one_wins(way: Way, there: bool) -> None:
    if there:
        put(way, b"first", None)
    # The same bytes of all: it is the write that wins, not the content.
    outcomes = race(way, [SMALL] * 8, etag(way) if there else "")
    assert outcomes.count(None) == 1
    assert all(error is None or isinstance(error, errors.Modified) for error in outcomes)
    assert way.stored() == SMALL


@BOTH
@pytest.mark.parametrize("there", [False, True], ids=["none", "one"])
def test_a_conditional_write_whose_reply_was_lost_has_succeeded(way: Way, content: bytes, there: bool) -> None:
    condition = Condition()
    if there:
        put(way, b"first", None)
        condition = Condition(etag(way))
    operation = "PutObject" if content == SMALL else "CompleteMultipartUpload"
    way.proxy.add(SwallowReply("reset", operation=operation, times=1))
    put(way, content, condition)
    assert way.stored() == content
    assert way.uploads() == []


CONFLICT = b"<Error><Code>ConditionalRequestConflict</Code><Message>said</Message></Error>"


def operation_of(content: bytes) -> str:
    """Of the request that stores it."""
    return "PutObject" if content == SMALL else "CompleteMultipartUpload"


@pytest.mark.fault(52)
@BOTH
@pytest.mark.parametrize("there", [False, True], ids=["none", "one"])
def test_a_conflict_with_an_earlier_attempt_of_the_same_write_is_none(way: Way, content: bytes, there: bool) -> None:
    condition = Condition()
    if there:
        put(way, b"first", None)
        condition = Condition(etag(way))
    # The first attempt, whose reply is lost, is still at work when the second comes.
    way.proxy.add(SwallowReply("reset", operation=operation_of(content), nth=1))
    way.proxy.add(Answer(409, CONFLICT, operation=operation_of(content), nth=2))
    put(way, content, condition)
    assert way.stored() == content
    assert way.uploads() == []


@pytest.mark.fault(52)
@BOTH
def test_a_conflict_that_has_passed_is_none(way: Way, content: bytes) -> None:
    way.proxy.add(Answer(409, CONFLICT, operation=operation_of(content), nth=1))  # somebody deletes it, say
    put(way, content, Condition())
    assert way.stored() == content


@pytest.mark.fault(52)
@BOTH
def test_a_conflict_that_another_writer_has_won_is_one(way: Way, content: bytes) -> None:
    put(way, b"first", None)
    way.proxy.add(Answer(404, operation="HeadObject", nth=1))  # the other writer comes after our look
    way.proxy.add(Answer(409, CONFLICT, operation=operation_of(content), nth=1))
    if way.place.server.name == "ceph" and content != SMALL:
        pytest.skip("Ceph 16 ignores conditions at CompleteMultipartUpload")
    with pytest.raises(errors.Modified):
        put(way, content, Condition())
    assert way.stored() == b"first"
    assert way.uploads() == []


@pytest.mark.fault(52)
@BOTH
def test_a_conflict_that_lasts_is_an_error(wire: Way, content: bytes) -> None:
    wire.proxy.add(Answer(409, CONFLICT, operation=operation_of(content)))
    with pytest.raises(errors.Modified, match="ConditionalRequestConflict"):
        put(wire, content, Condition())
    assert wire.stored() is None


@pytest.mark.fault(53)
@BOTH
def test_a_server_that_ignores_the_header_does_not_overwrite_what_is_there(wire: Way, content: bytes) -> None:
    put(wire, b"first", None)
    seen = etag(wire)
    put(wire, b"second", None)
    for name, condition in (("if-none-match", Condition()), ("if-match", Condition(seen))):
        wire.proxy.add(ChangeHeaders(drop=(name,), direction="request", operation="PutObject"))
        wire.proxy.add(ChangeHeaders(drop=(name,), direction="request", operation="CompleteMultipartUpload"))
        with pytest.raises(errors.Modified):
            put(wire, content, condition)
    assert wire.stored() == b"second"


def test_a_server_that_has_refused_once_is_not_looked_at_before(way: Way) -> None:
    client = way.client()
    put(way, b"first", None)
    way.proxy.add(Answer(404, operation="HeadObject", times=1))  # the other writer comes after our look
    with pytest.raises(errors.Modified):
        client.run_one(client.put(way.place.bucket, way.new, b"second", condition=Condition()))
    assert way.stored() == b"first"
    way.proxy.clear()
    client.run_one(client.put(way.place.bucket, f"{way.new}-other", b"x", condition=Condition()))
    assert [passed.operation for passed in way.proxy.log] == ["PutObject"]


def test_a_stream_can_be_stored_on_a_condition(way: Way) -> None:
    client = way.client()
    client.run_one(client.put_stream(way.place.bucket, way.new, iter([LARGE]), condition=Condition()))
    with pytest.raises(errors.Modified):
        client.run_one(client.put_stream(way.place.bucket, way.new, iter([SMALL]), condition=Condition()))
    assert way.stored() == LARGE


@pytest.mark.parametrize("nonsense", ["*", "a\r\nb", "é"])
def test_what_is_no_etag_is_refused(nonsense: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="ETag"):
        Condition(nonsense)


def test_resuming_on_a_condition_is_refused(wire: Way) -> None:
    with pytest.raises(errors.ConfigurationError, match="without resume"):
        wire.client().put(wire.place.bucket, wire.new, SMALL, condition=Condition(), resume=True)
