"""What becomes of the first, unranged stream of a download."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastdatastore.config import MIB, Settings
from fastdatastore.engine.client import Client
from fastdatastore.testing import servers
from tests.servers.nullserver_fixture import pattern


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if (why := servers.why_unavailable("null")) is not None:
        pytest.skip(why)
    with servers.start("null", mode="fixed") as server:
        for name, value in server.env().items():
            monkeypatch.setenv(name, value)
        yield


def attempts(size: int, parts_in_flight: int) -> int:
    client = Client(settings=Settings(parts_in_flight=parts_in_flight, part_size=8 * MIB))
    job = client.run_one(client.get("bucket", f"object.{size}"))
    assert bytes(job.content[-1000:]) == pattern(size)[-1000:]
    assert job.retries == 0
    return job.attempts


@pytest.mark.usefixtures("endpoint")
class TestTheFirstStream:
    def test_is_one_part_where_others_can_take_the_rest(self) -> None:
        assert attempts(20 * MIB, parts_in_flight=8) == 3

    def test_goes_on_where_there_is_no_slot_for_others(self) -> None:
        assert attempts(20 * MIB, parts_in_flight=1) == 1

    def test_of_a_large_object_is_one_part_in_any_case(self) -> None:
        assert attempts(80 * MIB, parts_in_flight=1) == 10
