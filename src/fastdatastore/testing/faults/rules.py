"""Which faults strike a request: the faults that were added, with how often each was met and struck."""

from __future__ import annotations

import random
import re
import threading
from dataclasses import dataclass

from .fault import At, Fault
from .operation import Call

__all__ = ["Rules", "Strike"]


@dataclass(frozen=True)
class Strike:
    """A fault that strikes one request.

    Attributes:
        at: The offset, chosen.
        chance: A number between 0.0 and 1.0, drawn from the fault's seed, for what else it leaves to chance.
    """

    fault: Fault
    at: int | None
    chance: float


class _Rule:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.met = 0
        self.struck = 0
        self._random = random.Random(fault.seed)

    def strike(self, call: Call) -> Strike | None:
        fault = self.fault
        if fault.method not in (None, call.method) or fault.operation not in (None, call.operation):
            return None
        if fault.key is not None and not re.search(fault.key, call.key):
            return None
        self.met += 1
        if fault.nth is not None and self.met not in ((fault.nth,) if isinstance(fault.nth, int) else fault.nth):
            return None
        if fault.times is not None and self.struck >= fault.times:
            return None
        if self._random.random() >= fault.probability:
            return None
        self.struck += 1
        at: At = getattr(fault, "at", None)
        chosen = self._random.choice(at) if isinstance(at, range) else at
        return Strike(fault, chosen, self._random.random())


class Rules:
    """The faults of a proxy, in the order in which they were added. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []

    def add(self, faults: tuple[Fault, ...]) -> None:
        with self._lock:
            self._rules += map(_Rule, faults)

    def clear(self) -> None:
        with self._lock:
            self._rules = []

    def strikes(self, call: Call) -> list[Strike]:
        """All that strike this request; every rule that matches counts it."""
        with self._lock:
            return [strike for rule in self._rules if (strike := rule.strike(call)) is not None]

    def __repr__(self) -> str:
        with self._lock:
            return ", ".join(f"{type(r.fault).__name__} struck {r.struck} of {r.met}" for r in self._rules) or "none"
