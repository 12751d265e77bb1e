"""The work is done and what a run writes makes sense; how fast it is says nothing here."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.peers import results
from bench.peers.__main__ import main
from bench.peers.catalogue import CLIENTS
from bench.peers.child import Sample
from bench.peers.report import table
from bench.peers.results import Row, Scene
from bench.peers.work import QUICK, Work
from fastdatastore.testing import servers


@pytest.mark.parametrize("work", QUICK)
def test_a_quick_run(work: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if (why := servers.why_unavailable("null")) is not None:
        pytest.skip(why)
    file = tmp_path / "peers.json"
    arguments = "--quick --clients fastdatastore --transport plain --repeat 1 --warm-passes 0"
    assert main(["run", "--work", work, "--out", str(file), *arguments.split()]) == 0
    printed = capsys.readouterr().out

    _, rows = results.load(file)
    assert {row.scene for row in rows} == {Scene("null", False, QUICK[work])}
    assert {"fastdatastore", "fastdatastore.S3"} <= {row.client for row in rows}
    assert [row.error for row in rows] == [""] * len(rows)
    assert [len(row.samples) for row in rows] == [1] * len(rows)

    assert main(["show", str(file)]) == 0
    assert capsys.readouterr().out.strip() == printed.removesuffix(f"{file}\n").strip()


def test_only_the_import_is_different_from_metaflows_s3() -> None:
    ours, theirs = (next(c for c in CLIENTS if c.name == name) for name in ("fastdatastore.S3", "metaflow.S3"))
    assert ours.adapter == theirs.adapter
    (setting,) = ours.settings
    assert setting.options == {"module": "fastdatastore"}


def test_a_table_says_what_changing_the_import_is_worth() -> None:
    scene = Scene("null", False, Work("list", 100_000, 16))
    rows = [
        Row(scene, client, "default", [Sample(seconds, seconds, 0.0, 1 << 20, 0.1, "1")])
        for client, seconds in (("metaflow.S3", 5.0), ("fastdatastore.S3", 0.5))
    ]
    lines = [line.split() for line in table(rows, scene).splitlines()]
    assert lines[2] == ["fastdatastore.S3", "default", "1", "5.000", "200,000", "1", "1.000"]
    assert " ".join(lines[-1]) == "fastdatastore.S3: 10.0 times as fast as metaflow.S3, its CPU time divided by 10.0"


def test_an_unknown_work_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="there is no work called get-all; there is: get-1x1GiB"):
        main(["run", "--work", "get-all", "--out", str(tmp_path / "peers.json")])
