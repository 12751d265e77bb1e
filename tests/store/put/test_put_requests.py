"""What a put asks of a server, and what it leaves behind when that fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fastdatastore import errors
from fastdatastore.engine import retry
from fastdatastore.store import ref
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.backends.s3 import S3Backend
from fastdatastore.store.collection.lease import Lease
from fastdatastore.store.put.many import put_many
from fastdatastore.store.put.outline import prepare
from fastdatastore.testing import servers
from fastdatastore.testing.faults import Answer, FaultProxy, Passed
from fastdatastore.testing.servers import RunningServer
from tests.store.put.stored import artifacts, chunks, load
from tests.store.put.test_put_many import NOISE, OBJECTS, WORDS, same
from tests.support.clients import client_of
from tests.support.faulty import Place, Way, furnished

MIB = 1 << 20


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BASE", 0.005)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with servers.start("null") as server, furnished(server) as made:
        yield made


@pytest.fixture
def way(place: Place) -> Iterator[Way]:
    with FaultProxy(place.server.url) as proxy:
        yield Way(place, proxy)


@pytest.fixture
def backend(way: Way) -> Backend:
    return S3Backend(way.client(stall_timeout=30.0, attempts=2), way.place.bucket, way.new)


def put(backend: Backend, *objects: object, **options: Any) -> dict[int, str | Exception]:
    return dict(put_many(backend, objects, lease=Lease(backend), **options))


def logged(way: Way) -> list[Passed]:
    """What has passed since the last look."""
    log = way.proxy.wait_until_idle()
    way.proxy.clear()
    return log


def counted(log: list[Passed]) -> dict[str, int]:
    """Requests by operation and what they were about."""
    return dict(Counter(f"{passed.operation} {passed.key.split('/')[1]}" for passed in log))


def test_what_is_there_costs_one_head_and_nothing_else(way: Way, backend: Backend) -> None:
    stored = put(backend, NOISE)
    logged(way)
    assert put(backend, NOISE) == stored
    assert counted(logged(way)) == {"HeadObject artifacts": 1}


def test_what_is_not_there_is_asked_for_and_sent_once_and_the_manifest_last(way: Way, backend: Backend) -> None:
    put(backend, NOISE)
    log = logged(way)
    count = len(chunks(backend))
    assert counted(log) == {
        "HeadObject artifacts": 1,
        "GetObject gc": 1,
        "HeadObject chunks": count,
        "PutObject chunks": count,
        "PutObject artifacts": 1,
    }
    assert (log[-1].operation, log[-1].key.split("/")[1]) == ("PutObject", "artifacts")


def test_an_append_sends_what_is_new_and_two_chunks_at_most(way: Way, backend: Backend) -> None:
    put(backend, NOISE[: 4 * MIB], compression="none")
    logged(way)
    put(backend, NOISE, compression="none")
    log = logged(way)
    sent = [passed.sent for passed in log if "chunks/" in passed.key and passed.operation == "PutObject"]
    assert sum(sent) <= 8 * MIB + 2 * 16 * MIB
    assert len(sent) <= 3


def test_what_two_objects_share_is_sent_once(way: Way, backend: Backend) -> None:
    results = put(backend, NOISE, NOISE.reshape(5, -1), {"a": NOISE}, NOISE)
    assert len(set(results.values())) == 3
    log = counted(logged(way))
    assert log["PutObject chunks"] == log["HeadObject chunks"] == len(chunks(backend))
    assert len(artifacts(backend)) == 3


def test_a_small_object_is_one_put(way: Way, backend: Backend) -> None:
    put(backend, *({"number": n} for n in range(50)))
    assert counted(logged(way)) == {"GetObject gc": 1, "PutObject artifacts": 50}


def test_who_may_not_ask_sends_all(way: Way, backend: Backend) -> None:
    way.proxy.add(Answer(403, operation="HeadObject"))
    for _ in range(2):
        assert put(backend, NOISE) == {0: prepare(NOISE).ref}
        log = counted(logged(way))
        way.proxy.add(Answer(403, operation="HeadObject"))
        assert log["PutObject chunks"] == log["HeadObject chunks"]


def test_a_chunk_that_cannot_be_sent_is_the_failure_of_those_who_want_it(way: Way, backend: Backend) -> None:
    last = prepare(NOISE).pieces[-1].chunk.digest
    way.proxy.add(Answer(403, operation="PutObject", key=last))
    other = np.arange(2 * MIB)
    results = put(backend, NOISE, {"a": NOISE}, other, [WORDS])
    assert isinstance(results[0], errors.AccessDenied)
    assert isinstance(results[1], errors.AccessDenied)
    assert sorted(artifacts(backend)) == sorted(str(results[n]) for n in (2, 3))
    logged(way)
    assert put(backend, NOISE) == {0: prepare(NOISE).ref}
    assert counted(logged(way))["PutObject chunks"] == 1


def test_a_manifest_that_cannot_be_sent_leaves_chunks(way: Way, backend: Backend) -> None:
    way.proxy.add(Answer(500, operation="PutObject", key="artifacts/"))
    results = put(backend, NOISE, {"a": 1})
    assert [type(results[n]) for n in (0, 1)] == [errors.ServerError] * 2
    assert artifacts(backend) == []
    assert chunks(backend)


def test_a_server_that_cannot_be_asked_is_the_failure_of_those_who_ask(way: Way, backend: Backend) -> None:
    way.proxy.add(Answer(500, operation="HeadObject"))
    results = put(backend, NOISE, {"a": 1})
    assert isinstance(results[0], errors.ServerError)
    assert artifacts(backend) == [results[1]]


def test_all_servers_keep_what_is_put(s3_server: RunningServer, bucket: str) -> None:
    backend = S3Backend(client_of(s3_server), bucket, "a/store")
    objects = [
        OBJECTS[name]() for name in ("a small dict", "a large array", "a frame", "text that is compressed inline")
    ]
    results = put(backend, *objects)
    for index, obj in enumerate(objects):
        assert results[index] == prepare(obj).ref
        assert same(obj, load(backend, str(results[index])))
    assert sorted(artifacts(backend)) == sorted(ref.of(ref.digest_of(str(each))) for each in results.values())
