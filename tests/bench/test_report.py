"""The table and the JSON document."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from fastdatastore.bench.document import make_document, write_document
from fastdatastore.bench.measure import Run
from fastdatastore.bench.report import footer, table
from fastdatastore.bench.runner import Outcome
from fastdatastore.bench.workloads import Operation, Workload
from fastdatastore.progress.terminal import Terminal

_PIPE = Terminal(io.StringIO(), is_live=False, has_colour=False)


def an_outcome(count: int = 1000, verified_by: str = "crc64nvme", gigabytes: int = 1) -> Outcome:
    run = Run(
        bytes=gigabytes * 10**9,
        ops=count,
        seconds=0.8,
        cpu_seconds=12.3456,
        server_cpu_seconds=1.0,
        latencies=[0.001 * number for number in range(1, count + 1)],
        retries=12,
        verified_by={verified_by},
        peak_rss_bytes=1100 << 20,
    )
    return Outcome(Operation.GET, Workload(count, 16 << 10), run, (), 1)


@pytest.mark.parametrize("verified_by", ["crc64nvme", "crc64nvme-metadata"])
def test_the_table_fits_in_100_columns(verified_by: str) -> None:
    lines = table([an_outcome(100_000, verified_by, gigabytes=900)] * 2, _PIPE).splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 100


def test_the_table_has_a_column_for_each_figure() -> None:
    header, row = table([an_outcome()], _PIPE).splitlines()
    assert header.split()[:4] == ["operation", "Gbit/s", "objects/s", "core-s/GB"]
    assert row.split() == [
        *("get", "1,000", "\N{MULTIPLICATION SIGN}", "16", "KiB"),
        *("10.00", "1,250", "12.35", "1.07", "GiB", "500.0", "990.0", "12", "crc64nvme"),
    ]


def test_the_footer_says_whether_memory_was_recycled() -> None:
    environment = {
        "data_plane": "native, 2 loops",
        "crc_kernels": {"crc64nvme": "table"},
        "tls_library": "OpenSSL 3",
        "tls": True,
        "server": "null",
    }
    outcome = an_outcome()
    text = footer([outcome], environment, _PIPE)
    assert "recycled memory" in text
    assert "null · its own core-s/GB: get 1.00" in text
    outcome.run.fresh_regions = 3
    assert "3 downloads landed in fresh memory" in footer([outcome], environment, _PIPE)


def test_a_document_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    write_document(path, make_document({}, [an_outcome()]))
    result = json.loads(path.read_text())["results"][0]
    assert result["latency_ms"] == {"p50": 500.0, "p90": 900.0, "p99": 990.0, "max": 1000.0}
    assert result["server_core_s_per_gb"] == 1.0
    assert list(tmp_path.iterdir()) == [path]


def test_a_document_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.mkdir()
    with pytest.raises(OSError, match=r"out\.json"):
        write_document(path, {})
    assert list(tmp_path.iterdir()) == [path]
