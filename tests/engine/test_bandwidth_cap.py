"""What a client moves under `max_gbps`, at every moment."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from fastdatastore.config import MIB
from fastdatastore.engine.pacing import BURST_SECONDS
from fastdatastore.testing import servers
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_of

GBPS = 0.4
RATE = GBPS * 1e9 / 8


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    if (why := servers.why_unavailable("null")) is not None:
        pytest.skip(why)
    with servers.start("null", mode="fixed") as server:
        yield server


# Those that come with their heads, those that wait to be told where they go, and those of several parts.
@pytest.mark.parametrize(("count", "size"), [(80, 200 << 10), (16, MIB), (1, 16 * MIB)])
def test_downloads_keep_to_the_cap_from_the_first_byte_on(server: RunningServer, count: int, size: int) -> None:
    client = client_of(server, max_gbps=GBPS, part_size=5 * MIB)
    largest = min(size, 2 * client.settings.part_size)  # see plan.in_whole_rounds
    began = time.monotonic()
    seen = 0

    def watch(moved: int) -> None:
        nonlocal seen
        seen = moved
        assert moved <= RATE * (time.monotonic() - began + BURST_SECONDS) + largest

    jobs = (client.get("bucket", f"{number}.{size}") for number in range(count))
    assert [job.size for job in client.run(jobs, watch) if job.error is None] == [size] * count
    assert seen == count * size
