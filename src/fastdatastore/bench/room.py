"""Whether a benchmark fits on this machine: better said before it runs than by the system's out-of-memory killer."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fastdatastore.bench.sizes import format_size
from fastdatastore.bench.workloads import Workload

# For everything but the objects: interpreter, server, a server's logs and index.
_HEADROOM = 256 << 20
_KEEPS_IN_MEMORY = ("null", "moto")


def why_no_room(workloads: Sequence[Workload], server: str | None, *, puts: bool) -> str | None:
    """A sentence that says what does not fit; None when all does.

    Args:
        server: The one that will be started here, of servers.NAMES.
        puts: Whether the server will keep what is uploaded.
    """
    kept = sum(workload.total for workload in workloads) if server and puts else 0
    memory = max(workload.most_at_once for workload in workloads)
    if server in _KEEPS_IN_MEMORY:
        memory += kept
    available = _available_memory()
    if available is not None and memory + _HEADROOM > available:
        return (
            f"this takes {format_size(memory + _HEADROOM)} of memory and {format_size(available)} are free; "
            "choose a smaller --size or --object-size"
        )
    if kept and server not in _KEEPS_IN_MEMORY:
        place = tempfile.gettempdir()
        free = shutil.disk_usage(place).free
        if kept + _HEADROOM > free:
            return (
                f"the server takes {format_size(kept + _HEADROOM)} of disk and {format_size(free)} are free in "
                f"{place}; choose a smaller --size, or another place by TMPDIR"
            )
    return None


def _available_memory() -> int | None:
    """Bytes that can be had without swapping, within this cgroup too; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):  # another cgroup version, or "max"
        return available
    return min(available, max(0, limit - used))
