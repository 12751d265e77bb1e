"""A store with credentials that may not do all: a fault proxy denies what a policy of the bucket would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fastdatastore import ArtifactStore, errors
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.engine.client import Client
from fastdatastore.testing.faults import FaultProxy, answers
from fastdatastore.testing.servers import RunningServer, null
from tests.store.stores import in_bucket
from tests.support.clients import FixedCredentials

ARRAY = np.arange(400_000)
WRITES = ("PutObject", "DeleteObject", "DeleteObjects", "CreateMultipartUpload")


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with null.start(buckets=["bucket"]) as started:
        yield started


@pytest.fixture
def proxy(server: RunningServer) -> Iterator[FaultProxy]:
    with FaultProxy(server.url) as started:
        yield started


@pytest.fixture
def owner(server: RunningServer) -> ArtifactStore:
    """Of somebody who may do all."""
    store: ArtifactStore = in_bucket(server, "bucket")()
    return store


@pytest.fixture
def store(server: RunningServer, proxy: FaultProxy) -> ArtifactStore:
    """The same store, through the proxy."""
    endpoint = EndpointConfig(proxy.url, server.region, "", "path")
    client = Client(endpoint, FixedCredentials(server.access_key, server.secret_key))
    return ArtifactStore("s3://bucket/a/store", client=client)


def deny(proxy: FaultProxy, *operations: str, **which: Any) -> None:
    for operation in operations:
        proxy.add(answers.error(403, "AccessDenied", operation=operation, **which))


def test_who_may_only_read_can_do_all_that_reads(owner: ArtifactStore, store: ArtifactStore, proxy: FaultProxy) -> None:
    refs = owner.put_many([ARRAY, {"a": 1}])
    owner.tag("latest", refs[0])
    deny(proxy, *WRITES)
    assert (store.get(store.resolve("latest")) == ARRAY).all()
    assert store.get_many(refs)[1] == {"a": 1}
    assert store.stat(refs[0]).type == "numpy.ndarray"
    assert store.tags() == {"latest": refs[0]}
    assert {entry.ref for entry in store.list(details=True)} == set(refs)
    assert list(store.verify()) == []
    assert store.put(ARRAY) == refs[0]  # it is there
    assert store.gc(dry_run=True).artifacts.count == 2
    for write in (
        lambda: store.put(ARRAY[1:]),
        lambda: store.put({"a": 1}),  # it is there, too, but so small that nobody asks
        lambda: store.tag("new", refs[0]),
        lambda: store.delete(refs[1]),
        lambda: store.delete_tag("latest"),
    ):
        with pytest.raises(errors.AccessDenied):
            write()
    assert store.tags() == {"latest": refs[0]}
    assert store.get(refs[1]) == {"a": 1}


def test_who_may_not_list_is_told_403_of_what_is_not_there_and_makes_a_store(
    owner: ArtifactStore, store: ArtifactStore, proxy: FaultProxy
) -> None:
    deny(proxy, "GetObject", key=r"store\.json$", times=1)
    deny(proxy, "HeadObject", "ListObjectsV2")
    ref = store.put(ARRAY)
    assert (owner.get(ref) == ARRAY).all()
    assert store.put(ARRAY) == ref


def test_who_may_not_ask_for_sizes_is_told_so(owner: ArtifactStore, store: ArtifactStore, proxy: FaultProxy) -> None:
    ref = owner.put(ARRAY)
    deny(proxy, "HeadObject")
    found = store.stat(ref)
    assert (found.size, found.stored_size, found.ratio, found.created) == (ARRAY.nbytes, None, None, None)


def test_who_may_nothing_is_told_so(owner: ArtifactStore, store: ArtifactStore, proxy: FaultProxy) -> None:
    ref = owner.put(ARRAY)
    deny(proxy, "GetObject", "HeadObject", "ListObjectsV2", *WRITES)
    for call in (lambda: store.get(ref), lambda: store.put(ARRAY), lambda: store.stat(ref), store.tags):
        with pytest.raises(errors.AccessDenied):
            call()
