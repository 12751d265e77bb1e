"""What processes have used: CPU time and memory, from /proc, elsewhere from `ps`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["cpu_seconds", "peak_rss_bytes"]


@dataclass(frozen=True)
class _Row:
    parent: int
    cpu_seconds: float  # its own and that of its children that have ended
    rss_bytes: int  # the peak where the system tells it (Linux), else the present one


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system CPU time, in seconds, of the processes and all that descend from them."""
    return sum(row.cpu_seconds for row in _tree(pids))


def peak_rss_bytes(pids: Iterable[int]) -> int:
    """The sum of the peak resident sizes, in bytes, of the processes and all that descend from them.

    macOS does not tell the peak of another process: there it is the present size.
    """
    return sum(row.rss_bytes for row in _tree(pids))


def _tree(pids: Iterable[int]) -> list[_Row]:
    rows = _from_proc() if sys.platform == "linux" else _from_ps()
    wanted = set(pids)
    grew = True
    while grew:
        found = {pid for pid, row in rows.items() if row.parent in wanted} - wanted
        wanted |= found
        grew = bool(found)
    return [rows[pid] for pid in wanted if pid in rows]


def _from_proc() -> dict[int, _Row]:
    tick = os.sysconf("SC_CLK_TCK")
    rows = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The command may hold anything, brackets too: count the fields after the last one (proc(5)).
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            status = (entry / "status").read_text()
        except OSError:  # it has just ended
            continue
        peak = next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:")), 0)
        rows[int(entry.name)] = _Row(int(fields[1]), sum(map(int, fields[11:15])) / tick, peak)
    return rows


def _from_ps() -> dict[int, _Row]:
    output = subprocess.run(["ps", "-axo", "pid=,ppid=,time=,rss="], capture_output=True, text=True, check=True).stdout
    rows = {}
    for line in output.splitlines():
        pid, parent, time, rss = line.split()
        rows[int(pid)] = _Row(int(parent), _seconds(time), int(rss) << 10)
    return rows


def _seconds(text: str) -> float:
    """Reads the times of ps: [[DD-]HH:]MM:SS[.ss]."""
    days, _, clock = text.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = total * 60 + float(part)
    return total + 86400 * int(days or 0)
