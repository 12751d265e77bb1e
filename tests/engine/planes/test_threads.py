"""Many threads at one plane and at one queue, with a GIL or without one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.engine.planes.caller import Caller
from tests.support.scripted_server import Reply, ScriptedServer

THREADS = 4
TURNS = 25
BATCH = 8


def together(*works: Callable[[], None]) -> None:
    """Runs each in a thread; the first error is raised."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_every_attempt_is_reported_once_however_many_threads_use_a_queue() -> None:
    # A queue is one waiter's. In C more of them must do no harm all the same.
    caller = Caller(pytest.importorskip("fastdatastore._native"))
    wanted = {f"{thread}/{turn}/{i}" for thread in range(THREADS) for turn in range(TURNS) for i in range(BATCH)}
    reported: list[str] = []
    all_in = threading.Event()

    def submit(thread: int, url: str) -> None:
        for turn in range(TURNS):
            tags = [f"{thread}/{turn}/{i}" for i in range(BATCH)]
            caller.queue.submit([caller.order(url, path=f"/bucket/{tag}", tag=tag) for tag in tags])

    def take() -> None:
        while not (all_in.is_set() and len(caller.queue) == 0):
            for report in caller.queue.take(0.1, 5):
                assert (report.status, report.content) == (200, f"/bucket/{report.tag}".encode())
                reported.append(report.tag)

    def look() -> None:
        while not all_in.is_set():
            assert "in flight" in repr(caller.queue)
            assert "in flight" in repr(caller.plane)
            assert caller.plane.in_flight >= 0
            assert not caller.plane.closed
            caller.queue.cancel("a tag that nothing has")

    with ScriptedServer(lambda received: Reply(200, received.path.encode())) as server:
        caller.order(server.url)  # its endpoint is made once

        def submit_all() -> None:
            together(*(lambda i=i: submit(i, server.url) for i in range(THREADS)))
            all_in.set()

        together(submit_all, take, take, look)
    assert sorted(reported) == sorted(wanted)


def test_a_plane_that_is_closed_while_threads_submit_refuses_or_reports(caller: Caller) -> None:
    def work(url: str) -> None:
        queue = caller.module.Queue(caller.plane)
        for i in range(100):
            try:
                queue.submit([caller.order(url, tag=i)])
            except RuntimeError:
                break
        while len(queue):
            assert queue.take(10.0)

    with ScriptedServer(lambda received: Reply(200, b"x")) as server:
        caller.order(server.url)
        begun = threading.Timer(0.05, caller.plane.close)
        begun.start()
        together(*(lambda: work(server.url) for _ in range(THREADS)))
        begun.join()
    assert caller.plane.closed
