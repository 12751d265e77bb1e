"""What we want to reach, and whether it was: sentences, each with what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .catalogue import AUTO, NONE, OURS, STOCK, Verb
from .objects import MIB, SMALL
from .results import Row, Scene

_COSTS: tuple[tuple[str, Verb, float], ...] = (("array", "put", 1.0), ("array", "get", 0.85))
"""At most so many core-seconds per GB; of data that no codec shrinks, into recycled memory."""

_RATES: tuple[tuple[str, Verb, float], ...] = (
    ("array", "put", 60.0),
    ("frame", "put", 15.0),
    ("array", "get", 15.0),
    ("frame", "get", 8.0),
    (SMALL, "put", 10.0),
    (SMALL, "get", 10.0),
)
"""At least so many times as fast as stock Metaflow."""

_BOTH: tuple[Verb, Verb] = ("put", "get")
_TWO_CHUNKS = 32 * MIB
_MANIFEST = 64 << 10
_SLOWER = 1.05
"""With compression at most so many times the time without it."""


@dataclass(frozen=True)
class Finding:
    """One target of one scene."""

    wanted: str
    measured: str
    is_met: bool

    def __str__(self) -> str:
        return f"{self.wanted}: {self.measured}, {'met' if self.is_met else 'MISSED'}"


def findings(rows: Sequence[Row], scene: Scene, memory_ceiling: int) -> Iterator[Finding]:
    """Those for which the scene has rows.

    Args:
        memory_ceiling: Bytes; the settings' of the run.
    """
    found = {(row.verb, row.entrant): row for row in rows if row.scene == scene and row.samples}
    kind = scene.objects.kind
    for verb in _BOTH:
        if auto_and_none := _both(found, verb, AUTO, NONE):
            yield _compression(verb, *auto_and_none)
    for wanted_kind, verb, most in _COSTS:
        if kind == wanted_kind and (ours := found.get((verb, OURS))):
            cost = ours.core_seconds_per_gb
            yield Finding(f"{verb} costs at most {most:g} core-s/GB", f"{cost:.2f}", cost <= most)
    for wanted_kind, verb, least in _RATES:
        if kind == wanted_kind and (pair := _both(found, verb, OURS, STOCK)):
            ours, stock = pair
            ratio, cost = stock.seconds / ours.seconds, stock.core_seconds / ours.core_seconds
            measured = f"{ratio:.1f} times, its CPU time divided by {cost:.1f}"
            yield Finding(f"{verb} is {least:g} times as fast as {STOCK}'s", measured, ratio >= least)
    for verb in _BOTH:
        if ours := found.get((verb, OURS)):
            wanted = f"{verb} takes less than {memory_ceiling / MIB:,.0f} MiB beyond the object"
            yield Finding(wanted, f"{ours.extra_bytes / MIB:,.0f} MiB", ours.extra_bytes < memory_ceiling)
    yield from _deduplication(found, scene)


def _both(found: dict[tuple[Verb, str], Row], verb: Verb, one: str, other: str) -> tuple[Row, Row] | None:
    rows = found.get((verb, one)), found.get((verb, other))
    return rows if rows[0] and rows[1] else None  # type: ignore[return-value]


def _compression(verb: Verb, auto: Row, none: Row) -> Finding:
    ratio = auto.seconds / none.seconds
    wanted = f"{verb} with compression takes at most {_SLOWER:g} times as long as without"
    return Finding(wanted, f"{ratio:.2f} times", ratio <= _SLOWER)


def _deduplication(found: dict[tuple[Verb, str], Row], scene: Scene) -> Iterator[Finding]:
    again, longer = found.get(("reput", OURS)), found.get(("append", OURS))
    if again and again.moved_bytes is not None:
        yield Finding("putting the same again uploads nothing", f"{again.moved_bytes:,} bytes", again.moved_bytes == 0)
    if longer and longer.moved_bytes is not None:
        objects = scene.objects
        most = objects.longer().size - objects.size + _TWO_CHUNKS + _MANIFEST
        wanted = f"what was appended uploads at most that, two chunks and a manifest, {most / 1e6:.1f} MB"
        yield Finding(wanted, f"{longer.moved_bytes / 1e6:.1f} MB", longer.moved_bytes <= most)
