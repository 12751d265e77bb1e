"""Percentiles, times and memory."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from fastdatastore.bench.measure import Run, percentile, timed


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([5.0], 0.5, 5.0), ([3.0, 1.0, 2.0], 0.5, 2.0), (list(range(1, 101)), 0.99, 99), (list(range(1, 102)), 0.99, 100)],
)
def test_a_percentile_is_one_of_the_values(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_time_is_wall_clock_and_cpu_is_ours() -> None:
    run = Run()
    with timed(run, None):
        time.sleep(0.05)
    assert run.seconds >= 0.05
    assert run.cpu_seconds < 0.05
    assert run.server_cpu_seconds is None


def test_several_rounds_are_summed() -> None:
    run = Run()
    for _ in range(2):
        with timed(run, None):
            time.sleep(0.02)
    assert run.seconds >= 0.04


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can forget a process's peak")
def test_the_peak_of_memory_is_that_of_the_run() -> None:
    before, inside = Run(), Run()
    content = bytearray(64 << 20)
    content[::4096] = bytes(len(content) // 4096)
    with timed(before, None):
        pass
    del content
    with timed(inside, None):
        pass
    assert inside.peak_rss_bytes < before.peak_rss_bytes - (32 << 20)


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a process begins with the peak of the one that starts it"
)
def test_whoever_starts_a_process_adds_nothing_to_its_peak() -> None:
    content = bytearray(256 << 20)
    content[::4096] = bytes(len(content) // 4096)
    program = "from fastdatastore.bench.measure import peak_rss_bytes; print(peak_rss_bytes())"
    assert 0 < int(subprocess.check_output([sys.executable, "-c", program])) < len(content) - (100 << 20)


def test_figures_follow_from_what_was_measured() -> None:
    run = Run(bytes=10**9, ops=4, seconds=2.0, cpu_seconds=0.5, server_cpu_seconds=0.25)
    assert (run.gbit_per_s, run.ops_per_s, run.core_s_per_gb, run.server_core_s_per_gb) == (4.0, 2.0, 0.5, 0.25)
