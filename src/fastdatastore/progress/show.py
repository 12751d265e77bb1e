"""What `progress=` asks for: a callback, or a bar where somebody can see it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from fastdatastore.progress.line import LiveLine, bar_text
from fastdatastore.progress.meter import Listener, Meter, Progress
from fastdatastore.progress.terminal import Terminal

Wish: TypeAlias = "bool | Callable[[Progress], object] | None"
"""True: a bar on a terminal or in a notebook, nothing elsewhere. A function: is called with each Progress."""


@contextmanager
def metered(wish: Wish) -> Iterator[Meter | None]:
    """The meter for one call; None when nobody wants to know, or would see it."""
    listener = _listener(wish)
    if listener is None:
        yield None
        return
    meter = Meter(listener)
    ok = False
    try:
        yield meter
        meter.finish()
        ok = True
    finally:
        listener.close(ok)


def _listener(wish: Wish) -> Listener | None:
    if not wish:
        return None
    if callable(wish):
        return _Callback(wish)
    if in_notebook():
        return _NotebookBar()
    terminal = Terminal.of(sys.stderr)
    return _TerminalBar(LiveLine(terminal)) if terminal.is_live else None


def in_notebook() -> bool:
    """Whether a kernel runs this, which shows what it is given in cells."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def _text(progress: Progress) -> str:
    objects = f"{progress.objects:,}"
    if progress.total_objects is not None:
        objects += f" of {progress.total_objects:,}"
    return bar_text(f"{objects} objects", progress.bytes, progress.share, progress.seconds)


class _Callback:
    def __init__(self, function: Callable[[Progress], object]) -> None:
        self._function = function

    def show(self, progress: Progress) -> None:
        self._function(progress)

    def close(self, ok: bool) -> None:
        """It has heard all there is."""


class _TerminalBar:
    def __init__(self, line: LiveLine) -> None:
        self._line = line
        self._last = ""

    def show(self, progress: Progress) -> None:
        self._last = _text(progress)
        self._line.show(self._last)

    def close(self, ok: bool) -> None:
        if ok:
            self._line.line(self._last)
        else:
            self._line.clear()


class _NotebookBar:
    """One output of the cell, replaced as things go on."""

    def __init__(self) -> None:
        from IPython.display import display

        self._handle = display({"text/plain": ""}, raw=True, display_id=True)

    def show(self, progress: Progress) -> None:
        self._handle.update({"text/plain": _text(progress)}, raw=True)

    def close(self, ok: bool) -> None:
        """What was shown last stays."""
