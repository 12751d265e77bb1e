"""The times that the safety of the collection rests on, in seconds, and the clock that durations are taken from."""

from __future__ import annotations

import time
from typing import Final, Protocol

MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE

# A request without an answer has its effect within this time after it was sent, or never: SigV4's window.
LANDING: Final = 15 * MINUTE
# One call of a back end over a small object, with all its attempts. The engine gives up after some 6 minutes.
CALL: Final = 30 * MINUTE
# Between stamps of the server, which are exact to a second, and durations by another machine's clock.
MARGIN: Final = 10 * MINUTE

# A writer looks at the register again before it relies on a look that is older.
RENEW: Final = 5 * MINUTE
# From the beginning of a look until the last request that relies on it is sent: RENEW, then the call, and what a
# process may be stopped for in between.
LEASE: Final = 60 * MINUTE
# A list may be published LANDING after the stamp that it has, and what relies on a look before that lands LEASE and
# LANDING later still.
LEAST_GRACE: Final = LEASE + 2 * LANDING + 3 * MARGIN
GRACE: Final = 24 * HOUR

# A sweep begins no batch of deletes later than this after the register has last said that it goes on,
SWEEP: Final = 5 * MINUTE
# so that after this time, by the server's clock, nothing of it can land any more.
STALE: Final = SWEEP + CALL + LANDING + MARGIN
# The same after the end of a sweep whose deletes have all been answered, if some had to be sent twice.
SETTLED: Final = LANDING + MARGIN

# What a run or a writer leaves behind that was killed, or lost against another one.
LEFT_BEHIND: Final = 24 * HOUR

# Untagged artifacts are never condemned younger, so that a put that finds one half as old need not ask the register.
LEAST_AGE_UNTAGGED: Final = 24 * HOUR
YOUNG: Final = LEAST_AGE_UNTAGGED / 2


class Clock(Protocol):
    """Durations on this machine; nothing is ever compared with another machine's."""

    def now(self) -> float:
        """Seconds since some moment."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class _System:
    def __repr__(self) -> str:
        return "SYSTEM"

    def now(self) -> float:
        # Linux's monotonic clock stands still while the machine is suspended; the server's does not.
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


SYSTEM: Final[Clock] = _System()
