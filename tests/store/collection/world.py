"""A world in which every operation on a store is a step, and a schedule by chance decides who makes the next one.

The actors run the real code, each in a thread of its own, of which one runs at a time: an operation of its back end
waits until the schedule lets it happen. Actors stall for hours, and are killed. Writes and deletes fail, or fail and
land up to LANDING later, or succeed and land a second time, which is what a request does that was sent twice. An object
bears the time at which its write began, and its ETag is of its content. The actors' clocks differ, and go a little
faster or slower than the server's.
"""

from __future__ import annotations

import hashlib
import math
import random
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

from fastdatastore.engine.bytesview import places_of
from fastdatastore.errors import Modified, NotFound, ServerError
from fastdatastore.store.backends.base import Entry, Existence, Found, R, W, Watch, Write
from fastdatastore.store.collection.timing import CALL, HOUR, LANDING, MINUTE

_STALLS = (10.0, 4 * MINUTE, 6 * MINUTE, 14 * MINUTE, 29 * MINUTE, HOUR, 2.2 * HOUR, 5 * HOUR, 26 * HOUR)
# What a process must not be stopped for long before, once it has decided to: see docs/guarantees.md, "Assumptions".
_PROMPT = ("write artifacts/", "write tags/", "delete ")
_PAGE = 2


class Killed(BaseException):
    """The actor is no more: whatever it still does at its end has no effect."""


def closed() -> threading.Lock:
    """A gate that lets one through for each release()."""
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass
class Stored:
    """Attributes: modified: by the server's clock."""

    data: bytes
    modified: float
    etag: str = ""

    def __post_init__(self) -> None:
        self.etag = hashlib.md5(self.data, usedforsecurity=False).hexdigest()


@dataclass
class Pending:
    """What is on its way to the server. Attributes: due: the last moment at which it has its effect."""

    due: float
    effect: Callable[[], object]


@dataclass(eq=False)
class Actor:
    """A process on a machine of its own; its clock, too.

    Attributes:
        program: What it does.
        wakes: The server's time before which it does nothing.
        intent, since: The operation that it waits to make, and since when.
        effect: What that may still do if the actor is killed meanwhile.
    """

    name: str
    program: Callable[[Actor], None]
    offset: float
    rate: float
    wakes: float = 0.0
    intent: str = ""
    since: float = 0.0
    effect: Callable[[], object] | None = None
    has_ended: bool = False
    is_killed: bool = False
    error: BaseException | None = None
    go: threading.Lock = field(default_factory=closed)
    world: World = field(init=False)

    def now(self) -> float:
        return self.offset + self.world.time * self.rate

    def sleep(self, seconds: float) -> None:
        # It may sleep longer; so fewer steps are needed.
        self.wakes = self.world.time + max(seconds, self.world.chance.choice((MINUTE, 10 * MINUTE)))
        self.step("sleep")

    def step(self, intent: str, effect: Callable[[], object] | None = None) -> None:
        """Waits until the schedule lets it go on."""
        self.intent, self.since, self.effect = intent, self.world.time, effect
        if not self.is_killed:
            self.world.turn.release()
            self.go.acquire()
        if self.is_killed:
            raise Killed


class World:
    """The server, its clock, and who makes the next step."""

    def __init__(self, chance: random.Random, *, troubles: float = 1.0) -> None:
        self.chance = chance
        self.troubles = troubles
        self.doubling = chance.choice((0.01, 0.3))
        self.pace = chance.choice((0.5, 20.0))
        self.stalling = chance.choice((0.03, 0.06, 0.12))
        self.time = 1_000_000.0
        self.objects: dict[str, Stored] = {}
        self.pending: list[Pending] = []
        self.turn = closed()
        self.log: list[str] = []
        self.after_step: Callable[[], None] = lambda: None

    def happens(self, probability: float) -> bool:
        return self.chance.random() < probability * self.troubles

    def run(self, actors: list[Actor]) -> None:
        """Until all have ended, and all has landed."""
        for actor in actors:
            actor.world = self
            threading.Thread(target=self._life, args=(actor,), daemon=True).start()
            self.turn.acquire()
        try:
            while left := [actor for actor in actors if not actor.has_ended]:
                self._one_step(left)
                self.after_step()
        finally:
            for actor in actors:
                self._kill(actor)
        for pending in self.pending:
            pending.effect()
        self.pending = []
        self.time += LANDING
        self.after_step()
        for actor in actors:
            if actor.error is not None:
                raise actor.error

    def _life(self, actor: Actor) -> None:
        try:
            actor.step("begin")
            actor.program(actor)
        except Killed:
            pass
        except BaseException as error:
            actor.error = error
        actor.has_ended = True
        self.turn.release()

    def _one_step(self, left: list[Actor]) -> None:
        self.time += self.chance.uniform(0, self.pace)
        awake = [actor for actor in left if actor.wakes <= self.time]
        if not awake:
            self._pass_until(min(actor.wakes for actor in left))
            return
        actor = self.chance.choice(awake)
        if self.chance.random() < self.stalling:
            stall = self.chance.choice(_STALLS)
            if actor.intent.startswith(_PROMPT):
                stall = max(0.0, min(stall, actor.since + CALL - 5 * MINUTE - self.time))
            actor.wakes = self.time + stall
            self.log.append(f"{self.time:.0f} {actor.name} stalls for {stall:.0f} s before: {actor.intent}")
            return
        if self.happens(0.006):
            self.log.append(f"{self.time:.0f} {actor.name} is killed before: {actor.intent}")
            if actor.effect is not None and self.happens(0.5):
                self.later(actor.effect)
            self._kill(actor)
            return
        if self.pending and self.chance.random() < 0.1:
            self._land(self.chance.randrange(len(self.pending)))
        self.log.append(f"{self.time:.0f} {actor.name}: {actor.intent}")
        actor.go.release()
        self.turn.acquire()

    def _pass_until(self, moment: float) -> None:
        while due := [index for index, pending in enumerate(self.pending) if pending.due <= moment]:
            self.time = max(self.time, self.pending[due[0]].due)
            self._land(due[0])
            self.after_step()
        self.time = moment

    def _land(self, index: int) -> None:
        self.log.append(f"{self.time:.0f} something lands late")
        self.pending.pop(index).effect()

    def later(self, effect: Callable[[], object]) -> None:
        """It lands some time."""
        self.pending.append(Pending(self.time + self.chance.uniform(0, LANDING), effect))

    def _kill(self, actor: Actor) -> None:
        if actor.has_ended or actor.is_killed:
            return
        actor.is_killed = True
        actor.go.release()
        self.turn.acquire()


