"""A whole run: for each kind of object the rivals in turn, A B C A B C …, each on a server of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.peers.child import MeasurementFailed
from bench.peers.work import BUCKET
from fastdatastore.testing import servers
from fastdatastore.testing.servers import RunningServer, null

from .catalogue import VERBS, Entrant, Verb
from .measure import REPORT_MS, measure
from .results import Row, Scene


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        scenes: Where and with what.
        repeat: Samples of each.
        timeout: Seconds that one measurement may take.
    """

    scenes: Sequence[Scene]
    entrants: Sequence[Entrant]
    repeat: int
    timeout: float


def run(plan: Plan, rows: list[Row]) -> Iterator[Scene]:
    """Adds to `rows` as it measures; yields each scene when it is done. Those that are in `rows` are left out."""
    known = {row.scene for row in rows}
    for scene in plan.scenes:
        if scene in known:
            continue
        for _ in range(plan.repeat):
            for entrant in plan.entrants:
                _take_turn(plan, scene, entrant, rows)
        yield scene


def _take_turn(plan: Plan, scene: Scene, entrant: Entrant, rows: list[Row]) -> None:
    """All that one entrant does with the object, on a server that has seen nothing else."""
    steps = [(verb, False) for verb in VERBS if entrant.does(scene.objects.kind, verb)]
    if entrant.recycles and steps:
        steps.append(("get", True))
    if not steps or any(row.error for row in rows if row.scene == scene and row.entrant == entrant.name):
        return
    names: list[str] = []
    with _start(scene) as server:
        for verb, fresh in steps:
            row = _row(rows, scene, verb, f"{entrant.name}, fresh memory" if fresh else entrant.name)
            if sys.stderr.isatty():
                print(f"\r\033[K{scene}: {verb}, {row.entrant}", end="\r", file=sys.stderr, flush=True)
            objects = scene.objects.longer() if verb == "append" else scene.objects
            try:
                sample, put = measure(entrant, verb, objects, server, names=names, fresh=fresh, timeout=plan.timeout)
            except MeasurementFailed as error:
                row.error = str(error)
                row.samples.clear()
                return
            row.samples.append(sample)
            names = put if verb == "put" else names


def _row(rows: list[Row], scene: Scene, verb: Verb, entrant: str) -> Row:
    for row in rows:
        if (row.scene, row.verb, row.entrant) == (scene, verb, entrant):
            return row
    rows.append(Row(scene, verb, entrant))
    return rows[-1]


def _start(scene: Scene) -> RunningServer:
    if scene.server != null.NAME:
        return servers.start(scene.server, buckets=(BUCKET,))
    limit = 4 * scene.objects.size + (1 << 30)
    return null.start(
        buckets=(BUCKET,), opaque_etags=True, memory_limit=limit, report_ms=REPORT_MS, link_gbps=scene.link_gbps
    )
