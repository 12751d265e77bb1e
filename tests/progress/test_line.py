"""What is shown while it runs."""

from __future__ import annotations

import io
import re
import time
from dataclasses import replace

import pytest

from fastdatastore.progress.line import LiveLine
from fastdatastore.progress.terminal import Terminal


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def test_a_terminal_sees_a_bar_that_is_cleared(stream: io.StringIO) -> None:
    progress = LiveLine(Terminal(stream, is_live=True, has_colour=False))
    with progress.following("put", 100, lambda: 50):
        time.sleep(0.25)
    progress.clear()
    shown = stream.getvalue()
    assert " 50% " in shown
    assert re.search(r"ETA 0:0\d", shown)
    assert shown.endswith("\r\x1b[K")


def test_the_bar_is_drawn_at_most_ten_times_a_second(stream: io.StringIO) -> None:
    progress = LiveLine(Terminal(stream, is_live=True, has_colour=False))
    with progress.following("put", 100, lambda: 50):
        time.sleep(0.55)
    assert 2 <= stream.getvalue().count("Gbit/s") <= 6


def test_a_pipe_sees_whole_lines_only(stream: io.StringIO) -> None:
    progress = LiveLine(Terminal(stream, is_live=False, has_colour=False))
    progress.say("starting")
    with progress.following("put", 100, lambda: 50):
        time.sleep(0.15)
    progress.finished("put: done")
    progress.clear()
    assert stream.getvalue() == "put: done\n"


def test_the_bar_fits_a_narrow_terminal(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    progress = LiveLine(Terminal(stream, is_live=True, has_colour=False))
    with progress.following("put", 100, lambda: 50):
        pass
    assert all(len(line) < 40 for line in stream.getvalue().split("\r\x1b[K"))


def test_a_stream_without_unicode_gets_ascii() -> None:
    terminal = Terminal.of(io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert terminal.plain("put 1 \N{MULTIPLICATION SIGN} 4 MiB █░ …") == "put 1 x 4 MiB #- ..."


def test_NO_COLOR_is_heeded(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert Terminal.of(Tty()).bold("x") == "\x1b[1mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Terminal.of(Tty()).bold("x") == "x"
    assert replace(Terminal.of(stream), has_colour=False).dim("x") == "x"
