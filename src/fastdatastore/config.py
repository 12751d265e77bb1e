"""Settings of the engine: what may be tuned, from the environment, with its default and its reason."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from fastdatastore.errors import ConfigurationError

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


def _positive(name: str, default: int) -> int:
    text = os.environ.get(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise ConfigurationError(f"{name} must be a whole number of at least 1, got {text!r}")
    return value


def _optional(name: str) -> int | None:
    return _positive(name, 1) if name in os.environ else None


def _number(name: str) -> float | None:
    text = os.environ.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise ConfigurationError(f"{name} must be a positive number, got {text!r}")
    return value


def _seconds(name: str, default: float) -> float:
    text = os.environ.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 86400:
        raise ConfigurationError(f"{name} must be a number of seconds, got {text!r}")
    return value


def cores() -> int:
    """Cores that this process may run on, and that the cgroup grants."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if quota := _cgroup("cpu.max"):  # microseconds of each period
        count = min(count, max(1, int(quota[0]) // int(quota[1])))
    return count


def memory() -> int:
    """Bytes that the machine has, or that the cgroup grants."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        total = 4 * GIB
    if granted := _cgroup("memory.max"):
        total = min(total, int(granted[0]))
    return total


def _memory_ceiling() -> int:
    """A quarter of the memory, at most 4 GiB."""
    return min(4 * GIB, max(64 * MIB, memory() // 4))


def _cgroup(name: str) -> list[str] | None:
    """The words of a file of this process's cgroup (version 2, as containers see it); None where it sets no limit."""
    try:
        words = Path("/sys/fs/cgroup", name).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return None if not words or words[0] == "max" else words


@dataclass(frozen=True)
class Settings:
    """One client's settings. Sizes in bytes, times in seconds.

    Attributes:
        loops: Event-loop threads of the process (FDS_LOOPS; default: 2, on one core 1).
        connections: Most connections to one endpoint, on each loop (FDS_CONNECTIONS).
        part_size: Of ranged GETs and multipart uploads (FDS_PART_SIZE); grown for objects of over 10,000 parts.
        target_gbps: The rate to start for, Gbit/s; what the link really gives is then found out (FDS_TARGET_GBPS).
        max_gbps: Cap on the bandwidth of one client, up and down together; None: no cap (FDS_MAX_GBPS).
        parts_in_flight: Fixes how many parts are on the way at once; None adapts (FDS_PARTS_IN_FLIGHT).
        requests_in_flight: The same for small requests (FDS_REQUESTS_IN_FLIGHT).
        attempts: Most attempts of one request (FDS_ATTEMPTS).
        connect_timeout: For TCP and for TLS, each, at one address (FDS_CONNECT_TIMEOUT).
        stall_timeout: Without a byte in either direction (FDS_STALL_TIMEOUT).
        memory_ceiling: Most bytes of results in memory, of what is on the way and of recycled memory that is kept free,
            together (FDS_MEMORY_CEILING); transfers wait for room, results beyond it go to files.
        inject_failures: Percent of the attempts that fail on purpose, without being sent: for tests of retrying.
    """

    loops: int = field(default_factory=lambda: _positive("FDS_LOOPS", min(2, cores())))
    connections: int = field(default_factory=lambda: _positive("FDS_CONNECTIONS", 64))
    part_size: int = field(default_factory=lambda: _positive("FDS_PART_SIZE", 8 * MIB))
    target_gbps: float = field(default_factory=lambda: _number("FDS_TARGET_GBPS") or 10.0)
    max_gbps: float | None = field(default_factory=lambda: _number("FDS_MAX_GBPS"))
    parts_in_flight: int | None = field(default_factory=lambda: _optional("FDS_PARTS_IN_FLIGHT"))
    requests_in_flight: int | None = field(default_factory=lambda: _optional("FDS_REQUESTS_IN_FLIGHT"))
    attempts: int = field(default_factory=lambda: _positive("FDS_ATTEMPTS", 6))
    connect_timeout: float = field(default_factory=lambda: _seconds("FDS_CONNECT_TIMEOUT", 3.0))
    stall_timeout: float = field(default_factory=lambda: _seconds("FDS_STALL_TIMEOUT", 30.0))
    memory_ceiling: int = field(default_factory=lambda: _positive("FDS_MEMORY_CEILING", _memory_ceiling()))
    inject_failures: int = 0

    def __post_init__(self) -> None:
        for name, least, most in (
            ("loops", 1, 64),
            ("connections", 1, 1024),
            ("part_size", 5 * MIB, 5 * GIB),  # what S3 takes for a part; the last one may be shorter
            ("attempts", 1, 1000),
        ):
            if not least <= (value := getattr(self, name)) <= most:
                raise ConfigurationError(f"{name} must be {least:,} to {most:,}, got {value:,}")
