"""What the process that asks has used. Runs in the client's environment."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def cpu_seconds() -> tuple[float, float]:
    """User and system time of this process, and of the children that have ended and been waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + children.ru_utime, own.ru_stime + children.ru_stime


def peak_rss_bytes() -> int:
    """Of this process, or of the largest that it started, if that is larger."""
    unit = 1 if sys.platform == "darwin" else 1 << 10
    # ru_maxrss starts with the size of the process that started us; what /proc says does not.
    own = _status("VmHWM") if _STATUS.exists() else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit)


def rss_bytes() -> int:
    """What of this process is in memory now (Linux)."""
    return _status("VmRSS")


def forget_peak() -> None:
    """Lets this process's own peak start from what is in memory now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> int:
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))
