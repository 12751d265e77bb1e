"""What comes back is compared with what was sent, and failures are counted."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from fastdatastore.bench import target as targets
from fastdatastore.bench.removal import remove
from fastdatastore.bench.runner import Runner
from fastdatastore.bench.source import Source
from fastdatastore.bench.target import Target
from fastdatastore.bench.workloads import Operation, Workload
from fastdatastore.engine.delete import DeleteJob
from fastdatastore.errors import BucketNotFound, IntegrityError, NotFound
from fastdatastore.progress.line import LiveLine
from fastdatastore.progress.terminal import Terminal
from fastdatastore.testing import servers

_WORKLOAD = Workload(3, 1 << 20)
_QUIET = LiveLine(Terminal(io.StringIO(), is_live=False, has_colour=False))
_GET = (Operation.GET,)


@pytest.fixture
def target() -> Iterator[Target]:
    if (why := servers.why_unavailable("null")) is not None:
        pytest.skip(why)
    with targets.started("null", tls=False, puts=True, gets=True, total=_WORKLOAD.total) as started:
        yield started


def _after_upload(monkeypatch: pytest.MonkeyPatch, runner: Runner, target: Target, do: str) -> None:
    """Between upload and download somebody else replaces or deletes the second object."""
    put = runner._put

    def put_and_disturb(workload: Workload, source: Source, label: str) -> object:
        run = put(workload, source, label)
        key = workload.key(target.prefix, 1)
        if do == "replace":
            target.client.run_one(target.client.put(target.bucket, key, bytes(1 << 20)))
        else:
            target.client.run_one(DeleteJob(target.bucket, key))
        return run

    monkeypatch.setattr(runner, "_put", put_and_disturb)
    monkeypatch.setattr(runner, "_expect_all", lambda run: None)


def test_bytes_that_are_not_the_ones_uploaded_are_an_error(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(target, _QUIET)
    _after_upload(monkeypatch, runner, target, "replace")
    (outcome,) = runner.measure(_WORKLOAD, _GET)
    assert [type(error) for error in outcome.failures] == [IntegrityError]
    assert (outcome.errors, outcome.run.ops, outcome.run.bytes) == (1, 2, 2 << 20)


def test_an_object_that_fails_is_counted_and_the_others_are_measured(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner(target, _QUIET)
    _after_upload(monkeypatch, runner, target, "delete")
    (outcome,) = runner.measure(_WORKLOAD, _GET)
    assert [type(error) for error in outcome.failures] == [NotFound]
    assert outcome.run.ops == 2


def test_an_upload_that_is_not_measured_must_succeed(target: Target) -> None:
    runner = Runner(Target(target.client, "there-is-no-such-bucket", target.prefix), _QUIET)
    with pytest.raises(BucketNotFound):
        list(runner.measure(_WORKLOAD, _GET))
    assert runner.made == set()


def test_all_that_was_made_is_removed(target: Target) -> None:
    runner = Runner(target, _QUIET)
    list(runner.measure(_WORKLOAD, (Operation.PUT,)))
    assert len(runner.made) == 3
    assert runner.unsettled == set()
    assert remove(target, runner.made, runner.unsettled, seconds=10.0) == 0


def test_what_cannot_be_removed_in_time_is_told(target: Target) -> None:
    runner = Runner(target, _QUIET)
    list(runner.measure(_WORKLOAD, (Operation.PUT,)))
    assert remove(target, runner.made, runner.made, seconds=0.05) > 0  # less than it waits for the unsettled ones


def test_memory_is_recycled_from_one_download_to_the_next(target: Target) -> None:
    outcomes = list(Runner(target, _QUIET, repetitions=3).measure(_WORKLOAD, (Operation.PUT, Operation.GET)))
    assert [outcome.run.fresh_regions for outcome in outcomes] == [0, 0]
    assert [outcome.repetitions for outcome in outcomes] == [3, 3]
