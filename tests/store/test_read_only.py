"""Credentials that may only read can read: all that changes nothing works, on a server that holds them to it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fastdatastore import ArtifactStore
from fastdatastore.errors import AccessDenied
from fastdatastore.store.backends.s3 import S3Backend
from fastdatastore.store.collection.state import Phase
from fastdatastore.testing import servers
from fastdatastore.testing.servers import RunningServer
from tests.store.collection.places import change
from tests.support.clients import FixedCredentials, client_of

BUCKET = "read-only"
WEIGHTS = np.arange(400_000.0)
OBJECT = {"weights": WEIGHTS, "epoch": 3}


@dataclass(frozen=True)
class Identity:
    """Attributes: actions: what the server lets it do."""

    name: str
    actions: tuple[str, ...]
    secret: str

    @property
    def credentials(self) -> FixedCredentials:
        return FixedCredentials(self.name, self.secret)


IDENTITIES = {
    name: Identity(name, actions, secrets.token_hex(16))
    for name, actions in {
        "writer": ("Admin", "Read", "Write", "List", "Tagging"),
        "reader": ("Read", "List"),
        "getter": ("Read",),
    }.items()
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """SeaweedFS is the one of our servers that takes users from a file."""
    if (why := servers.why_unavailable("seaweedfs")) is not None:
        pytest.skip(why)
    config: Path = tmp_path_factory.mktemp("users") / "s3.json"
    users = [
        {
            "name": each.name,
            "credentials": [{"accessKey": each.name, "secretKey": each.secret}],
            "actions": each.actions,
        }
        for each in IDENTITIES.values()
    ]
    config.write_text(json.dumps({"identities": users}))
    with servers.start("seaweedfs", flags=[f"-s3.config={config}"], buckets=(BUCKET,)) as started:
        yield started


def opened(server: RunningServer, name: str) -> ArtifactStore:
    client = client_of(server, IDENTITIES[name].credentials)
    return ArtifactStore(f"s3://{BUCKET}/a/store", client=client)


@pytest.fixture
def ref(server: RunningServer) -> str:
    """Of an artifact that is there, tagged."""
    with opened(server, "writer") as store:
        ref = store.put(OBJECT)
        store.tag("run/1", ref)
        return ref


def test_a_reader_reads_lists_and_verifies(server: RunningServer, ref: str) -> None:
    with opened(server, "reader") as store:
        assert np.array_equal(store.get(store.resolve("run/1"))["weights"], WEIGHTS)
        assert [entry.ref for entry in store.list()] == [ref]
        assert store.tags() == {"run/1": ref}
        assert store.stat(ref).ref == ref
        assert list(store.verify()) == []


def test_who_may_only_get_reads(server: RunningServer, ref: str) -> None:
    with opened(server, "getter") as store:
        assert np.array_equal(store.get(store.resolve("run/1"))["weights"], WEIGHTS)
        assert list(store.verify([ref])) == []


def test_a_collection_hinders_no_reader(server: RunningServer, ref: str) -> None:
    backend = S3Backend(client_of(server, IDENTITIES["writer"].credentials), BUCKET, "a/store")
    with opened(server, "reader") as reader:
        change(backend, Phase.CONDEMNED, "chunks/b3/ab/" + "ab" * 32)
        change(backend, Phase.SWEEPING)
        assert reader.get(ref)["epoch"] == 3
        change(backend, Phase.IDLE)


@pytest.mark.parametrize("name", ["reader", "getter"])
def test_they_change_nothing_and_are_told(server: RunningServer, ref: str, name: str) -> None:
    with opened(server, name) as store:
        with pytest.raises(AccessDenied):
            store.put("something else")
        with pytest.raises(AccessDenied):
            store.tag("run/2", ref)
        with pytest.raises(AccessDenied):
            store.delete(ref)
        with pytest.raises(AccessDenied):
            store.put(np.zeros(400_000))
    with opened(server, "writer") as store:
        assert store.tags() == {"run/1": ref}
        assert [entry.ref for entry in store.list()] == [ref]
