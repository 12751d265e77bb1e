"""A writer and the register: what it has spared stays until its manifest is written, or it is told."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest

from fastdatastore.errors import FormatError, LeaseExpired
from fastdatastore.store import ref
from fastdatastore.store.backends.base import Backend, R, Watch
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.cancel import Cancel, Cancelled
from fastdatastore.store.collection import names, state
from fastdatastore.store.collection.lease import Lease
from fastdatastore.store.collection.state import Phase
from fastdatastore.store.collection.timing import RENEW, SETTLED, STALE
from tests.store.collection.places import Hands, age_by, change, pardoned
from tests.store.collection.suites import OnDirectory, OnServers

A, B, C = (ref.chunk_name(digit * 64) for digit in "abc")
MANIFEST = ref.artifact_name("a" * 64)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def lease(backend: Backend, hands: Hands) -> Lease:
    return Lease(backend, hands)


class LeaseSuite:
    """On any back end."""

    def test_in_a_store_that_collects_nothing_it_leaves_nothing(self, backend: Backend, lease: Lease) -> None:
        with lease.hold() as hold:
            hold.spare([A, MANIFEST])
            hold.confirm()
        assert list(backend.list("")) == []

    def test_a_condemned_name_is_pardoned_once(self, backend: Backend, lease: Lease) -> None:
        now = change(backend, Phase.CONDEMNED, A, B, MANIFEST)
        for _ in range(2):
            with lease.hold() as hold:
                hold.spare([A, C, MANIFEST])
        assert pardoned(backend, now.state.list) == {A, MANIFEST}
        assert len(list(backend.list(names.PARDONS))) == 1

    def test_what_is_held_is_pardoned_when_a_list_comes(self, backend: Backend, lease: Lease, hands: Hands) -> None:
        with lease.hold() as hold:
            hold.spare([A, C])
            now = change(backend, Phase.CONDEMNED, A, B)
            hold.confirm()
            assert pardoned(backend, now.state.list) == set()
            hands.time += RENEW + 1
            hold.confirm()
            assert pardoned(backend, now.state.list) == {A}

    def test_what_is_held_no_more_is_not_pardoned(self, backend: Backend, lease: Lease, hands: Hands) -> None:
        with lease.hold() as hold:
            hold.spare([A])
        now = change(backend, Phase.CONDEMNED, A)
        hands.time += RENEW + 1
        with lease.hold() as hold:
            hold.spare([B])
            hold.confirm()
        assert pardoned(backend, now.state.list) == set()

    def test_who_needs_what_is_being_swept_waits(self, backend: Backend, lease: Lease, hands: Hands) -> None:
        change(backend, Phase.CONDEMNED, A)
        lease.recent()
        change(backend, Phase.SWEEPING)

        def end() -> None:
            if hands.slept > 1.5 and state.read(backend).state.phase is Phase.SWEEPING:
                change(backend, Phase.IDLE)

        hands.meanwhile = end
        with lease.hold() as hold:
            hold.spare([B])
            assert hands.slept == 0
            hold.spare([A])
        assert hands.slept > 1.5

    def test_who_has_missed_a_list_is_told(self, backend: Backend, lease: Lease, hands: Hands) -> None:
        with lease.hold() as hold:
            hold.spare([A])
            change(backend, Phase.CONDEMNED, B)
            change(backend, Phase.SWEEPING)
            change(backend, Phase.IDLE)
            hold.confirm()
            hands.time += RENEW + 1
            with pytest.raises(LeaseExpired, match="write it again"):
                hold.confirm()

    def test_who_was_pardoned_does_not_mind_the_sweep(self, backend: Backend, lease: Lease, hands: Hands) -> None:
        change(backend, Phase.CONDEMNED, A)
        with lease.hold() as hold:
            hold.spare([A])
            for phase in (Phase.SWEEPING, Phase.IDLE):
                change(backend, phase)
                hands.time += RENEW + 1
                hold.confirm()
            now = change(backend, Phase.CONDEMNED, A)
            hands.time += RENEW + 1
            hold.confirm()
            assert pardoned(backend, now.state.list) == {A}

    def test_names_whose_deletes_may_still_land_are_waited_for(
        self, backend: Backend, lease: Lease, hands: Hands
    ) -> None:
        swept = change(backend, Phase.CONDEMNED, A).state.list
        change(backend, Phase.SWEEPING)
        now = change(backend, Phase.CONDEMNED, B, settling=(swept,))
        cancel = Cancel()
        hands.meanwhile = cancel.set
        with lease.hold(cancel) as hold:
            hold.spare([B])
            with pytest.raises(Cancelled):
                hold.spare([A])
        assert pardoned(backend, now.state.list) == {B}

    def test_a_missing_list_is_said(self, backend: Backend, lease: Lease) -> None:
        now = change(backend, Phase.CONDEMNED, A)
        backend.delete([names.LISTS + now.state.list])
        with lease.hold() as hold, pytest.raises(FormatError, match=r"is missing.* run gc"):
            hold.spare([B])

    def test_its_repr_shows_the_last_look(self, backend: Backend, lease: Lease, hands: Hands) -> None:
        assert repr(lease) == "<Lease [not looked yet]>"
        change(backend, Phase.CONDEMNED, A)
        with lease.hold() as hold:
            hold.spare([B, C])
            hands.time += 3
            assert repr(lease) == "<Lease [condemned | list 1 | looked 3 s ago]>"
            assert repr(hold) == "<Hold [2 names]>"

    def test_threads_share_it(self, backend: Backend, lease: Lease) -> None:
        now = change(backend, Phase.CONDEMNED, A)
        errors: list[Exception] = []

        def work() -> None:
            try:
                with lease.hold() as hold:
                    for _ in range(20):
                        hold.spare([A])
                        hold.confirm()
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert pardoned(backend, now.state.list) == {A}


class SlowBackend(LocalBackend):
    """Whose first read takes longer than a look may."""

    hands: Hands

    def read(self, requests: Iterable[R | None], watch: Watch = None) -> Generator[R, None, None]:
        self.hands.time, self.hands = self.hands.time + RENEW + 1, Hands()
        return super().read(requests, watch)


class TestInDirectory(OnDirectory, LeaseSuite):
    """A directory."""

    def test_a_look_that_took_too_long_is_repeated(self, tmp_path: Path, hands: Hands) -> None:
        backend = SlowBackend(tmp_path, durable=False)
        backend.hands = Hands()
        lease = Lease(backend, hands)
        with lease.hold() as hold:
            hold.spare([A])
            hands.time += RENEW + 1
            backend.hands = hands
            hold.confirm()
            assert lease.is_recent(lease.recent())

    def test_a_sweep_that_was_abandoned_is_ended(self, backend: LocalBackend, lease: Lease, hands: Hands) -> None:
        change(backend, Phase.CONDEMNED, A)
        change(backend, Phase.SWEEPING)
        hands.meanwhile = lambda: age_by(backend, state.NAME, STALE / 10)
        with lease.hold() as hold:
            hold.spare([A])
        assert 0.5 < hands.slept < 3
        assert state.read(backend).state.phase is Phase.IDLE

    def test_what_has_settled_is_free(self, backend: LocalBackend, lease: Lease, hands: Hands) -> None:
        swept = change(backend, Phase.CONDEMNED, A).state.list
        change(backend, Phase.IDLE, settling=(swept,))
        age_by(backend, state.NAME, SETTLED + 1)
        with lease.hold() as hold:
            hold.spare([A])
        assert hands.slept == 0


class TestOnServers(OnServers, LeaseSuite):
    """Servers."""
