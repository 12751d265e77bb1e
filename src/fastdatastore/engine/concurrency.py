"""How many requests may be in flight: seeded from a model of S3, then probed. No I/O; time is a parameter.

Too few leave the link idle; too many lose as well (an engine measured on EC2 gave 10.1 GB/s at its default, 18.1 at the
right setting, 13.1 beyond it). So the limit starts where S3 would need it, and moves by experiments: measure, change
the limit, measure again. More is kept only if goodput rises by 5 %; fewer is kept if nothing is lost.

Throttling is the bucket's matter (throttle.py): it limits requests a second. Here it only ends an experiment.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import ceil

from fastdatastore import forks


@dataclass(frozen=True)
class RequestModel:
    """What one request costs at S3, in one direction.

    Attributes:
        bytes_per_second: Of one request, once it flows.
        requests_per_second: What a new prefix takes: "at least 3,500 PUT or 5,500 GET requests per second per
            partitioned Amazon S3 prefix" (Amazon S3 User Guide, "Best practices design patterns").
        first_byte: Seconds until it flows, median.
    """

    bytes_per_second: float
    requests_per_second: float
    first_byte: float = 0.030

    def seconds(self, nbytes: float) -> float:
        return self.first_byte + nbytes / self.bytes_per_second

    def parts_for(self, target_gbps: float, part_size: int) -> int:
        """Parts of `part_size` bytes in flight that give `target_gbps` (10⁹ bits a second)."""
        return max(2, ceil(HEADROOM * target_gbps * 1e9 / 8 * self.seconds(part_size) / part_size))

    def small_for(self) -> int:
        """Small requests in flight that make the most of one prefix."""
        return ceil(self.requests_per_second * self.first_byte)


# Never all slots flow at once: with just enough of them the link idles when many wait for their first byte.
HEADROOM = 1.2

# 90 MB/s is what the S3 team's own client (aws-c-s3) reckons with; the rest are medians seen on EC2.
DOWN = RequestModel(bytes_per_second=90e6, requests_per_second=5500)
UP = RequestModel(bytes_per_second=20e6, requests_per_second=3500)

TARGET_GBPS = 10.0
# Fewer are so few that one slow request is a share of them.
PARTS_MIN = 4
SMALL_MIN = 16
SMALL_MAX = 1024
# The target is a guess; a link may be this much faster.
TARGET_SLACK = 4

GAIN = 1.05  # more requests must bring this
LOSS = 0.98  # fewer must keep this, of the best since the link last changed: small losses must not add up
STEP = 1.25
STRIDE = 1.5  # after a step that was clearly right, in the same direction
# An epoch is this many turns of all slots (requests that started together end together, so only whole turns compare),
# and at least EPOCH_SECONDS.
TURNS = 3
TURNS_WIDE = 2  # of WIDE slots and more: many requests make a good average
WIDE = 32
EPOCH_SECONDS = 0.5
FADE = 0.1  # each epoch the best comes this much nearer to what is measured now, in case it was luck
# Less goodput than this, or more than its inverse, at the same limit: the link has changed, what was learnt is void.
CHANGED = 0.75
# Seconds to the next experiment in a direction that has failed. Trying more costs little, trying fewer costs goodput
# while it lasts: there the rest doubles, from the first of these to the last.
REST_UP = (1.0, 1.0)
REST_DOWN = (4.0, 16.0)
# Goodput in bytes ÷ the model's rate of a request: so many must flow at once, by the model. To try fewer is expected to
# cost as much as is taken away, so these steps are small; until requests prove to be faster, so many times.
STEP_RISKY = 1.1
BRISK = 1.25
# Each slot does less work a second than this, where the model says 1: more of them are unlikely to help.
CROWDED = 0.6
# After throttling: no experiments for so long.
THROTTLED_REST = 2.0


class Phase(Enum):
    BASE = "measuring"
    UP = "trying more"
    DOWN = "trying fewer"


_RESTS = {Phase.UP: REST_UP, Phase.DOWN: REST_DOWN}


class Controller:
    """The limit for one kind of request: large or small, up or down. Shared by all threads of a client; thread-safe.

    Goodput is counted in *work*: the seconds that the model gives a request (first byte + bytes ÷ rate), per second.
    For parts that is proportional to bytes/s, for small objects to objects/s, and a batch that changes from one size to
    another does not look like a change of the link.

    It learns only while the limit is what limits. The tail of a transfer, a slow consumer, pacing and throttling leave
    slots empty; that time is not measured.

    Args:
        model: Of this direction.
        seed: Where it starts.
        minimum, maximum: Bounds; equal ones fix it.
    """

    def __init__(self, model: RequestModel, seed: int, *, minimum: int = 2, maximum: int) -> None:
        self._first_byte = model.first_byte
        self._seconds_per_byte = 1 / model.bytes_per_second
        self._minimum = minimum
        self._maximum = maximum
        self._limit = min(maximum, max(minimum, seed))
        self._in_flight = 0
        self._users = 0
        self._lock = forks.rlock()
        # The experiment.
        self._phase = Phase.BASE
        self._settled = self._limit  # where a failed experiment returns to
        self._base = 0.0  # goodput there; 0.0: unknown
        self._best = 0.0  # since the link last changed
        self._flowing = 0.0  # requests that must flow for it
        self._next = Phase.UP
        self._rest = {phase: rest[0] for phase, rest in _RESTS.items()}
        self._due = dict.fromkeys(_RESTS, 0.0)
        # The epoch.
        self._clock = 0.0
        self._full = False
        self._skip = 0
        self._done = 0
        self._turns = 0
        self._flow = 0.0  # the part of the work that is bytes
        self._time = 0.0
        self._begin()

    def __repr__(self) -> str:
        return f"<Controller [{self._in_flight} of {self._limit} in flight | {self._phase.value}]>"

    @property
    def limit(self) -> int:
        """Requests that may be in flight now, over all users."""
        return self._limit

    @property
    def in_flight(self) -> int:
        return self._in_flight

    # ---- users ----

    def join(self) -> None:
        """One more driver shares the limit."""
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1

    def room(self, mine: int = 0) -> int:
        """How many more requests a driver may send that has `mine` in flight.

        Free slots, or what is left of its fair share: a newcomer need not wait for another's transfer to end. The
        limit is exceeded for that long, until the other has fallen back to its own share.
        """
        free = self._limit - self._in_flight
        if self._users > 1:
            free = max(free, max(1, self._limit // self._users) - mine)
        return max(0, free)

    # ---- what happens ----

    def on_sent(self, now: float, count: int = 1) -> None:
        """`count` requests were handed to the data plane."""
        with self._lock:
            if now > self._clock:
                self._advance(now)
            self._in_flight += count

    def on_done(self, now: float, nbytes: int, count: int = 1) -> None:
        """`count` requests succeeded and moved `nbytes` together (up or down). Once per report or per batch of them."""
        with self._lock:
            if now > self._clock:
                self._advance(now)
            self._in_flight -= count
            if self._skip > 0:
                self._skip -= count
                if self._skip <= 0:
                    self._time = 0.0
            elif self._full:
                self._flow += nbytes * self._seconds_per_byte
                self._done += count
                if self._done >= self._turns:
                    if self._time < EPOCH_SECONDS:
                        self._turns += self._limit
                    else:
                        self._judge(now, (self._done * self._first_byte + self._flow) / self._time)

    def on_failed(self, now: float, throttled: bool = False, count: int = 1) -> None:
        """`count` requests ended without moving their bytes: refused, broken, cancelled."""
        with self._lock:
            if now > self._clock:
                self._advance(now)
            self._in_flight -= count
            if throttled:
                due = now + THROTTLED_REST
                self._due = {phase: max(due, before) for phase, before in self._due.items()}
                if self._phase is not Phase.BASE:
                    self._return()

    # ---- measuring ----

    def _advance(self, now: float) -> None:
        # A batch of answers empties slots for the moment that it takes to fill them again, so what counts is how many
        # were in flight before.
        self._full = self._in_flight >= self._limit * 0.9
        if self._full:
            self._time += now - self._clock
        self._clock = now

    def _begin(self, changed: bool = True) -> None:
        """A new epoch; after a change of the limit it starts when what was sent before is through."""
        self._skip = max(self._limit, self._in_flight) if changed else 0
        self._done = 0
        self._turns = self._limit * (TURNS if self._limit < WIDE else TURNS_WIDE)
        self._flow = 0.0
        self._time = 0.0

    # ---- experiments ----

    def _judge(self, now: float, goodput: float) -> None:
        flowing = self._flow / self._time
        if self._phase is Phase.BASE:
            self._flowing = flowing
            self._measured(goodput)
            self._experiment(now)
        elif goodput >= (GAIN * self._base if self._phase is Phase.UP else LOSS * self._best):
            self._flowing = flowing
            self._keep(now, goodput)
        else:
            # The other direction is tried next, this one after a longer rest.
            rest = self._rest[self._phase]
            self._due[self._phase] = now + rest
            self._rest[self._phase] = min(_RESTS[self._phase][1], rest * 2)
            self._next = Phase.DOWN if self._phase is Phase.UP else Phase.UP
            self._return()

    def _measured(self, goodput: float) -> None:
        if self._base and CHANGED < goodput / self._base < 1 / CHANGED:
            self._base += (goodput - self._base) / 2
            self._best = max(self._base, self._best + (self._base - self._best) * FADE)
            return
        if self._base:  # the link has changed
            self._rest = {phase: rest[0] for phase, rest in _RESTS.items()}
            self._due = dict.fromkeys(_RESTS, 0.0)
            self._next = Phase.UP
        elif goodput < CROWDED * self._limit:
            self._next = Phase.DOWN
        self._base = self._best = goodput

    def _experiment(self, now: float) -> None:
        other = Phase.DOWN if self._next is Phase.UP else Phase.UP
        for phase in (self._next, other):
            limit = self._stepped(phase, STEP)
            if limit != self._limit and now >= self._due[phase]:
                self._enter(phase, limit)
                return
        self._begin(changed=False)

    def _keep(self, now: float, goodput: float) -> None:
        """The step stays; the next one goes the same way."""
        phase = self._phase
        factor = STRIDE if phase is Phase.UP or goodput >= self._best else STEP
        self._settled = self._limit
        self._base = goodput
        self._best = goodput if phase is Phase.UP else max(self._best, goodput)
        self._rest[phase] = _RESTS[phase][0]
        limit = self._stepped(phase, factor)
        if limit != self._limit:
            self._enter(phase, limit)
        else:
            self._enter(Phase.BASE, limit)

    def _stepped(self, phase: Phase, factor: float) -> int:
        if phase is Phase.UP:
            return min(self._maximum, max(self._limit + 1, round(self._limit * factor)))
        if self._limit / factor < self._flowing < BRISK * self._limit:
            factor = STEP_RISKY
        return max(self._minimum, min(self._limit - 1, round(self._limit / factor)))

    def _enter(self, phase: Phase, limit: int) -> None:
        self._phase = phase
        self._limit = limit
        self._begin()

    def _return(self) -> None:
        self._enter(Phase.BASE, self._settled)


class Concurrency:
    """The controllers of one client; what one transfer has learnt serves the next.

    Args:
        target_gbps: What the link should give, Gbit/s; a fast start, not a cap.
        part_size: Bytes of a part.
        parts, small: Fix the limit of parts and of small requests; None adapts them.
        parts_max: Parts that memory has room for; None takes TARGET_SLACK times the seed.
    """

    def __init__(
        self,
        part_size: int,
        target_gbps: float = TARGET_GBPS,
        parts: int | None = None,
        small: int | None = None,
        parts_max: int | None = None,
    ) -> None:
        self._controllers: dict[tuple[bool, bool], Controller] = {}
        for up, model in ((False, DOWN), (True, UP)):
            seed = model.parts_for(target_gbps, part_size)
            most = max(PARTS_MIN, parts_max or max(64, TARGET_SLACK * seed))
            self._controllers[up, True] = Controller(
                model, parts or seed, minimum=parts or PARTS_MIN, maximum=parts or most
            )
            self._controllers[up, False] = Controller(
                model, small or model.small_for(), minimum=small or SMALL_MIN, maximum=small or SMALL_MAX
            )

    def __repr__(self) -> str:
        names = {(False, True): "get parts", (False, False): "get", (True, True): "put parts", (True, False): "put"}
        limits = ", ".join(f"{names[kind]} {controller.limit}" for kind, controller in self._controllers.items())
        return f"<Concurrency [{limits}]>"

    def of(self, *, up: bool, large: bool) -> Controller:
        """The controller for requests that send (`up`) or fetch bytes, as parts (`large`) or as small objects."""
        return self._controllers[up, large]
