"""Waiting for what others do in the background."""

from __future__ import annotations

import time
from collections.abc import Callable


def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether it does within ten seconds: aborts that a busy server was slow to answer go on in the background."""
    deadline = time.monotonic() + 10
    while not (true := condition()) and time.monotonic() < deadline:
        time.sleep(0.001)
    return true
