"""Draws core-seconds per GB, for the README (needs matplotlib)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .report import OURS
from .results import Row, Scene, cheapest

_OURS, _RIVAL, _STREAM, _LIMIT = "#d1495b", "#8d99ae", "#ccd2dc", "#2b2d42"
_COLUMNS = 2


def draw(environment: dict[str, Any], rows: Sequence[Row], targets: Sequence[Path]) -> None:
    """One panel for each work against the null server, plain and TLS; the loop in C is a line.

    Args:
        targets: Files to write; their suffix (.png, .svg) says how.

    Raises:
        SystemExit: There is nothing to draw, or no matplotlib.
    """
    try:
        import matplotlib
    except ImportError:
        raise SystemExit("the plot needs matplotlib; run: pip install matplotlib") from None
    matplotlib.use("svg")
    from matplotlib import pyplot

    measured = dict.fromkeys(row.scene for row in rows if row.samples)
    scenes = [scene for scene in measured if scene.server == "null" and not scene.work.is_small]
    if not scenes:
        raise SystemExit("there is nothing to draw: no run against the null server in this file")
    lines = -(-len(scenes) // _COLUMNS)
    tallest = max(len(cheapest(rows, scene)) for scene in scenes)
    size = (11, lines * (1.0 + 0.22 * tallest))
    figure, panels = pyplot.subplots(lines, _COLUMNS, figsize=size, layout="constrained", squeeze=False)
    for scene, axes in zip(scenes, panels.flat, strict=False):
        _panel(axes, scene, cheapest(rows, scene))
    for axes in list(panels.flat)[len(scenes) :]:
        axes.set_visible(False)
    figure.suptitle("CPU time of S3 clients: core-seconds per GB (shorter is better)", fontweight="bold")
    where = f"{environment['cpu']}, {environment['cores']} cores, {environment['kernel']}, {environment['date'][:10]}"
    figure.supxlabel(
        f"{where}; medians; light: one connection only; dotted: a loop in C without HTTP", fontsize=8, color="#555"
    )
    pyplot.rcParams["svg.hashsalt"] = "fastdatastore"  # the same numbers make the same file
    for target in targets:
        figure.savefig(target, dpi=150, metadata={"Date": None} if target.suffix == ".svg" else None)


def _panel(axes: Any, scene: Scene, rows: Sequence[Row]) -> None:
    shown = [row for row in rows if row.samples and not row.client.startswith("limit")]
    costs = [row.core_seconds_per_gb for row in shown]
    # One client that is far off must not squeeze all others.
    bound = sorted(costs)[-min(len(costs), 3)] * 1.15
    colours = [_colour(row.client) for row in shown]
    axes.barh([row.client for row in shown], [min(cost, bound) for cost in costs], color=colours, height=0.7)
    for position, cost in enumerate(costs):
        beyond = " →" if cost > bound else ""
        inside = cost > bound * 0.9
        axes.text(
            min(cost, bound) + (-0.01 if inside else 0.01) * bound,
            position,
            f"{cost:.2f}{beyond}",
            va="center",
            ha="right" if inside else "left",
            fontsize=7.5,
            color="white" if inside and colours[position] != _STREAM else "black",
        )
    for row in rows:
        if row.samples and row.client == "limit":
            axes.axvline(row.core_seconds_per_gb, color=_LIMIT, linestyle=":", linewidth=1.2)
    axes.set_xlim(0, bound)
    axes.invert_yaxis()
    axes.set_title(f"{scene.work}, {'TLS' if scene.tls else 'plain HTTP'}", fontsize=10, loc="left")
    axes.tick_params(axis="y", labelsize=8, length=0)
    axes.tick_params(axis="x", labelsize=7.5)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _colour(client: str) -> str:
    if client.startswith(OURS):
        return _OURS
    return _STREAM if client.endswith("one stream") else _RIVAL