class MemoryBackend:
    """The world's objects as one actor sees them."""

    def __init__(self, world: World, actor: Actor) -> None:
        self.world = world
        self.actor = actor

    # ---- reading ----

    def found(self, names: Iterable[str], watch: Watch = None) -> Generator[tuple[str, Existence], None, None]:
        for name in names:
            self.actor.step(f"found {name}")
            stored = self.world.objects.get(name)
            if stored is None:
                yield name, None
            else:
                modified = math.floor(stored.modified)
                yield name, Found(len(stored.data), modified, self.world.time - modified)

    def read(self, requests: Iterable[R | None], watch: Watch = None) -> Generator[R, None, None]:
        for item in requests:
            assert item is not None
            self.actor.step(f"read {item.name}")
            stored = self.world.objects.get(item.name)
            if stored is None:
                item.error = NotFound("not there")
            else:
                try:
                    item.size, item.etag = len(stored.data), stored.etag
                    at = 0
                    for view in places_of(item.place(item.size), item.size):
                        view[:] = stored.data[at : at + len(view)]
                        at += len(view)
                except Exception as error:
                    item.error = error
            yield item

    def list(self, prefix: str, watch: Watch = None) -> Generator[Entry, None, None]:
        last = ""
        while True:
            self.actor.step(f"list {prefix} after {last}")
            page = sorted(name for name in self.world.objects if name.startswith(prefix) and name > last)[:_PAGE]
            entries = [(name, self.world.objects[name]) for name in page]
            if not page:
                return
            for name, stored in entries:
                yield Entry(name, len(stored.data), math.floor(stored.modified), stored.etag)
            last = page[-1]

    def now(self, watch: Watch = None) -> float:
        self.actor.step("now")
        return math.floor(self.world.time)

    # ---- writing ----

    def write(self, items: Iterable[W | None], watch: Watch = None) -> Generator[W, None, None]:
        for item in items:
            assert item is not None
            data = b"".join(bytes(memoryview(piece)) for piece in item.pieces)
            began = self.world.time
            effect = self._storing(item, data, began)
            self.actor.step(f"write {item.name}", effect)
            effect = self._storing(item, data, self.world.time)
            item.error, _ = self._send(effect)
            item.etag = Stored(data, 0.0).etag
            yield item

    def _storing(self, item: Write, data: bytes, began: float) -> Callable[[], Exception | None]:
        def effect() -> Exception | None:
            now = self.world.objects.get(item.name)
            if (item.if_none_match and now is not None) or (
                item.if_match is not None and (now is None or now.etag != item.if_match)
            ):
                return Modified("it is another one")
            self.world.objects[item.name] = Stored(data, began)
            return None

        return effect

    def delete(self, names: Iterable[str], watch: Watch = None) -> bool:
        is_all = True
        for name in names:

            def effect(name: str = name) -> None:
                self.world.objects.pop(name, None)

            self.actor.step(f"delete {name}", effect)
            error, was_sent_once = self._send(effect)
            is_all = is_all and was_sent_once
            if error is not None:
                raise error
        return is_all

    def _send(self, effect: Callable[[], Any]) -> tuple[Exception | None, bool]:
        """The error, and whether it was sent once."""
        world = self.world
        if world.happens(0.015):
            return ServerError("no answer; it is not done"), True
        if world.happens(0.02):
            world.later(effect)
            return ServerError("no answer; it will be done"), True
        error: Exception | None = effect()
        if world.happens(0.015):
            return ServerError("no answer; it is done"), True
        if self.world.chance.random() < self.world.doubling:
            world.later(effect)
            return error, False
        return error, True
