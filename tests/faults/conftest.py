"""Ways with faults on them: to every server, and to the null server where only the wire matters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastdatastore.engine import retry
from fastdatastore.testing import servers
from fastdatastore.testing.faults import FaultProxy
from fastdatastore.testing.servers import RunningServer
from tests.support.faulty import Place, Way, furnished


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come soon: how long the waits are is tested elsewhere."""
    monkeypatch.setattr(retry, "BASE", 0.005)
    monkeypatch.setattr(retry, "THROTTLED_BASE", 0.01)
    monkeypatch.setattr(retry, "CAP", 0.1)


@pytest.fixture(scope="session")
def place(s3_server: RunningServer) -> Iterator[Place]:
    """On each server."""
    with furnished(s3_server) as made:
        yield made


@pytest.fixture
def way(place: Place) -> Iterator[Way]:
    """To each server."""
    with FaultProxy(place.server.url) as proxy:
        yield Way(place, proxy)


@pytest.fixture(scope="session")
def null_place() -> Iterator[Place]:
    """On the null server."""
    with servers.start("null") as server, furnished(server) as made:
        yield made


@pytest.fixture
def wire(null_place: Place) -> Iterator[Way]:
    """To the null server."""
    with FaultProxy(null_place.server.url) as proxy:
        yield Way(null_place, proxy)
