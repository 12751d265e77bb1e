"""The collection of garbage: what a run deletes, what it keeps, and what it says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from fastdatastore.errors import ConfigurationError, CorruptArtifact, FormatError, ServerError
from fastdatastore.store import deletions, small, tags
from fastdatastore.store.backends.base import Backend, Watch
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.cancel import Cancel, Cancelled
from fastdatastore.store.collection import names, state
from fastdatastore.store.collection.gc import gc
from fastdatastore.store.collection.lease import Lease
from fastdatastore.store.collection.report import Amount, GcReport
from fastdatastore.store.collection.state import Phase
from fastdatastore.store.collection.timing import GRACE, HOUR, LEFT_BEHIND, RENEW, STALE, SWEEP
from tests.store.collection.places import Hands, age_by, change
from tests.store.collection.suites import OnDirectory, OnServers
from tests.store.collection.writing import Artifact, chunk_object, chunks_of, make, put, stored

ONE, TWO, BOTH = make("1", "shared"), make("2", "shared"), make("1", "2", "3")


@pytest.fixture
def lease(backend: Backend) -> Lease:
    return Lease(backend, Hands())


def leave(backend: Backend, lease: Lease, *artifacts: Artifact) -> None:
    """Puts them, and deletes their manifests."""
    for artifact in artifacts:
        put(backend, lease, artifact)
    backend.delete([artifact.name for artifact in artifacts])


class GcSuite:
    """On any back end."""

    def test_an_empty_store_has_no_garbage(self, backend: Backend) -> None:
        assert gc(backend) == GcReport()
        assert list(backend.list("")) == []

    def test_what_artifacts_hold_stays(self, backend: Backend, lease: Lease) -> None:
        put(backend, lease, ONE)
        leave(backend, lease, TWO)
        report = gc(backend, exclusive=True)
        size = len(chunk_object(b"2"))
        assert report.deleted_chunks == Amount(1, size)
        assert (report.artifacts.count, report.chunks.count, report.due_in) == (1, 2, None)
        assert chunks_of(backend) == sorted(ONE.chunks)

    def test_a_run_alone_in_the_store_leaves_nothing_behind(self, backend: Backend, lease: Lease) -> None:
        leave(backend, lease, ONE, TWO)
        gc(backend, exclusive=True)
        assert [entry.name for entry in backend.list("")] == [state.NAME]
        assert state.read(backend).state.phase is Phase.IDLE

    def test_what_was_collected_can_be_put_again(self, backend: Backend, lease: Lease) -> None:
        leave(backend, lease, ONE)
        gc(backend, exclusive=True)
        put(backend, Lease(backend, Hands()), ONE)
        assert chunks_of(backend) == sorted(ONE.chunks)

    def test_young_chunks_are_not_condemned(self, backend: Backend, lease: Lease) -> None:
        leave(backend, lease, ONE)
        assert gc(backend).condemned == Amount()

    def test_a_dry_run_changes_nothing(self, backend: Backend, lease: Lease) -> None:
        leave(backend, lease, ONE)
        before = sorted(entry.name for entry in backend.list(""))
        report = gc(backend, exclusive=True, dry_run=True)
        assert (report.condemned.count, report.deleted_chunks.count, report.dry_run) == (2, 0, True)
        assert sorted(entry.name for entry in backend.list("")) == before

    def test_untagged_artifacts_go_if_asked_to(self, backend: Backend, lease: Lease) -> None:
        for artifact in (ONE, TWO, BOTH):
            put(backend, lease, artifact)
        tags.set_tag(backend, lease, "kept", ONE.ref)
        assert gc(backend, exclusive=True).deleted_artifacts.count == 0
        assert gc(backend, exclusive=True, untagged=True).deleted_artifacts.count == 0  # they are young
        report = gc(backend, exclusive=True, untagged=True, older_than=0)
        assert (report.deleted_artifacts.count, report.deleted_chunks.count) == (2, 2)
        assert stored(backend, [ONE, TWO, BOTH]) == [ONE]
        assert chunks_of(backend) == sorted(ONE.chunks)

    def test_a_manifest_that_cannot_be_read_stops_it(self, backend: Backend, lease: Lease) -> None:
        put(backend, lease, ONE)
        leave(backend, lease, TWO)
        small.write(backend, BOTH.name, b"x" * 40)
        for _ in range(2):
            with pytest.raises(CorruptArtifact, match=re.escape(BOTH.ref)):
                gc(backend, exclusive=True)
        small.write(backend, BOTH.name, small.read(backend, ONE.name, 10_000)[0])
        with pytest.raises(CorruptArtifact, match=re.escape(BOTH.ref)):
            gc(backend, exclusive=True)
        assert chunks_of(backend) == sorted({*ONE.chunks, *TWO.chunks})
        backend.delete([BOTH.name])
        assert gc(backend, exclusive=True).deleted_chunks.count == 1

    def test_a_tag_that_cannot_be_read_stops_it(self, backend: Backend, lease: Lease) -> None:
        put(backend, lease, ONE)
        small.write(backend, "tags/later", b'{"format":2}')
        with pytest.raises(FormatError, match="knows version 2"):
            gc(backend, exclusive=True, untagged=True, older_than=0)
        assert stored(backend, [ONE]) == [ONE]

    def test_strangers_objects_are_left_alone(self, backend: Backend) -> None:
        strange = ["chunks/b3/ab/note.txt", "chunks/b3/ab/" + "cd" * 32, "artifacts/b3/readme", "other/x"]
        for name in strange:
            small.write(backend, name, b"mine")
        gc(backend, exclusive=True, untagged=True, older_than=0)
        assert sorted(entry.name for entry in backend.list("")) == sorted(strange)

    def test_while_another_run_sweeps_it_does_nothing(self, backend: Backend, lease: Lease) -> None:
        leave(backend, lease, ONE)
        change(backend, Phase.CONDEMNED, *ONE.chunks)
        change(backend, Phase.SWEEPING)
        assert gc(backend) == GcReport(busy=True)
        assert chunks_of(backend) == sorted(ONE.chunks)

    def test_what_is_condemned_waits_for_its_time(self, backend: Backend, lease: Lease) -> None:
        leave(backend, lease, ONE)
        change(backend, Phase.CONDEMNED, *ONE.chunks)
        report = gc(backend)
        assert report.condemned.count == 2
        assert GRACE - 60 < (report.due_in or 0) <= GRACE + 2
        assert chunks_of(backend) == sorted(ONE.chunks)

    def test_it_can_be_called_off(self, backend: Backend, lease: Lease) -> None:
        leave(backend, lease, ONE)
        cancel = Cancel()
        cancel.set()
        with pytest.raises(Cancelled):
            gc(backend, exclusive=True, cancel=cancel)
        assert chunks_of(backend) == sorted(ONE.chunks)

    def test_a_lost_list_is_forgotten(self, backend: Backend, lease: Lease) -> None:
        leave(backend, lease, ONE)
        now = change(backend, Phase.CONDEMNED, *ONE.chunks)
        backend.delete([names.LISTS + now.state.list])
        assert gc(backend, exclusive=True).deleted_chunks.count == 2

    @pytest.mark.parametrize("wrong", [{"grace": 60.0}, {"older_than": 60.0}, {"untagged": True, "older_than": -1.0}])
    def test_what_would_not_be_safe_is_refused(self, backend: Backend, wrong: dict[str, float]) -> None:
        with pytest.raises(ConfigurationError):
            gc(backend, **wrong)  # type: ignore[arg-type]


def age_chunks(backend: LocalBackend, seconds: float) -> None:
    for name in chunks_of(backend):
        age_by(backend, name, seconds)


class UncertainBackend(LocalBackend):
    """Whose deletes are sent twice."""

    def delete(self, names: Iterable[str], watch: Watch = None) -> bool:
        super().delete(names, watch)
        return False


class FailingBackend(LocalBackend):
    """That deletes no chunks."""

    fails = True

    def delete(self, names: Iterable[str], watch: Watch = None) -> bool:
        names = list(names)
        if self.fails and any(name.startswith("chunks/") for name in names):
            raise ServerError("no answer")
        return super().delete(names, watch)


class TestInDirectory(OnDirectory, GcSuite):
    """A directory, whose objects can be made old."""

    def test_two_runs_and_the_time_between_them_delete_garbage(self, backend: LocalBackend, lease: Lease) -> None:
        put(backend, lease, ONE)
        leave(backend, lease, TWO)
        age_chunks(backend, 2 * HOUR)
        report = gc(backend)
        assert (report.condemned.count, report.due_in) == (1, GRACE)
        age_by(backend, state.NAME, GRACE)
        report = gc(backend)
        assert (report.deleted_chunks.count, report.condemned.count, report.due_in) == (1, 0, None)
        assert chunks_of(backend) == sorted(ONE.chunks)
        assert [entry.name for entry in backend.list("gc/")] == [state.NAME]

    def test_what_a_writer_holds_is_not_deleted(self, backend: LocalBackend) -> None:
        hands = Hands()
        lease = Lease(backend, hands)
        leave(backend, lease, ONE)
        age_chunks(backend, 2 * HOUR)
        with lease.hold() as hold:
            hold.spare(ONE.chunks)
            assert gc(backend).condemned.count == 2
            age_by(backend, state.NAME, GRACE)
            hands.time += RENEW + 1
            hold.confirm()
            report = gc(backend)
            assert (report.deleted_chunks.count, report.condemned.count) == (0, 2)  # they are garbage still
        age_by(backend, state.NAME, GRACE)
        assert gc(backend).deleted_chunks.count == 2

    def test_what_was_put_since_is_not_deleted(self, backend: LocalBackend, lease: Lease) -> None:
        leave(backend, lease, ONE)
        age_chunks(backend, 2 * HOUR)
        gc(backend)
        put(backend, Lease(backend, Hands()), BOTH)
        age_by(backend, state.NAME, GRACE)
        report = gc(backend)
        assert report.deleted_chunks.count == 1
        assert chunks_of(backend) == sorted(BOTH.chunks)

    def test_a_condemned_artifact_that_was_tagged_since_stays(self, backend: LocalBackend, lease: Lease) -> None:
        for artifact in (ONE, TWO):
            put(backend, lease, artifact)
            age_by(backend, artifact.name, 2 * 24 * HOUR)
        assert gc(backend, untagged=True).condemned.count == 2
        tags.set_tag(backend, Lease(backend, Hands()), "kept", ONE.ref)
        age_by(backend, state.NAME, GRACE)
        assert gc(backend).deleted_artifacts.count == 0  # not asked to
        age_by(backend, state.NAME, GRACE)
        gc(backend, untagged=True)
        age_by(backend, state.NAME, GRACE)
        assert gc(backend, untagged=True).deleted_artifacts.count == 1
        assert stored(backend, [ONE, TWO]) == [ONE]

    def test_an_abandoned_sweep_is_taken_over(self, backend: LocalBackend, lease: Lease) -> None:
        leave(backend, lease, ONE)
        change(backend, Phase.CONDEMNED, *ONE.chunks)
        change(backend, Phase.SWEEPING)
        age_by(backend, state.NAME, STALE + 1)
        assert gc(backend).deleted_chunks.count == 2

    def test_deletes_that_may_land_late_block_their_names_alone(self, tmp_path: Path) -> None:
        backend = UncertainBackend(tmp_path, durable=False)
        leave(backend, Lease(backend, Hands()), ONE)
        gc(backend, exclusive=True)
        (settling,) = state.read(backend).state.settling
        assert {names.name_of(key) for key in names.read_list(backend, settling)} == set(ONE.chunks)
        hands = Hands()
        hands.meanwhile = lambda: age_by(backend, state.NAME, HOUR)
        put(backend, Lease(backend, hands), make("other"))
        assert hands.slept == 0
        put(backend, Lease(backend, hands), ONE)
        assert hands.slept > 0
        put(backend, Lease(backend, hands), TWO)
        gc(backend, exclusive=True)
        leave(backend, Lease(backend, hands), make("more"))
        gc(backend, exclusive=True)
        assert settling not in state.read(backend).state.settling

    def test_after_a_delete_that_failed_the_sweep_is_left_to_expire(self, tmp_path: Path) -> None:
        backend = FailingBackend(tmp_path, durable=False)
        leave(backend, Lease(backend, Hands()), ONE)
        with pytest.raises(ServerError):
            gc(backend, exclusive=True)
        assert state.read(backend).state.phase is Phase.SWEEPING
        assert gc(backend).busy
        backend.fails = False
        age_by(backend, state.NAME, STALE + 1)
        assert gc(backend).deleted_chunks.count == 2

    def test_a_run_that_fails_before_it_deletes_gives_the_list_back(self, backend: LocalBackend, lease: Lease) -> None:
        leave(backend, lease, ONE)
        listed = change(backend, Phase.CONDEMNED, *ONE.chunks)
        age_by(backend, state.NAME, GRACE)
        small.write(backend, BOTH.name, b"x" * 40)
        with pytest.raises(CorruptArtifact):
            gc(backend)
        now = state.read(backend).state
        assert (now.phase, now.list, now.number) == (Phase.CONDEMNED, listed.state.list, listed.state.number)

    def test_a_long_run_says_again_and_again_that_it_goes_on(self, backend: LocalBackend, lease: Lease) -> None:
        put(backend, lease, ONE)
        leave(backend, lease, TWO)
        change(backend, Phase.CONDEMNED, *TWO.chunks)
        age_by(backend, state.NAME, GRACE)
        hands = Hands()
        changes = []

        def take_long(step: str) -> None:
            changes.append(state.read(backend).state.change)
            hands.time += SWEEP

        gc(backend, clock=hands, progress=take_long)
        assert len(set(changes)) == len(changes) == 4

    def test_a_run_that_was_taken_for_dead_deletes_no_more(self, backend: LocalBackend, lease: Lease) -> None:
        leave(backend, lease, ONE)
        change(backend, Phase.CONDEMNED, *ONE.chunks)
        age_by(backend, state.NAME, GRACE)
        hands = Hands()

        def interfere(step: str) -> None:
            if step == "deleting":
                hands.time += HOUR
                seen = state.read(backend)
                assert state.change(backend, seen, seen.state.to(Phase.IDLE)) is not None

        assert gc(backend, clock=hands, progress=interfere).busy
        assert chunks_of(backend) == sorted(ONE.chunks)

    def test_what_the_dead_have_left_is_tidied_away(self, backend: LocalBackend, lease: Lease) -> None:
        old = names.LISTS + names.store_list(backend, names.Names())
        names.store_pardon(backend, "ab" * 32, names.Names())
        deletions.announce(backend, "cd" * 32)
        left = [entry.name for entry in backend.list("gc/")]
        for name in left:
            age_by(backend, name, LEFT_BEHIND + 1)
        young = names.LISTS + names.store_list(backend, names.Names())
        assert old in left
        gc(backend)
        assert [entry.name for entry in backend.list("gc/")] == [young]

    def test_a_list_that_came_into_force_meanwhile_is_not_tidied_away(self, backend: LocalBackend) -> None:
        def publish(step: str) -> None:
            if step == "reading manifests":
                now = change(backend, Phase.CONDEMNED, *ONE.chunks)
                names.store_pardon(backend, now.state.list, names.Names())
                for entry in backend.list("gc/"):
                    age_by(backend, entry.name, LEFT_BEHIND)

        gc(backend, progress=publish)
        assert len(list(backend.list("gc/"))) == 3


class TestOnServers(OnServers, GcSuite):
    """Servers."""
