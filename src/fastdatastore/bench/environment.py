"""What a benchmark ran on: the machine, the data plane, the settings."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastdatastore import __version__
from fastdatastore.bench.target import Target
from fastdatastore.engine.integrity import ALGORITHMS
from fastdatastore.engine.planes.local import local as _native


def describe(target: Target) -> dict[str, Any]:
    """The facts that figures cannot be read without, for JSON."""
    settings = target.client.settings
    plane = target.client.remote.plane.__name__.rpartition(".")[2].lstrip("_")  # "native" or "portable"
    return {
        "fastdatastore": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": _cores(),
        "data_plane": f"{plane}, {settings.loops} loop{'s' if settings.loops > 1 else ''}",
        "crc_kernels": {name: _native.crc_kernel(number) for name, number in ALGORITHMS.items()},
        "tls_library": _native.tls_library(),
        "server": target.name,
        "tls": target.is_tls,
        "settings": asdict(settings),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_model() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
