"""What is S3's own: faults on the way, requests that it takes, servers and buckets of others."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fastdatastore import errors
from fastdatastore.engine import retry
from fastdatastore.store.backends.base import UNKNOWN, Found, Read, Write
from fastdatastore.store.backends.s3 import S3Backend
from fastdatastore.testing import servers
from fastdatastore.testing.faults import Answer, ChangeHeaders, Corrupt, FaultProxy, Reset, SwallowReply
from fastdatastore.testing.servers import RunningServer
from tests.store.conformance import LARGE, fetch, get, names, put
from tests.support.clients import FixedCredentials, client_at, client_of
from tests.support.faulty import Place, Way, furnished
from tests.support.scripted_server import Received, Reply, ScriptedServer, StoredObject

CHUNK = LARGE + LARGE[: 64 << 10] + b"x" * 32  # the largest that a store makes


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BASE", 0.005)


@pytest.fixture(scope="session")
def place(s3_server: RunningServer) -> Iterator[Place]:
    with furnished(s3_server) as made:
        yield made


@pytest.fixture
def way(place: Place) -> Iterator[Way]:
    with FaultProxy(place.server.url) as proxy:
        yield Way(place, proxy)


@pytest.fixture(scope="session")
def null_place() -> Iterator[Place]:
    with servers.start("null") as server, furnished(server) as made:
        yield made


@pytest.fixture
def wire(null_place: Place) -> Iterator[Way]:
    with FaultProxy(null_place.server.url) as proxy:
        yield Way(null_place, proxy)


def backend_of(way: Way, **settings: Any) -> S3Backend:
    return S3Backend(way.client(**settings), way.place.bucket, way.new)


# ---- an error, but stored all the same ----


@pytest.mark.parametrize("condition", ["always", "none", "match"])
@pytest.mark.parametrize("fault", [SwallowReply("reset", times=1), Answer(500, forwarded=True, times=1)])
@pytest.mark.parametrize("size", [20, 9 << 20])
def test_a_write_whose_success_was_not_heard_has_succeeded(way: Way, size: int, fault: Any, condition: str) -> None:
    backend = backend_of(way)
    keywords: dict[str, Any] = {"if_none_match": condition == "none"}
    if condition == "match":
        keywords["if_match"] = put(backend, "tags/a", b"first").etag
    way.proxy.add(type(fault)(**(vars(fault) | {"operation": "PutObject"})))
    stored = put(backend, "tags/a", LARGE[:size], **keywords)
    content, item = fetch(backend, "tags/a")
    assert content == LARGE[:size]
    assert item.etag == stored.etag


def test_a_write_that_failed_may_be_stored_and_is_so_wholly(wire: Way) -> None:
    backend = backend_of(wire, attempts=2)
    wire.proxy.add(Answer(500, forwarded=True, operation="PutObject"))
    with pytest.raises(errors.ServerError):
        put(backend, "a", LARGE)
    assert get(backend, "a") == LARGE
    wire.proxy.clear()
    put(backend, "a", LARGE)
    with pytest.raises(errors.Modified):  # a new call cannot know that the object is that of an earlier one
        put(backend, "a", LARGE, if_none_match=True)


# ---- bytes on the way ----


@pytest.mark.parametrize("at", [0, 40, 300_000, 16 << 20])
def test_a_body_cut_short_goes_on_where_it_stopped(wire: Way, at: int) -> None:
    backend = backend_of(wire)
    put(backend, "chunk", CHUNK)
    wire.proxy.add(Reset(at=at, operation="GetObject", times=1))
    places = bytearray(32), bytearray(7), bytearray(len(CHUNK) - 39)
    calls = []

    def place(size: int) -> tuple[bytearray, ...]:
        calls.append(size)
        return places

    (item,) = backend.read([Read("chunk", place)])
    assert item.error is None
    assert b"".join(places) == CHUNK
    assert calls == [len(CHUNK)]
    assert wire.struck(Reset) == 1


@pytest.mark.parametrize("objects", [1, 2])
def test_an_object_that_is_replaced_in_the_middle_is_read_anew(objects: int) -> None:
    """As by whoever has put the same chunk, and compressed it."""
    old, new = StoredObject(CHUNK), StoredObject(LARGE[::-1], '"e2"')

    def script(request: Received) -> Reply:
        return replace(old.get(request), stop_after=1_000_000) if request.number == 0 else new.get(request)

    with ScriptedServer(script) as server:
        items = list(S3Backend(client_at(server.url), "bucket").read([Grown(f"{index}") for index in range(objects)]))
    assert [(item.error, item.etag, bytes(item.content)) for item in items] == [(None, "e2", LARGE[::-1])] * objects
    assert sorted(size for item in items for size in item.sizes) == [len(LARGE)] * objects + [len(CHUNK)]


def test_an_object_that_is_replaced_all_the_time_is_an_error() -> None:
    def script(request: Received) -> Reply:
        return replace(StoredObject(CHUNK, f'"e{request.number}"').get(request), stop_after=1_000_000)

    with ScriptedServer(script) as server:
        (item,) = S3Backend(client_at(server.url), "bucket").read([Grown("chunk")])
    assert isinstance(item.error, errors.Modified)
    assert item.sizes == [len(CHUNK)] * 4


class Grown(Read):
    """Of an object of any size.

    Attributes:
        sizes: For which place was asked.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, self._grown)
        self.sizes: list[int] = []
        self.content = bytearray()

    def _grown(self, size: int) -> tuple[bytearray, ...]:
        self.sizes.append(size)
        self.content = bytearray(size)
        return (self.content,)


