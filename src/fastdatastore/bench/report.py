"""A benchmark's result as people read it: a table, and what the figures rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastdatastore.bench.document import verified_by
from fastdatastore.bench.measure import percentile
from fastdatastore.bench.runner import Outcome
from fastdatastore.bench.sizes import format_size
from fastdatastore.bench.workloads import Operation
from fastdatastore.progress.terminal import Terminal

WIDTH = 100

_HEADER = (
    "operation",
    "Gbit/s",
    "objects/s",
    "core-s/GB",
    "peak RSS",
    "p50 ms",
    "p99 ms",
    "retries",
    "verified by",
)
_LEFT = {"operation", "verified by"}


def summary(outcome: Outcome) -> str:
    """One plain line."""
    run = outcome.run
    return (
        f"{outcome}: {run.gbit_per_s:.2f} Gbit/s, {_number(run.ops_per_s)} objects/s, "
        f"{run.core_s_per_gb:.2f} core-s/GB, {outcome.errors} errors"
    )


def table(outcomes: Sequence[Outcome], terminal: Terminal) -> str:
    """One row for each outcome, within 100 columns."""
    rows = [_HEADER, *(_row(outcome) for outcome in outcomes)]
    rows = [tuple(terminal.plain(cell) for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    gap = "  " if sum(widths) + 2 * len(widths) - 2 <= WIDTH else " "
    lines = [
        gap.join(
            f"{cell:<{width}}" if name in _LEFT else f"{cell:>{width}}"
            for name, cell, width in zip(_HEADER, row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    return "\n".join([terminal.bold(lines[0]), *lines[1:]])


def _row(outcome: Outcome) -> tuple[str, ...]:
    run = outcome.run
    return (
        str(outcome),
        f"{run.gbit_per_s:.2f}",
        _number(run.ops_per_s),
        f"{run.core_s_per_gb:.2f}",
        format_size(run.peak_rss_bytes),
        _number(percentile(run.latencies, 0.5) * 1e3),
        _number(percentile(run.latencies, 0.99) * 1e3),
        str(run.retries),
        verified_by(outcome),
    )


def footer(outcomes: Sequence[Outcome], environment: dict[str, Any], terminal: Terminal) -> str:
    """What ran, and how to read the figures."""
    tls = environment["tls_library"] if environment["tls"] else f"off ({environment['tls_library']})"
    crc = environment["crc_kernels"]["crc64nvme"]
    rows = [
        ("engine", f"data plane {environment['data_plane']} · CRC-64/NVME {crc} · TLS {tls}"),
        ("server", _server(outcomes, environment)),
    ]
    gets = [outcome for outcome in outcomes if outcome.operation is Operation.GET]
    if gets:
        fresh = sum(outcome.run.fresh_regions for outcome in gets)
        rows.append(
            (
                "memory",
                "downloads land in recycled memory (an uncounted download came first)"
                if not fresh
                else f"{fresh:,} downloads landed in fresh memory, which costs page faults; the others in recycled",
            )
        )
    return "\n".join(terminal.dim(terminal.plain(f"{name:<7} {text}")) for name, text in rows)


def _server(outcomes: Sequence[Outcome], environment: dict[str, Any]) -> str:
    figures = []
    for operation in Operation:
        costs = [o.run.server_core_s_per_gb for o in outcomes if o.operation is operation]
        if known := [f"{cost:.2f}" for cost in costs if cost is not None]:
            figures.append(f"{operation} {', '.join(known)}")
    own = f" · its own core-s/GB: {' · '.join(figures)}" if figures else ""
    return f"{environment['server']}{own}"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
