"""Live progress on a terminal; where output is piped, nothing but a plain line for each finished workload."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastdatastore.bench.terminal import Terminal

UPDATE_SECONDS = 0.1
_BAR_WIDTH = 24
_CLEAR = "\r\x1b[K"


class Progress:
    """One line that is written over. Only one thing goes on at a time.

    Args:
        terminal: Of stderr, so that a table on stdout can be piped.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._is_shown = False

    def say(self, text: str) -> None:
        """Says what goes on now; the next text replaces it."""
        if self._terminal.is_live:
            self._show(f"{text} …")

    def finished(self, text: str) -> None:
        """Says what is done, where nothing live is shown."""
        if not self._terminal.is_live:
            self.line(text)

    def line(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        self._write(self._terminal.plain(text) + "\n")

    def clear(self) -> None:
        """Takes the live line away."""
        if self._is_shown:
            self._write(_CLEAR)
            self._is_shown = False

    @contextmanager
    def following(self, label: str, total: int, moved: Callable[[], int]) -> Iterator[None]:
        """Shows, while the block runs, how many of `total` bytes are `moved()`."""
        if not self._terminal.is_live:
            yield
            return
        over = threading.Event()
        began = time.monotonic()

        def tick() -> None:
            while not over.wait(UPDATE_SECONDS):
                self._show(self._bar_line(label, total, moved(), time.monotonic() - began))

        self._show(self._bar_line(label, total, 0, 0.0))
        ticker = threading.Thread(target=tick, name="fds-progress", daemon=True)
        ticker.start()
        try:
            yield
        finally:
            over.set()
            ticker.join()

    def _bar_line(self, label: str, total: int, moved: int, seconds: float) -> str:
        share = min(1.0, moved / total)
        filled = round(share * _BAR_WIDTH)
        bar = "█" * filled + "░" * (_BAR_WIDTH - filled)
        rate = moved * 8 / 1e9 / seconds if seconds else 0.0
        left = _clock(seconds * (1 - share) / share) if moved else "-:--"
        return f"{label:<26} {bar} {share:4.0%} {rate:7.2f} Gbit/s  ETA {left}"

    def _show(self, text: str) -> None:
        # One column is left free: some terminals wrap when the last one is written.
        self._write(_CLEAR + self._terminal.plain(text)[: self._terminal.width - 1])
        self._is_shown = True

    def _write(self, text: str) -> None:
        self._terminal.stream.write(text)
        self._terminal.stream.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
