"""The work is done and what a run writes makes sense; how fast it is says nothing here."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.artifacts import results
from bench.artifacts.__main__ import QUICK, main
from bench.artifacts.catalogue import AUTO, NONE, OURS, STOCK, Verb
from bench.artifacts.measure import Sample
from bench.artifacts.objects import GIB, MIB, Objects, nbytes, same
from bench.artifacts.results import Row, Scene
from bench.artifacts.targets import findings
from fastdatastore.testing import servers


@pytest.fixture(autouse=True)
def _null_server() -> None:
    if (why := servers.why_unavailable("null")) is not None:
        pytest.skip(why)


def quick_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str) -> list[Row]:
    """The rows of a run that has one sample of each; its tables can be printed again."""
    file = tmp_path / "artifacts.json"
    assert main(["run", "--quick", "--repeat", "1", "--out", str(file), *arguments.split()]) == 0
    printed = capsys.readouterr().out
    _, rows = results.load(file)
    assert [(row.error, len(row.samples)) for row in rows] == [("", 1)] * len(rows)
    assert main(["table", str(file)]) == 0
    assert capsys.readouterr().out.strip() == printed.removesuffix(f"{file}\n").strip()
    return rows


@pytest.mark.parametrize("kind", QUICK)
def test_a_quick_run(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = quick_run(tmp_path, capsys, f"--objects {kind} --rivals {OURS} --compression no")
    assert {row.scene for row in rows} == {Scene("null", Objects(kind, QUICK[kind]))}
    again = ["reput", "append"] if kind == "array" else []
    assert [row.verb for row in rows] == ["put", *again, "get", "get"]
    assert rows[-1].entrant == f"{OURS}, fresh memory"


def test_a_quick_run_over_a_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = quick_run(tmp_path, capsys, "--objects counters --compression only --links 10")
    assert {row.scene.link_gbps for row in rows} == {10.0}
    moved = {(row.verb, row.entrant): row.moved_bytes or 0 for row in rows}
    assert 0 < moved["put", AUTO] <= moved["put", NONE]
    assert moved["get", NONE] == pytest.approx(QUICK["array"] / 2, rel=0.01)


@pytest.mark.parametrize("kind", [*QUICK, "counters"])
def test_objects_are_made_the_same_again_and_differ_by_seed(kind: str) -> None:
    size = 20 if kind == "dicts" else 2 * MIB
    made = Objects(kind, size).make()
    assert same(made, Objects(kind, size).make())
    assert not same(made, Objects(kind, size, seed=2).make())
    if kind != "dicts":
        assert nbytes(made) == pytest.approx(size, rel=0.1)


def test_what_is_longer_begins_with_the_same() -> None:
    objects = Objects("array", MIB)
    (one,), (longer,) = objects.make(), objects.longer().make()
    assert len(longer) == len(one) * 65 // 64
    assert same([one], [longer[: len(one)]])


def row(scene: Scene, verb: Verb, entrant: str, seconds: float, moved: int = 0) -> Row:
    sample = Sample(seconds, seconds, 0.0, 100 * MIB, scene.objects.size, moved, 0.1, "1")
    return Row(scene, verb, entrant, [sample])


def test_targets_stand_beside_what_was_measured() -> None:
    scene = Scene("null", Objects("array", GIB))
    rows = [
        row(scene, "put", OURS, 0.5),
        row(scene, "put", STOCK, 29.0),
        row(scene, "reput", OURS, 0.5),
        row(scene, "append", OURS, 0.5, moved=60_000_000),
    ]
    assert [str(finding) for finding in findings(rows, scene, 200 * MIB)] == [
        "put costs at most 1 core-s/GB: 0.47, met",
        "put is 60 times as fast as Metaflow's: 58.0 times, its CPU time divided by 58.0, MISSED",
        "put takes less than 200 MiB beyond the object: 100 MiB, met",
        "putting the same again uploads nothing: 0 bytes, met",
        "what was appended uploads at most that, two chunks and a manifest, 50.4 MB: 60.0 MB, MISSED",
    ]
    slow = Scene("null", Objects("counters", GIB), 1.0)
    rows = [row(slow, "get", AUTO, 1.1), row(slow, "get", NONE, 1.0)]
    (finding,) = findings(rows, slow, 200 * MIB)
    assert str(finding) == "get with compression takes at most 1.05 times as long as without: 1.10 times, MISSED"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("--objects arrows", "there are no objects called arrows; there are: array, frame"),
        ("--rivals pigeons", "no rival is called pigeons; there are: fastdatastore; Metaflow"),
    ],
)
def test_unknown_names_are_told(arguments: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=why):
        main(["run", "--out", str(tmp_path / "artifacts.json"), *arguments.split()])
