"""The count of results that are in memory."""

from __future__ import annotations

import gc
import threading

from fastdatastore.engine.ceiling import ResultMemory


def test_what_goes_beyond_the_ceiling_is_refused_until_something_is_let_go() -> None:
    memory = ResultMemory()
    first = memory.take(60, 100)
    second = memory.take(40, 100)
    assert (first is not None, second is not None, memory.held) == (True, True, 100)
    assert memory.take(1, 100) is None
    assert memory.take(0, 100) is not None  # an empty result takes no room
    del first
    assert memory.held == 40
    assert memory.take(60, 100) is not None
    assert repr(memory) == "<ResultMemory [40 bytes held]>"


def test_each_asks_with_a_ceiling_of_its_own() -> None:
    memory = ResultMemory()
    held = memory.take(60, 100)
    assert memory.take(60, 100) is None
    assert memory.take(60, 1000) is not None
    del held


def test_shares_in_a_cycle_come_back_by_the_garbage_collector() -> None:
    memory = ResultMemory()
    cycle: list[object] = [memory.take(60, 100)]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert memory.held == 0


def test_threads_lose_nothing() -> None:
    memory = ResultMemory()
    refused: list[int] = []

    def work() -> None:
        for size in range(1, 2000):
            if memory.take(size, 10_000) is None:
                refused.append(size)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.held == 0
    assert refused == []
