"""A live line on a terminal; where output is piped, nothing but plain lines for what is finished."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastdatastore.progress.terminal import Terminal

UPDATE_SECONDS = 0.1
_BAR_WIDTH = 20  # with the longest of the rest it fits on a terminal of 80 columns
_CLEAR = "\r\x1b[K"


class LiveLine:
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
            self.show(f"{text} …")

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
                now = moved()
                self.show(bar_text(label, now, now / total, time.monotonic() - began))

        self.show(bar_text(label, 0, 0.0, 0.0))
        ticker = threading.Thread(target=tick, name="fds-progress", daemon=True)
        ticker.start()
        try:
            yield
        finally:
            over.set()
            ticker.join()

    def show(self, text: str) -> None:
        """Writes the line over."""
        # One column is left free: some terminals wrap when the last one is written.
        self._write(_CLEAR + self._terminal.plain(text)[: self._terminal.width - 1])
        self._is_shown = True

    def _write(self, text: str) -> None:
        self._terminal.stream.write(text)
        self._terminal.stream.flush()


def bar_text(label: str, moved: int, share: float | None, seconds: float) -> str:
    """A bar of `share` (0 to 1, None: not known) with the rate of `moved` bytes in so many seconds."""
    rate = f"{moved * 8 / 1e9 / seconds if seconds else 0.0:7.2f} Gbit/s"
    if share is None:
        return f"{label:<26} {moved / 1e9:.2f} GB {rate}"
    share = min(1.0, share)
    filled = round(share * _BAR_WIDTH)
    bar = "█" * filled + "░" * (_BAR_WIDTH - filled)
    left = _clock(seconds * (1 - share) / share) if share else "-:--"
    return f"{label:<26} {bar} {share:4.0%} {rate}  ETA {left}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
