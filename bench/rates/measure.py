"""One run of one client: what the server has moved, tenth of a second by tenth, and what that took."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from bench.peers.child import MeasurementFailed, order, running
from bench.peers.work import BUCKET, Verb
from fastdatastore.testing import servers
from fastdatastore.testing.servers import null, usage

from .entrants import Entrant
from .workloads import Link, Workload

STEP = 0.1
_READY_SECONDS = 60.0


@dataclass(frozen=True)
class Window:
    """Seconds since the start, between which rates and costs are averaged."""

    start: float = 3.0
    end: float = 20.0

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


@dataclass(frozen=True)
class Sample:
    """What one run gave.

    Attributes:
        version: The client's.
        gbps: Mean of the window, Gbit/s.
        gbps_each_step: The same of each tenth of a second from the start on.
        core_seconds_per_gb: User and system time of the client and all that it started, in the window, for 10^9 bytes.
        server_core_seconds_per_gb: The server's.
    """

    version: str
    gbps: float
    gbps_each_step: list[float]
    core_seconds_per_gb: float
    server_core_seconds_per_gb: float


def measure(entrant: Entrant, workload: Workload, link: Link, size: int, window: Window) -> Sample:
    """Runs one client to the window's end, on a server of its own, and stops it then.

    Raises:
        MeasurementFailed: The client failed, or ended before the time was up.
    """
    mode = "fixed" if workload.verb == "get" else "sink"
    options = {"mode": mode, "buckets": (BUCKET,), "report_ms": round(STEP * 1000), **link.server_options}
    work = workload.work(link, size, window.end)
    with servers.start("null", **options) as server, running(entrant.client, entrant.setting, work, server) as child:
        child.say(order(entrant.client, entrant.setting, work, child.files, one_by_one=workload.one_by_one))
        version = child.hear(time.monotonic() + _READY_SECONDS)["ready"]
        child.say("go")
        started = time.monotonic()
        costs = []
        for moment in (window.start, window.end):
            if not child.is_silent_until(started + moment):
                child.hear(time.monotonic())
                raise MeasurementFailed("it was done before the time was up")
            costs.append((usage.cpu_seconds([child.pid]), server.cpu_seconds()))
        time.sleep(2 * STEP)  # the window's end is noted
        moved = _moved(null.traffic(server), workload.verb, started)
    gigabytes = moved.between(window.start, window.end) / 1e9
    if not gigabytes:
        raise MeasurementFailed("it moved nothing")
    steps = round(window.end / STEP)
    return Sample(
        version=version,
        gbps=8 * gigabytes / window.seconds,
        gbps_each_step=[round(8e-9 * moved.between(i * STEP, (i + 1) * STEP) / STEP, 3) for i in range(steps)],
        core_seconds_per_gb=(costs[1][0] - costs[0][0]) / gigabytes,
        server_core_seconds_per_gb=(costs[1][1] - costs[0][1]) / gigabytes,
    )


class _Moved:
    """Bytes so far, by time since the start, straight lines between what was noted."""

    def __init__(self, times: Sequence[float], counts: Sequence[int]) -> None:
        self._times = times
        self._counts = counts

    def _at(self, moment: float) -> float:
        i = min(max(1, bisect_left(self._times, moment)), len(self._times) - 1)
        (before, after), (low, high) = self._times[i - 1 : i + 1], self._counts[i - 1 : i + 1]
        return low + (high - low) * min(1.0, max(0.0, (moment - before) / (after - before)))

    def between(self, start: float, end: float) -> float:
        return self._at(end) - self._at(start)


def _moved(noted: Sequence[null.Traffic], verb: Verb, started: float) -> _Moved:
    times = [entry.time - started for entry in noted]
    return _Moved(times, [entry.sent if verb == "get" else entry.received for entry in noted])