def test_bytes_that_change_on_the_way_up_are_sent_again(wire: Way) -> None:
    backend = backend_of(wire)
    wire.proxy.add(Corrupt(at=1_000_000, direction="request", operation="PutObject", times=1))
    put(backend, "chunk", CHUNK[:32], CHUNK[32:])
    assert wire.struck(Corrupt) == 1
    assert get(backend, "chunk") == CHUNK


def test_reading_shows_that_the_server_keeps_checksums(wire: Way) -> None:
    put(backend_of(wire), "a/b", b"here")
    backend = backend_of(wire)
    assert backend.client.remote.learnt(backend.bucket).checksums is None
    assert get(backend, "a/b") == b"here"
    assert backend.client.remote.learnt(backend.bucket).checksums is True


def test_the_largest_chunk_is_one_request_each_way(wire: Way) -> None:
    backend = backend_of(wire)
    put(backend, "chunk", CHUNK[:32], CHUNK[32:])
    assert get(backend, "chunk") == CHUNK
    assert [passed.operation for passed in wire.proxy.log] == ["PutObject", "GetObject"]


def test_larger_objects_are_possible_all_the_same(wire: Way) -> None:
    backend = backend_of(wire)
    put(backend, "large", CHUNK[:32], CHUNK, CHUNK, CHUNK)
    assert get(backend, "large") == CHUNK[:32] + CHUNK * 3
    assert "UploadPart" in {passed.operation for passed in wire.proxy.log}


# ---- what is there ----


def test_what_is_missing_takes_one_request(wire: Way) -> None:
    backend = backend_of(wire)
    assert list(backend.found(["a"])) == [("a", None)]
    assert [passed.operation for passed in wire.proxy.log] == ["HeadObject"]


def test_what_one_may_not_know_is_unknown(wire: Way) -> None:
    wire.proxy.add(Answer(403, operation="HeadObject"))
    assert list(backend_of(wire).found(["a"])) == [("a", UNKNOWN)]


