"""What a bucket's 503 SlowDown and 429 answers have taught: how many requests a second it takes.

S3 throttles by requests a second, so that is what is controlled, not how many are in flight: additive increase,
multiplicative decrease, with a ceiling remembered as TCP CUBIC does (RFC 9438; the "adaptive" mode of the AWS SDKs does
likewise). Until a bucket throttles for the first time, nothing is held back.
"""

from __future__ import annotations

from fastdatastore import forks
from fastdatastore.engine.pacing import TokenBucket

CUT = 0.85
# After a cut the rate stands still: what was sent before is still being refused, and the server needs to recover.
FREEZE_SECONDS = 1.0
# Then it goes back to PLATEAU of the ceiling and stays there for a while, twice as long each time that the same ceiling
# is met again.
RECOVERY_SECONDS = 1.0
PLATEAU = 0.95
PLATEAU_SECONDS = 1.0
PLATEAU_MAX = 8.0
# Then the ceiling is tried: more by CREEP of it in the first second, doubling each second.
CREEP = 0.01
# Near enough to the last ceiling to be the same.
SAME = 0.15
# Unlimited again when the allowance has grown to this many times what is being used, or of the ceiling.
FORGET = 4.0
# CREEP is of at least this many requests a second, so that a rate cut to nothing comes back.
CREEP_BASE = 20.0
# Requests are counted over windows of this length; nothing sent for IDLE_SECONDS begins a new one.
WINDOW_SECONDS = 0.5
IDLE_SECONDS = 2.0
# A rate from a shorter stretch would be chance.
WINDOW_MIN = 0.2


class Throttle:
    """One bucket's state, shared by all threads of a client (the Remote holds one for each bucket). Thread-safe.

    Call wait() before sending, on_sent() after, on_done() for each answer that is no throttling, on_throttled() for
    each that is.
    """

    def __init__(self) -> None:
        self._allowance: TokenBucket | None = None  # None: nothing is held back
        self._ceiling = 0.0
        self._cut_at = 0.0
        self._plateau = PLATEAU_SECONDS
        self._grown_at = 0.0
        self._accepted = 0  # in the window
        self._sent = 0  # likewise
        self._sent_at = -IDLE_SECONDS
        self._window = 0.0  # its begin
        self._before = 0.0  # requests a second in the window before
        self._lock = forks.lock()

    def __repr__(self) -> str:
        rate = "unlimited" if self._allowance is None else f"{self._allowance.rate:,.0f} requests/s"
        return f"<Throttle {rate}>"

    @property
    def rate(self) -> float | None:
        """Requests a second that are let through; None: all."""
        return None if self._allowance is None else self._allowance.rate

    def wait(self, now: float) -> float:
        """Seconds until a request may be sent; 0.0: at once."""
        allowance = self._allowance
        return 0.0 if allowance is None else allowance.wait(now)

    def room(self, now: float) -> int | None:
        """How many requests may be sent now, for those who send batches; None: any number."""
        allowance = self._allowance
        return None if allowance is None else allowance.room(now)

    def on_sent(self, now: float, count: int = 1) -> None:
        with self._lock:
            if now - self._sent_at >= IDLE_SECONDS:
                self._begin_window(now)
                self._before = 0.0
            self._sent_at = now
            self._sent += count
            if self._allowance is not None:
                self._allowance.spend(now, count)

    def on_done(self, now: float, count: int = 1) -> None:
        """`count` requests were accepted: answered, with whatever status but throttling."""
        with self._lock:
            self._accepted += count
            if now - self._window >= WINDOW_SECONDS:
                self._before = self._accepted / (now - self._window)
                self._begin_window(now)
            if self._allowance is not None and now - self._grown_at >= 0.05:
                self._grow(now, self._allowance)

    def on_throttled(self, now: float, sent_at: float) -> bool:
        """A request sent at `sent_at` was refused by 503 or 429.

        Returns:
            Whether this cut the rate: one burst of refusals, to what was sent before the cut, counts once.
        """
        with self._lock:
            allowance = self._allowance
            if allowance is not None and sent_at <= self._cut_at:
                return False
            accepted = self._accepted_rate(now)
            met = accepted if allowance is None else min(allowance.rate, max(accepted, allowance.rate * CUT))
            again = allowance is not None and abs(met - self._ceiling) < SAME * self._ceiling
            self._plateau = min(PLATEAU_MAX, self._plateau * 2) if again else PLATEAU_SECONDS
            self._ceiling = met
            self._cut_at = self._grown_at = now
            if allowance is None:
                self._allowance = TokenBucket(max(1.0, met * CUT), now)
            else:
                allowance.set_rate(now, max(1.0, met * CUT))
            return True

    def _accepted_rate(self, now: float) -> float:
        length = now - self._window
        if self._accepted and length >= WINDOW_MIN:
            return self._accepted / length
        # Too early to know: at the very start even what was sent is a better guess than what has been answered.
        return self._before or self._sent / max(length, WINDOW_MIN)

    def _begin_window(self, now: float) -> None:
        self._accepted = self._sent = 0
        self._window = now

    def _grow(self, now: float, allowance: TokenBucket) -> None:
        since = now - self._cut_at - FREEZE_SECONDS
        step = now - self._grown_at
        self._grown_at = now
        if since <= 0:
            return
        beyond = since - RECOVERY_SECONDS - self._plateau
        if beyond < 0:
            plateau = PLATEAU * self._ceiling
            rate = min(plateau, allowance.rate + step / RECOVERY_SECONDS * (PLATEAU - CUT) * self._ceiling)
            rate = max(rate, allowance.rate)
        else:
            rate = allowance.rate + step * CREEP * max(CREEP_BASE, self._ceiling) * 2.0 ** min(10.0, beyond)
        if rate > FORGET * max(CREEP_BASE, self._ceiling, self._before):
            self._allowance = None
        else:
            allowance.set_rate(now, rate)
