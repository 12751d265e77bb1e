"""Large uploads of one call follow one another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastdatastore.config import MIB, Settings
from fastdatastore.engine.client import Client
from fastdatastore.testing import servers
from fastdatastore.testing.servers import RunningServer

BUCKET = "uploads"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    if (why := servers.why_unavailable("null")) is not None:
        pytest.skip(why)
    with servers.start("null", mode="store", buckets=(BUCKET,), latency_ms=5, link_gbps=4) as server:
        for name, value in server.env().items():
            monkeypatch.setenv(name, value)
        yield server


def test_few_are_open_at_a_time_and_they_end_about_in_the_order_they_began(server: RunningServer) -> None:
    client = Client(settings=Settings(parts_in_flight=4, part_size=8 * MIB))
    payload = bytes(40 * MIB)
    keys = [f"{number:02}" for number in range(12)]
    ended: list[str] = []
    for job in client.run(client.put(BUCKET, key, payload) for key in keys):
        assert job.error is None
        ended.append(job.key)
        uploads = server.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        assert len(uploads) <= 4
    # None overtakes more than those that were open beside it.
    assert all(ended.index(key) >= turn - 3 for turn, key in enumerate(keys))