def test_an_age_that_the_server_does_not_tell_is_infinite(wire: Way) -> None:
    backend = backend_of(wire)
    put(backend, "a", b"1")
    wire.proxy.add(ChangeHeaders(put={"Date": "noon", "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}))
    assert list(backend.found(["a"])) == [("a", Found(1, 784111777.0, math.inf))]
    wire.proxy.clear()
    wire.proxy.add(ChangeHeaders(put={"Last-Modified": ""}))
    assert list(backend.found(["a"])) == [("a", Found(1, 0.0, math.inf))]


def test_ages_are_by_the_servers_clock(wire: Way) -> None:
    backend = backend_of(wire)
    put(backend, "a", b"1")
    date, stored = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:00 GMT"
    wire.proxy.add(ChangeHeaders(put={"Date": date, "Last-Modified": stored}))
    assert list(backend.found(["a"])) == [("a", Found(1, 784111740.0, 37.0))]


def test_a_server_that_cannot_be_asked_is_an_error(wire: Way) -> None:
    backend = backend_of(wire, attempts=2)
    wire.proxy.add(Answer(500))
    with pytest.raises(errors.ServerError):
        list(backend.found(["a"]))
    with pytest.raises(errors.ServerError):
        list(backend.list(""))
    with pytest.raises(errors.ServerError):
        backend.delete(["a"])
    with pytest.raises(errors.ServerError):
        backend.now()
    (read,) = backend.read([Read("a", lambda size: (bytearray(size),))])
    (written,) = backend.write([Write("a", (b"x",))])
    assert isinstance(read.error, errors.ServerError)
    assert isinstance(written.error, errors.ServerError)


def test_the_time_is_the_servers(wire: Way) -> None:
    backend = backend_of(wire)
    wire.proxy.add(ChangeHeaders(put={"Date": "Sun, 06 Nov 1994 08:49:37 GMT"}))
    assert backend.now() == 784111777.0
    wire.proxy.clear()
    wire.proxy.add(ChangeHeaders(put={"Date": "noon"}))
    with pytest.raises(errors.ProtocolError, match="noon"):
        backend.now()


def test_objects_that_cannot_be_deleted_are_named(wire: Way) -> None:
    body = b"<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code></Error></DeleteResult>"
    wire.proxy.add(Answer(200, body, operation="DeleteObjects"))
    with pytest.raises(errors.DeleteFailed, match="1 of 2 objects"):
        backend_of(wire).delete(["a", "b"])


def test_objects_of_others_in_the_bucket_are_left_alone(way: Way) -> None:
    backend = backend_of(way)
    put(backend, "a/b", b"1")
    for key in (f"{way.new}x", f"{way.new}/dir/", f"{way.new}/.hidden"):
        way.place.direct.put_object(Bucket=way.place.bucket, Key=key, Body=b"")
    assert names(backend) == ["a/b"]
    whole = S3Backend(way.client(), way.place.bucket)
    assert {f"{way.new}/a/b", f"{way.new}x", "small"} <= set(names(whole))


def test_a_key_that_is_too_long_with_its_prefix_is_the_error_of_its_item() -> None:
    backend = S3Backend(client_at("http://127.0.0.1:9"), "bucket", "p" * 200)
    (item,) = backend.write([Write("/".join(["x" * 200] * 5), (b"",))])
    assert isinstance(item.error, errors.InvalidKey)


@pytest.mark.parametrize("prefix", ["/", "a/", "../b", ".a"])
def test_a_prefix_is_a_name(prefix: str) -> None:
    with pytest.raises(errors.InvalidKey):
        S3Backend(client_at("http://127.0.0.1:9"), "bucket", prefix)


def test_it_pickles_and_shows_what_it_is(null_place: Place) -> None:
    server = null_place.server
    client = client_of(server, FixedCredentials(server.access_key, server.secret_key))
    again = pickle.loads(pickle.dumps(S3Backend(client, null_place.bucket, "a/b")))
    put(again, "x", b"1")
    assert get(again, "x") == b"1"
    assert repr(again).startswith(f"<S3Backend s3://{null_place.bucket}/a/b/ at ")
