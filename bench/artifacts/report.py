"""The tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from .catalogue import STOCK, VERBS, Verb
from .objects import MIB, SMALL
from .results import Row, Scene
from .targets import findings


def table(rows: Sequence[Row], scene: Scene, memory_ceiling: int) -> str:
    """One scene: a part for each verb, its entrants from the cheapest on; then the targets."""
    text = [str(scene)]
    for verb in VERBS:
        ours = [row for row in rows if row.scene == scene and row.verb == verb]
        if ours:
            text += ["", *_part(verb, sorted(ours, key=_cost), scene)]
    found = [f"  {finding}" for finding in findings(rows, scene, memory_ceiling)]
    return "\n".join([*text, *([""] if found else []), *found])


def _cost(row: Row) -> float:
    return row.core_seconds if row.samples else float("inf")


def _part(verb: Verb, rows: Sequence[Row], scene: Scene) -> list[str]:
    small = scene.objects.kind == SMALL
    unit, rate = ("ms/object", "objects/s") if small else ("core-s/GB", "GB/s")
    stock = next((row.seconds for row in rows if row.entrant == STOCK and row.samples), None)
    lines = [(str(verb), "runs", unit, rate, f"x {STOCK}", "extra MiB", "moved MB", f"server {unit}")]
    failures = []
    for row in rows:
        if not row.samples:
            failures.append(f"  {row.entrant}: failed: {row.error.splitlines()[-1][:160] if row.error else 'not run'}")
            continue
        scale = 1e3 / scene.objects.size if small else 1 / row.gigabytes
        lines.append(
            (
                row.entrant,
                str(len(row.samples)),
                f"{row.core_seconds * scale:.3f}",
                f"{scene.objects.size / row.seconds:,.0f}" if small else f"{row.gigabytes / row.seconds:.3f}",
                "" if stock is None else f"{stock / row.seconds:.1f}",
                f"{row.extra_bytes / MIB:,.0f}",
                "" if row.moved_bytes is None else f"{row.moved_bytes / 1e6:,.1f}",
                f"{row.server_core_seconds * scale:.3f}",
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [
        *(
            "  " + "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
            for line in lines
        ),
        *failures,
    ]
