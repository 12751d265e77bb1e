"""Ctrl-C, SIGTERM and a closed terminal end a command by an exception, so that every `finally` cleans up."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Cleaning up is bounded to about a second. A signal that comes later than this after the first means that it hangs.
PATIENCE_SECONDS = 3.0

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Stopped(KeyboardInterrupt):
    """Somebody asked this process to end.

    Attributes:
        exit_code: 128 plus the signal's number, as shells have it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@contextmanager
def raised(*, until_exit: bool = False) -> Iterator[None]:
    """Inside, these signals raise Stopped in the main thread. One that was ignored (nohup, `&`) stays ignored.

    For the main thread; the former handlers are back afterwards.

    Args:
        until_exit: The process ends after the block: signals are ignored then, as Python's own handler would print a
            traceback, or die of a second Ctrl-C with another exit code.
    """
    first = -PATIENCE_SECONDS

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        # An impatient second Ctrl-C must not cut short the cleaning up that the first has begun.
        if time.monotonic() - first >= PATIENCE_SECONDS:
            first = time.monotonic()
            raise Stopped(number)

    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, handle)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if until_exit else handler)
