"""Kills a process at random moments of its work on a store, and looks at the store each time."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from fastdatastore import ArtifactStore
from tests.support import doomed


def kill_again_and_again(
    url: str, store: ArtifactStore, times: int, seconds: float, environment: dict[str, str]
) -> None:
    """Lets processes work on the store, one after the other, and kills each by SIGKILL.

    Args:
        store: Opened at the same place.
        seconds: The longest that one lives.
        environment: Of the processes.
    """
    chance = random.Random(times)
    command = [sys.executable, doomed.__file__, url]
    root = str(Path(__file__).parents[2])
    forker = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment, "PYTHONPATH": root},
    )
    assert forker.stdin is not None
    assert forker.stdout is not None
    store.tag("first", store.put(doomed.made(0)))
    tagged = 0
    with forker, forker.stdin:
        for number in range(times):
            forker.stdin.write(f"{number}\n")
            forker.stdin.flush()
            pid = int(forker.stdout.readline())
            try:
                time.sleep(chance.uniform(0.0, seconds))
            finally:
                with contextlib.suppress(ProcessLookupError):  # it has ended, and told why
                    os.kill(pid, signal.SIGKILL)
            assert int(forker.stdout.readline()) == -signal.SIGKILL
            tagged += check(store)
    assert tagged > times  # not only the first


def check(store: ArtifactStore) -> int:
    """The store verifies, and every tagged artifact is what it was; how many there are."""
    assert list(store.verify()) == []
    tags = store.tags()
    for found in store.get_many(tags.values()):
        expected = doomed.made(found["number"])
        assert found.keys() == expected.keys()
        assert np.array_equal(found["one"], expected["one"])
        assert np.array_equal(found["other"], expected["other"])
    return len(tags)
