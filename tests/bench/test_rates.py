"""The workload runs and what it writes makes sense; how fast it is says nothing here."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.rates import results
from bench.rates.__main__ import main
from fastdatastore.testing import servers

WORKLOADS = ("get-in-one-call", "put-in-one-call", "get-one-by-one", "put-one-by-one")


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_short_run(workload: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if (why := servers.why_unavailable("null")) is not None:
        pytest.skip(why)
    file = tmp_path / "rates.json"
    arguments = "--clients fastdatastore --repeat 1 --seconds 2 --settle 1 --object-mib 32 --share 0.02"
    assert main(["run", "--workloads", workload, "--out", str(file), *arguments.split()]) == 0
    printed = capsys.readouterr().out

    document = results.load(file)
    (row,) = document.rows
    (sample,) = row.samples
    assert (row.workload, row.client, row.error) == (workload, "fastdatastore", "")
    assert document.link.gbps == pytest.approx(0.2)
    assert len(sample.gbps_each_step) == 20
    assert 0.0 < sample.gbps < 1.2 * document.link.gbps
    assert sum(sample.gbps_each_step[10:]) / 10 == pytest.approx(sample.gbps, abs=0.01)
    assert sample.core_seconds_per_gb >= 0.0
    assert sample.server_core_seconds_per_gb >= 0.0

    assert main(["show", str(file)]) == 0
    assert capsys.readouterr().out.strip() == printed.removesuffix(f"{file}\n").strip()


def test_an_unknown_workload_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="there is no workload called get-all; there is: get-in-one-call"):
        main(["run", "--workloads", "get-all", "--out", str(tmp_path / "rates.json")])
