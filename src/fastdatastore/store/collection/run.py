"""One run of the collection, from the register through a survey to the register."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from fastdatastore.errors import NotFound
from fastdatastore.store import deletions, ref
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.cancel import Cancel
from fastdatastore.store.collection import names, state
from fastdatastore.store.collection.names import Names
from fastdatastore.store.collection.report import Amount, GcReport
from fastdatastore.store.collection.state import Phase, State
from fastdatastore.store.collection.survey import Rules, Survey, survey
from fastdatastore.store.collection.timing import LEFT_BEHIND, SETTLED, STALE, SWEEP, Clock

_BATCH: Final = 1000


class Superseded(Exception):
    """Another run came first, or took this one for dead."""


class Run:
    """Deletes what is condemned and garbage still, condemns what else is garbage.

    Args:
        grace: Seconds from condemning to deleting.
        alone: Nobody else is at work: a sweep that goes on is one that was abandoned.
        progress: Is told of each step.
    """

    def __init__(
        self,
        backend: Backend,
        rules: Rules,
        grace: float,
        alone: bool,
        clock: Clock,
        cancel: Cancel,
        progress: Callable[[str], None],
    ) -> None:
        self._backend = backend
        self._rules = rules
        self._grace = grace
        self._alone = alone
        self._clock = clock
        self._cancel = cancel
        self._progress = progress
        self._seen = state.read(backend)
        self._age = state.age(backend) if self._seen.etag else 0.0
        self._renewed_at = 0.0

    @property
    def _now(self) -> State:
        return self._seen.state

    def rehearse(self) -> GcReport:
        """What act() would do if the grace period were over."""
        try:
            condemned = self._condemned()
        except Superseded:
            return GcReport(busy=True, dry_run=True)
        found = self._survey(condemned)
        garbage = _sum(size for _, size in islice(found.garbage(condemned), names.MOST))
        due_in = self._grace if self._now.phase is Phase.IDLE else max(self._grace - self._age, 0.0)
        is_some = garbage.count or len(condemned)
        return replace(self._report(found, condemned, garbage), due_in=due_in if is_some else None, dry_run=True)

    def act(self) -> GcReport:
        """Does what there is to be done.

        Raises:
            FastDatastoreError: Nothing was deleted if a manifest, tag or list could not be read.
        """
        phase = self._now.phase
        if phase is Phase.SWEEPING and self._age <= STALE and not self._alone:
            return GcReport(busy=True)
        if phase is Phase.CONDEMNED and self._age < self._grace:
            return GcReport(condemned=self._waiting(), due_in=self._grace - self._age)
        try:
            return self._collect()
        except Superseded:
            return GcReport(busy=True)

    def _waiting(self) -> Amount:
        try:
            return Amount(len(names.read_list(self._backend, self._now.list)), 0)
        except NotFound:
            return Amount()

    def _collect(self) -> GcReport:
        settling = self._now.settling if self._age <= SETTLED else ()
        swept = self._now.list
        if swept:
            self._change(self._now.to(Phase.SWEEPING, swept, settling=settling))
        try:
            condemned = self._condemned()
            found = self._survey(condemned)
        except BaseException:
            self._give_back()
            raise
        has_settled = self._delete(ref.artifact_name(digest) for digest, _ in found.doomed)
        has_settled &= self._delete(ref.chunk_name(digest) for digest, _ in found.doomed_chunks(condemned))
        if swept and not has_settled:
            settling = (*settling, swept)
        garbage = list(islice(found.garbage(condemned), names.MOST))
        self._publish(Names.of(key for key, _ in garbage), settling)
        self._tidy(swept)
        report = self._report(found, condemned, _sum(size for _, size in garbage))
        return replace(report, due_in=self._grace if garbage else None)

    # ---- the register ----

    def _change(self, to: State) -> None:
        at = self._clock.now()
        changed = state.change(self._backend, self._seen, to)
        if changed is None:
            raise Superseded
        self._seen, self._renewed_at = changed, at

    def _turn(self) -> None:
        """To be called all the time, and before each batch of deletes: so that nobody takes this run for dead."""
        self._cancel.check()
        while self._now.phase is Phase.SWEEPING and self._clock.now() - self._renewed_at > SWEEP / 2:
            self._change(state.renewed(self._now))

    def _give_back(self) -> None:
        """Nothing was deleted: the list is as it was, and its grace period begins anew."""
        if self._now.phase is Phase.SWEEPING:
            state.change(self._backend, self._seen, replace(state.renewed(self._now), phase=Phase.CONDEMNED))

    def _publish(self, garbage: Names, settling: tuple[str, ...]) -> None:
        """Ends the sweep, if there was one, and condemns what is garbage now: by one change of the register."""
        if len(garbage):
            began = self._clock.now()
            list_id = names.store_list(self._backend, garbage)
            if self._clock.now() - began > LEFT_BEHIND / 2:  # another run may tidy it away
                raise Superseded
            self._change(self._now.to(Phase.CONDEMNED, list_id, settling=settling))
        elif self._now.phase is not Phase.IDLE or self._now.settling != settling:
            self._change(self._now.to(Phase.IDLE, settling=settling))

    # ---- what is there ----

    def _condemned(self) -> Names:
        """What may be deleted: on the list, and not pardoned. To be asked after the sweep has begun."""
        if self._now.phase is Phase.IDLE:
            return Names()
        try:
            listed = names.read_list(self._backend, self._now.list)
        except NotFound:
            return Names()  # lost, and with this run forgotten
        try:
            pardoned = names.read_pardons(self._backend, self._now.list)
        except NotFound:
            raise Superseded from None  # another run has ended this sweep, and tidied up
        return Names.of(key for key in listed if key not in pardoned)

    def _survey(self, condemned: Names) -> Survey:
        return survey(self._backend, self._rules, condemned, self._turn, self._progress)

    def _report(self, found: Survey, condemned: Names, garbage: Amount) -> GcReport:
        return GcReport(
            artifacts=found.kept,
            chunks=Amount(found.census.held_count, found.census.held_size),
            deleted_artifacts=_sum(size for _, size in found.doomed),
            deleted_chunks=_sum(size for _, size in found.doomed_chunks(condemned)),
            condemned=garbage,
        )

    # ---- deleting ----

    def _delete(self, doomed: Iterable[str], step: str = "deleting") -> bool:
        """Whether none of it can land late."""
        has_settled = True
        each = iter(doomed)
        while batch := list(islice(each, _BATCH)):
            self._progress(step)
            self._turn()
            has_settled &= self._backend.delete(batch)
        return has_settled

    def _tidy(self, swept: str) -> None:
        """Removes the list that was swept, and what killed runs and writers have left in gc/."""
        current = {self._now.list, *self._now.settling}
        now = self._backend.now()

        def left() -> Iterator[str]:
            for prefix in (names.LISTS, names.PARDONS, deletions.PREFIX):
                for entry in self._backend.list(prefix):
                    owner = entry.name.removeprefix(prefix).split("/", 1)[0]
                    if owner not in current and (owner == swept or now - entry.modified > LEFT_BEHIND):
                        yield entry.name

        self._delete(left(), "tidying up")


def _sum(sizes: Iterable[int]) -> Amount:
    count = total = 0
    for size in sizes:
        count, total = count + 1, total + size
    return Amount(count, total)
