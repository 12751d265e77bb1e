"""What a run took: wall-clock and processor time, latencies, memory."""

from __future__ import annotations

import math
import re
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from fastdatastore.testing.servers import RunningServer

_PEAK = re.compile(rb"^VmHWM:\s+(\d+) kB", re.MULTILINE)


@dataclass
class Run:
    """One run of a workload, summed over its rounds. Times in seconds.

    Attributes:
        bytes, ops: Of the objects that were moved and found right.
        seconds: Wall-clock time.
        cpu_seconds: User and system time of this process and its children.
        server_cpu_seconds: The same of a server that we started, else None.
        latencies: Of each object, from its first request to its end.
        retries: Requests that had to be made again.
        errors: What went wrong with the objects that failed or came back wrong.
        verified_by: How the bytes were verified, as the engine says.
        peak_rss_bytes: Of this process while it ran.
        fresh_regions: Downloads that found no recycled memory.
    """

    bytes: int = 0
    ops: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    server_cpu_seconds: float | None = None
    latencies: list[float] = field(default_factory=list)
    retries: int = 0
    errors: list[Exception] = field(default_factory=list)
    verified_by: set[str] = field(default_factory=set)
    peak_rss_bytes: int = 0
    fresh_regions: int = 0

    @property
    def gbit_per_s(self) -> float:
        return self.bytes * 8 / 1e9 / self.seconds

    @property
    def ops_per_s(self) -> float:
        return self.ops / self.seconds

    @property
    def core_s_per_gb(self) -> float:
        """Core-seconds for each 10⁹ bytes."""
        return self.cpu_seconds / (self.bytes / 1e9)

    @property
    def server_core_s_per_gb(self) -> float | None:
        return None if self.server_cpu_seconds is None else self.server_cpu_seconds / (self.bytes / 1e9)


@contextmanager
def timed(run: Run, server: RunningServer | None) -> Iterator[None]:
    """Adds what happens inside to the run's times and memory."""
    forget_peak()
    # The server is asked outside of the timed section: it means reading much of /proc.
    server_before = server.cpu_seconds() if server else 0.0
    cpu_before, began = _cpu_seconds(), time.perf_counter()
    try:
        yield
    finally:
        run.seconds += time.perf_counter() - began
        run.cpu_seconds += _cpu_seconds() - cpu_before
        run.peak_rss_bytes = max(run.peak_rss_bytes, peak_rss_bytes())
    if server:
        run.server_cpu_seconds = (run.server_cpu_seconds or 0.0) + server.cpu_seconds() - server_before


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that `share` (0 to 1) of all values do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_rss_bytes() -> int:
    """The most memory that this process has had; what getrusage says begins with the peak of whoever started it."""
    with suppress(OSError):
        return int(_PEAK.findall(Path("/proc/self/status").read_bytes())[0]) << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def forget_peak() -> None:
    """Lets the peak begin anew at the present size, where the system can (Linux, proc(5): clear_refs)."""
    with suppress(OSError):  # then it is the peak of the process's life
        Path("/proc/self/clear_refs").write_text("5")
