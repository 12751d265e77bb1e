"""The tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from .results import Row, Scene, cheapest

OURS = "fastdatastore"


def table(rows: Sequence[Row], scene: Scene) -> str:
    """One scene's clients, the cheapest first, each in its cheaper setting."""
    small = scene.work.is_small
    head = ("client", "setting", "runs", "ms/object" if small else "core-s/GB", "objects/s" if small else "GB/s")
    lines = [(*head, "peak MiB", f"server {head[3]}")]
    failures = []
    for row in cheapest(rows, scene):
        if not row.samples:
            failures.append(f"  {row.client}: failed: {row.error.splitlines()[-1][:160]}")
            continue
        cost = f"{row.core_ms_per_object:.3f}" if small else f"{row.core_seconds_per_gb:.3f}"
        rate = f"{row.objects_per_second:,.0f}" if small else f"{row.gb_per_second:.2f}"
        peak = f"{row.peak_rss_bytes / 2**20:,.0f}"
        runs = str(len(row.samples))
        server = f"{row.server_core_ms_per_object if small else row.server_core_seconds_per_gb:.3f}"
        lines.append((row.client, row.setting, runs, cost, rate, peak, server))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [f"{scene}"]
    for line in lines:
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text.append("  " + "  ".join(cells).rstrip())
    return "\n".join([*text, *failures, *_of_the_limit(rows, scene)])


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
