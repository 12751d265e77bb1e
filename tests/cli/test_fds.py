"""`fds` itself: the frame around the verbs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from fastdatastore import __version__
from fastdatastore.cli import signals
from fastdatastore.cli.main import main

# What --help and --version must not wait for.
_HEAVY = ("fastdatastore._native", "botocore", "boto3", "fastdatastore.testing", "fastdatastore.engine")


def test_fds_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fds {__version__}\n"


def test_fds_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "bench" in capsys.readouterr().out


def test_fds_bench_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--help"]) == 0
    text = capsys.readouterr().out
    for option in (
        "--server",
        "--endpoint",
        "--bucket",
        "--op",
        "--size",
        "--count",
        "--object-size",
        "--tls",
        "--json",
    ):
        assert option in text


def test_fds_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "bench" in capsys.readouterr().err


def test_fds_nonsense(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["bench", "--help"], ["bench", "--size", "x"]])
def test_fds_is_quick_when_nothing_is_moved(arguments: list[str]) -> None:
    program = (
        "import sys; from fastdatastore.cli.main import main; main(sys.argv[1:]);"
        f"print([name for name in sys.modules if name.startswith({_HEAVY!r})])"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_raises_and_the_old_handler_comes_back(number: int, code: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(signals.Stopped) as caught, signals.raised():
        os.kill(os.getpid(), number)
    assert caught.value.exit_code == code
    assert signal.getsignal(number) is before


def _stop_twice() -> list[str]:
    cleaned = []
    with contextlib.suppress(signals.Stopped), signals.raised():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            cleaned.append("all")
    return cleaned


def test_a_second_signal_does_not_disturb_the_cleaning_up() -> None:
    assert _stop_twice() == ["all"]


def test_a_later_signal_ends_a_cleaning_up_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "PATIENCE_SECONDS", 0.0)
    assert _stop_twice() == []


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.raised():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
