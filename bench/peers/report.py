"""The tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from .results import Row, Scene, cheapest
from .work import Work

OURS = "fastdatastore"


def table(rows: Sequence[Row], scene: Scene) -> str:
    """One scene's clients, the cheapest first, each in its cheaper setting."""
    cost, scale, rate = _units(scene.work)
    lines = [("client", "setting", "runs", cost, rate, "peak MiB", f"server {cost}")]
    failures = []
    for row in cheapest(rows, scene):
        if not row.samples:
            failures.append(f"  {row.client}: failed: {row.error.splitlines()[-1][:160]}")
            continue
        lines.append(
            (
                row.client,
                row.setting,
                str(len(row.samples)),
                f"{row.core_seconds * scale:.3f}",
                f"{row.objects_per_second:,.0f}" if scene.work.is_small else f"{row.gb_per_second:.2f}",
                f"{row.peak_rss_bytes / 2**20:,.0f}",
                f"{row.server_core_seconds * scale:.3f}",
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [f"{scene}"]
    for line in lines:
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text.append("  " + "  ".join(cells).rstrip())
    return "\n".join([*text, *failures, *_of_the_limit(rows, scene), *_of_metaflow(rows, scene)])


def _units(work: Work) -> tuple[str, float, str]:
    """What costs are told in, what core-seconds are multiplied by for it, and what rates are told in."""
    if work.verb == "list":
        return "ms/1000 keys", 1e6 / work.count, "keys/s"
    if work.is_small:
        return "ms/object", 1e3 / work.count, "objects/s"
    return "core-s/GB", 1e9 / work.total, "GB/s"


def _of_the_limit(rows: Sequence[Row], scene: Scene) -> list[str]:
    """Our part of what the loop in C reaches, each with the memory and the checksum of the other."""
    named = {row.client: row for row in cheapest(rows, scene) if row.samples}
    said = []
    for ours, limit in ((OURS, "limit"), (f"{OURS}, fresh memory", "limit, fresh memory")):
        for bound in (limit, f"{limit}, CRC-64/NVME"):
            if ours in named and bound in named:
                rate = named[bound].seconds / named[ours].seconds
                cost = named[ours].core_seconds / named[bound].core_seconds
                said.append(f"  {ours}: {rate:.0%} of the rate of '{bound}', {cost:.2f} times its CPU time")
    return said


def _of_metaflow(rows: Sequence[Row], scene: Scene) -> list[str]:
    """What changing the import is worth."""
    named = {row.client: row for row in cheapest(rows, scene) if row.samples}
    ours, theirs = named.get(f"{OURS}.S3"), named.get("metaflow.S3")
    if ours is None or theirs is None:
        return []
    rate, cost = theirs.seconds / ours.seconds, theirs.core_seconds / ours.core_seconds
    return [f"  {ours.client}: {rate:.1f} times as fast as {theirs.client}, its CPU time divided by {cost:.1f}"]
