"""A token bucket, and the bandwidth cap (`max_gbps`) built of it. Time is a parameter: nothing here sleeps."""

from __future__ import annotations

from fastdatastore import forks

# A pause of the caller (another thread, a slow sink) of up to this long is made up for at full speed afterwards.
BURST_SECONDS = 0.05

# Bytes that a download of unknown size is taken for, until some have come: the most that come with their head.
FIRST_GUESS = 256 << 10
# How fast the guess follows: the weight of the newest size.
NEWEST = 0.1


class TokenBucket:
    """Admits what is to be spent at `rate` a second on average. Thread-safe.

    One may go into debt: whatever is asked for is admitted when nothing is owed, and the next waits until it is paid.
    So a part of any size passes, and the average is exact, which a bucket that must hold the whole amount first
    is not.

    Args:
        rate: Amount (bytes, requests) a second.
        now: Seconds of any monotonic clock, the same in all calls.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._paid_at = now  # when nothing is owed any more
        self._lock = forks.lock()

    def __repr__(self) -> str:
        return f"<TokenBucket {self._rate:,.1f}/s>"

    @property
    def rate(self) -> float:
        return self._rate

    def set_rate(self, now: float, rate: float) -> None:
        """Changes the rate; what is owed stays owed."""
        with self._lock:
            owed = max(0.0, self._paid_at - now) * self._rate
            self._paid_at = max(min(now, self._paid_at), now - BURST_SECONDS) + owed / rate
            self._rate = rate

    def wait(self, now: float) -> float:
        """Seconds until something may be sent; 0.0: at once."""
        return max(0.0, self._paid_at - now)

    def room(self, now: float) -> int:
        """How many units may be spent at once now; at least 1 when wait() is 0."""
        ahead = now - self._paid_at
        return 0 if ahead < 0 else int(min(ahead, BURST_SECONDS) * self._rate) + 1

    def spend(self, now: float, amount: float) -> None:
        """Counts `amount` as sent; below 0: so much of what was counted has not been."""
        with self._lock:
            self._paid_at = max(self._paid_at, now - BURST_SECONDS) + amount / self._rate


class Pacer:
    """The bandwidth cap of a client, over all its threads; without a cap it costs nothing.

    Args:
        max_gbps: Gbit/s (10⁹ bits) of payload, up and down together; None: no cap.
        now: Seconds of any monotonic clock, the same in all calls.
    """

    def __init__(self, max_gbps: float | None, now: float) -> None:
        self._bucket = None if max_gbps is None else TokenBucket(max_gbps * 1e9 / 8, now)
        self._guess = float(FIRST_GUESS)

    def __repr__(self) -> str:
        return f"<Pacer {'no cap' if self._bucket is None else f'{self._bucket.rate * 8 / 1e9:g} Gbit/s'}>"

    @property
    def is_capped(self) -> bool:
        """There is a cap, so bytes are worth counting."""
        return self._bucket is not None

    def wait(self, now: float) -> float:
        """Seconds until the next request may be sent; 0.0: at once."""
        return 0.0 if self._bucket is None else self._bucket.wait(now)

    def spend(self, now: float, nbytes: int) -> None:
        """Counts bytes: what is known, or guessed, when a request is submitted; when it has ended, the difference."""
        if self._bucket is not None:
            self._bucket.spend(now, nbytes)

    @property
    def guess(self) -> int:
        """Bytes that a download whose size only its reply tells will bring: the mean of the last ones."""
        return round(self._guess)

    def on_size(self, nbytes: int) -> None:
        """So many came of a download whose size was not known."""
        self._guess += (nbytes - self._guess) * NEWEST
