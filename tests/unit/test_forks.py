"""Locks in a forked child."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from fastdatastore import forks
from fastdatastore.engine.concurrency import Concurrency
from fastdatastore.s3.files import ResultFiles

pytestmark = pytest.mark.fault(64)


def _in_child(takes: Any) -> bool:
    pid = os.fork()
    if not pid:
        os._exit(0 if takes.acquire(timeout=1.0) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_lock_that_another_thread_holds_is_free_in_a_child() -> None:
    lock, taken, release = forks.lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(10)
    assert _in_child(lock)
    assert lock.locked()  # here it is as it was
    release.set()
    thread.join()
    assert _in_child(lock)


def test_locks_of_things_that_outlive_a_call_are_such_locks(tmp_path: object) -> None:
    files = ResultFiles(str(tmp_path))
    concurrency = Concurrency(8 << 20, 10.0, None, None, 100).of(up=False, large=True)
    for owner in (files, concurrency):
        with owner._lock:
            assert _in_child(owner._lock)


def test_a_lock_that_is_gone_is_forgotten() -> None:
    before = len(forks._locks)
    lock = forks.lock()
    assert len(forks._locks) == before + 1
    del lock
    assert len(forks._locks) == before
