"""A whole run: for each scene a server, and all clients on it in turn, A B C A B C …"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from fastdatastore import S3
from fastdatastore.testing import servers
from fastdatastore.testing.servers import RunningServer

from .catalogue import Client, Setting
from .child import MeasurementFailed, Sample, measure
from .results import Row, Scene, cheapest
from .work import BUCKET, Work


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        repeat: Samples of each client.
        warm_passes: Untimed passes over the same work, in the same process, before the timed one.
        timeout: Seconds that one measurement may take.
        both_settings: Repeat a client's every setting, not only that which was the cheaper in the first round.
    """

    clients: Sequence[Client]
    works: Sequence[Work]
    servers: Sequence[str]
    tls: Sequence[bool]
    repeat: int
    warm_passes: int
    timeout: float
    both_settings: bool


def run(plan: Plan, rows: list[Row]) -> Iterator[Scene]:
    """Adds to `rows` as it measures; yields each scene when it is done. Scenes that are in `rows` are left out."""
    known = {row.scene for row in rows}
    for server in plan.servers:
        for tls in plan.tls:
            for work in plan.works:
                scene = Scene(server, tls, work)
                if scene in known:
                    continue
                _run_scene(plan, scene, rows)
                yield scene


def _run_scene(plan: Plan, scene: Scene, rows: list[Row]) -> None:
    entrants: dict[tuple[str, str], tuple[Client, Setting, Row]] = {}
    for client in plan.clients:
        if client.does(scene.work, scene.server, scene.tls):
            for setting in client.settings:
                row = Row(scene, client.row_name(setting, scene.work), setting.name)
                entrants[row.client, row.setting] = client, setting, row
                rows.append(row)
    with _serving(scene) as server:
        for turn in range(plan.repeat):
            for client, setting, row in entrants.values():
                if not row.error:
                    _sample(plan, scene, client, setting, row, server)
            if turn == 0 and not plan.both_settings:
                kept = {(row.client, row.setting) for row in cheapest(rows, scene)}
                entrants = {key: entrant for key, entrant in entrants.items() if key in kept}


def _sample(plan: Plan, scene: Scene, client: Client, setting: Setting, row: Row, server: RunningServer | None) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{scene}: {client.name} ({setting.name})", end="\r", file=sys.stderr, flush=True)
    try:
        if server is not None:
            row.samples.append(_measure(plan, scene, client, setting, server))
            return
        # A real server keeps what it is sent: a fresh one for each upload, so that none pays for those before it.
        with _start(scene) as fresh:
            row.samples.append(_measure(plan, scene, client, setting, fresh))
    except MeasurementFailed as error:
        row.error = str(error)
        row.samples.clear()


def _measure(plan: Plan, scene: Scene, client: Client, setting: Setting, server: RunningServer) -> Sample:
    return measure(client, setting, scene.work, server, warm_passes=plan.warm_passes, timeout=plan.timeout)


@contextmanager
def _serving(scene: Scene) -> Iterator[RunningServer | None]:
    """The scene's server, with the objects to download; None where each sample has its own."""
    if scene.work.verb == "put" and scene.server != "null":
        yield None
        return
    with _start(scene) as server:
        if scene.work.verb == "list":
            _fill_for_listing(server, scene.work)
        elif scene.work.verb == "get" and scene.server != "null":
            _fill(server, scene.work)
        yield server


def _start(scene: Scene) -> RunningServer:
    options: dict[str, object] = {"buckets": (BUCKET,)}
    if scene.server == "null":
        options["mode"] = {"get": "fixed", "put": "sink", "list": "store"}[scene.work.verb]
    return servers.start(scene.server, tls=scene.tls, **options)


def _fill(server: RunningServer, work: Work) -> None:
    payload = os.urandom(work.size)
    client = server.client()
    for key in work.keys:
        client.put_object(Bucket=BUCKET, Key=key, Body=payload, ChecksumAlgorithm="CRC32")
    client.close()


def _fill_for_listing(server: RunningServer, work: Work) -> None:
    """By ourselves: 100,000 small objects take boto3 minutes."""
    payload = os.urandom(work.size)
    with S3(s3root=f"s3://{BUCKET}", external_client=server.client()) as s3:
        s3.put_many((key, payload) for key in work.keys)
