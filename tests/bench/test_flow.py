"""How far jobs are is known while they run."""

from __future__ import annotations

import threading
import time

from fastdatastore.bench.flow import Flow
from fastdatastore.engine.job import Job
from tests.support.clients import client_at
from tests.support.scripted_server import Reply, ScriptedServer, in_turn


def test_progress_is_seen_within_a_request() -> None:
    part_of_it = Reply(200, b"d" * 70, {"content-length": "100"})
    ended: list[Job] = []
    with ScriptedServer(in_turn(part_of_it, Reply(200, b"d" * 100))) as server:
        client = client_at(server.url)
        flow = Flow(client)
        jobs = [client.get("bucket", "key")]
        running = threading.Thread(target=lambda: ended.extend(flow.run(jobs)))
        running.start()
        deadline = time.monotonic() + 10
        while flow.moved() < 70 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (flow.moved(), running.is_alive()) == (70, True)
        server.drop_connections()
        running.join()
    assert (ended, ended[0].retries, flow.moved()) == (jobs, 1, 100)
