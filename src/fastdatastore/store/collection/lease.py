"""What a writer relies on while others collect garbage: names that it has spared stay until its manifest holds them.

The argument is in docs/guarantees.md. In short: a name that is on a list is pardoned, by an object that the sweep reads
after it has begun; whoever sees the sweep after that waits until it has ended. A name that is on none, as far as the
register tells, is safe from all later lists, because what they name is only deleted after a grace period that is much
longer than the way from a look at the register to the manifest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from fastdatastore import forks
from fastdatastore.errors import FormatError, LeaseExpired, NotFound
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.cancel import NEVER, Cancel
from fastdatastore.store.collection import names, state
from fastdatastore.store.collection.names import Names
from fastdatastore.store.collection.state import Phase, Seen
from fastdatastore.store.collection.timing import RENEW, SETTLED, STALE, SYSTEM, Clock

_POLL = 1.0
_TICK = 0.1


@dataclass(frozen=True)
class Look:
    """What the register said, and when it was asked.

    Attributes:
        at: By this machine's clock, before the request went out.
        seen: The register.
        condemned: The list in force; empty in phase idle.
        settling: All names on earlier lists whose deletes may still land.
    """

    at: float
    seen: Seen
    condemned: Names
    settling: tuple[Names, ...]

    @property
    def number(self) -> int:
        """Of the last list."""
        return self.seen.state.number

    @property
    def phase(self) -> Phase:
        """Of the collection."""
        return self.seen.state.phase


class Lease:
    """The looks of one store object at the register, shared by all its writers; thread-safe.

    Args:
        clock: Of this machine.
    """

    def __init__(self, backend: Backend, clock: Clock = SYSTEM) -> None:
        self._backend = backend
        self._clock = clock
        self._lock = forks.lock()
        self._look: Look | None = None
        self._pardoned: tuple[str, set[bytes]] = ("", set())

    def __repr__(self) -> str:
        look = self._look
        if look is None:
            return "<Lease [not looked yet]>"
        return f"<Lease [{look.phase} | list {look.number} | looked {self._clock.now() - look.at:.0f} s ago]>"

    def hold(self, cancel: Cancel = NEVER) -> Hold:
        """For one artifact or tag that is to be written, or several at once: a context manager."""
        return Hold(self, cancel)

    def recent(self) -> Look:
        """One that is young enough to be relied upon."""
        return self._since(self._clock.now() - RENEW)

    def fresh(self) -> Look:
        """One that was begun after this call."""
        return self._since(self._clock.now())

    def is_recent(self, look: Look) -> bool:
        """Whether it is young enough even now, after it has been answered."""
        return self._clock.now() - look.at <= RENEW

    def _since(self, moment: float) -> Look:
        with self._lock:
            if self._look is None or self._look.at <= moment:
                self._look = self._ask(self._look)
            return self._look

    def _ask(self, last: Look | None) -> Look:
        known: dict[str, Names] = {}
        if last is not None:
            condemned, *settling = last.seen.state.list, *last.seen.state.settling
            known = {condemned: last.condemned, **dict(zip(settling, last.settling, strict=True))}
        missing = ""
        while True:
            at = self._clock.now()
            seen = state.read(self._backend)
            try:
                for list_id in {seen.state.list, *seen.state.settling} - known.keys() - {""}:
                    known[list_id] = names.read_list(self._backend, list_id)
            except NotFound:
                # A list goes when the register names it no more: then that was changed meanwhile.
                if missing == seen.state.change:
                    raise FormatError(
                        f"it names the list {list_id}, which is missing",
                        place=state.NAME,
                        hint="run gc, which mends it",
                    ) from None
                missing = seen.state.change
                continue
            condemned_names = known[seen.state.list] if seen.state.list else Names()
            return Look(at, seen, condemned_names, tuple(known[list_id] for list_id in seen.state.settling))

    # ---- for Hold ----

    def listed(self, look: Look, keys: Iterable[bytes]) -> list[bytes]:
        """Those that are on the list in force, and not pardoned."""
        if not look.condemned:
            return []
        list_id, pardoned = self._pardoned
        if list_id != look.seen.state.list:
            pardoned = set()
        return [key for key in keys if key in look.condemned and key not in pardoned]

    def pardon(self, look: Look, keys: Iterable[bytes]) -> Look:
        """Asks that these names of a condemned list be spared; a fresh look, by which `listed` says if they are."""
        list_id = look.seen.state.list
        wanted = Names.of(keys)
        names.store_pardon(self._backend, list_id, wanted)
        fresh = self.fresh()
        # The sweep reads the pardons after it has begun, and it has not yet: so it will find this one.
        if fresh.phase is Phase.CONDEMNED and fresh.seen.state.list == list_id:
            with self._lock:
                known_id, known = self._pardoned
                self._pardoned = (list_id, {*wanted, *(known if known_id == list_id else ())})
        return fresh

    def has_settled(self, cancel: Cancel) -> bool:
        """Whether no delete of the settling lists can land any more; else after a while of waiting."""
        if state.age(self._backend) > SETTLED:
            return True
        self._wait(cancel)
        return False

    def wait_for_sweep(self, look: Look, cancel: Cancel) -> None:
        """Lets a sweep go on for a while; ends one that was abandoned."""
        if state.age(self._backend) > STALE:
            now = look.seen.state
            state.change(self._backend, look.seen, now.to(Phase.IDLE))
        else:
            self._wait(cancel)

    def _wait(self, cancel: Cancel) -> None:
        end = self._clock.now() + _POLL
        while (left := end - self._clock.now()) > 0:
            cancel.check()
            self._clock.sleep(min(left, _TICK))


class Hold:
    """The names that one write relies on, kept from being collected until it is closed; thread-safe.

    Args:
        cancel: Ends the waiting for a sweep.
    """

    def __init__(self, lease: Lease, cancel: Cancel) -> None:
        self._lease = lease
        self._cancel = cancel
        self._lock = threading.RLock()
        self._keys = bytearray()
        self._number: int | None = None

    def __repr__(self) -> str:
        return f"<Hold [{len(self._keys) // names.KEY_SIZE} names]>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """The names are relied upon no more, or a manifest holds them."""
        with self._lock:
            self._keys = bytearray()
            self._number = None

    def spare(self, wanted: Iterable[str]) -> None:
        """Keeps chunks and manifests from being collected: those that are there, and those that will be written.

        To be called before anybody is asked whether they exist: an answer from before does not count. May wait for as
        long as a sweep takes that is deleting one of them.

        Args:
            wanted: Names of chunks and manifests, as in store/ref.py.

        Raises:
            LeaseExpired: What was spared before may have been collected.
            FastDatastoreError: The back end cannot be asked.
        """
        keys = [names.key_of(name) for name in wanted]
        with self._lock:
            look = self._advance(self._lease.recent())
            while (then := self._make_way(look, keys)) is not None:
                look = self._advance(then)
            self._keys += b"".join(keys)

    def confirm(self) -> None:
        """To be called between batches of a long write, and right before the manifest or tag is written.

        Costs nothing while the last look at the register is younger than RENEW.

        Raises:
            LeaseExpired: What was spared may have been collected.
            FastDatastoreError: The back end cannot be asked.
        """
        with self._lock:
            while not self._lease.is_recent(self._advance(self._lease.recent())):
                self._cancel.check()

    def _make_way(self, look: Look, keys: list[bytes]) -> Look | None:
        """None if none of these names can be deleted by what the look shows; else another look, after some waiting."""
        is_settling = any(key in settling for settling in look.settling for key in keys)
        if is_settling and not self._lease.has_settled(self._cancel):
            return self._lease.fresh()
        if not (listed := self._lease.listed(look, keys)):
            return None
        if look.phase is Phase.CONDEMNED:
            return self._lease.pardon(look, listed)
        self._lease.wait_for_sweep(look, self._cancel)
        return self._lease.fresh()

    def _advance(self, look: Look) -> Look:
        """Makes sure of what is held already, by a list that may be new."""
        if self._number in (None, look.number) or not self._keys:
            self._number = look.number
            return look
        # Between two looks there was one new list, which nobody has swept yet; or else we have missed one.
        if look.number - self._number == 1 and look.phase is Phase.CONDEMNED:
            if listed := self._lease.listed(look, names.each(self._keys)):
                number, look = look.number, self._lease.pardon(look, listed)
                if self._lease.listed(look, listed) or look.number != number or look.phase is not Phase.CONDEMNED:
                    raise self._expired()
            self._number = look.number
            return look
        raise self._expired()

    def _expired(self) -> LeaseExpired:
        return LeaseExpired(
            "garbage was collected while this write did not look, so that what it relies on may be gone; write it again"
        )
