"""The retry budget: how much trying again a client may do in all, so that a sick server is not beaten further."""

from __future__ import annotations

from fastdatastore import forks

# "Standard" mode of the AWS SDKs (AWS SDKs and Tools Reference Guide, "Retry behavior"; RetryQuota in
# botocore/retries/quota.py, TokenBucket in aws-smithy-runtime): 500 tokens, a retry takes 5, after a timeout 10. An
# attempt that succeeds gives back what its retry took, a request that needed no retry 1. (botocore from 1.43 on takes
# 14 for everything but throttling.)
CAPACITY = 500
RETRY_COST = 5
TIMEOUT_COST = 10
REFUND = 1

# The SDKs' capacity is meant for some ten requests in flight. One burst of 503 to a wide batch would empty it, so there
# is always room for this many retries of each request in flight.
ROUNDS = 4


class RetryBudget:
    """Tokens of one client, over all its threads. Thread-safe.

    When it is empty, a failure is final at once. It fills again by successes only: a server that answers nothing else
    but 503 is asked again as seldom as new requests come.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._tokens = capacity
        self._lock = forks.lock()

    def __repr__(self) -> str:
        return f"<RetryBudget [{self._tokens} of {self._capacity} tokens]>"

    @property
    def tokens(self) -> int:
        return self._tokens

    def widen(self, in_flight: int) -> None:
        """Makes room for `in_flight` requests at once; it never shrinks."""
        wanted = ROUNDS * RETRY_COST * in_flight
        if wanted > self._capacity:
            with self._lock:
                added = max(0, wanted - self._capacity)
                self._capacity += added
                self._tokens += added

    def take(self, timed_out: bool = False) -> int:
        """Pays for one retry.

        Returns:
            The tokens taken, to be given back when the retry succeeds; 0 when there are too few: do not try again.
        """
        cost = TIMEOUT_COST if timed_out else RETRY_COST
        with self._lock:
            if self._tokens < cost:
                return 0
            self._tokens -= cost
            return cost

    def give_back(self, tokens: int = REFUND) -> None:
        """After successes: REFUND for each request that needed no retry, or what take() returned for its last retry."""
        if self._tokens < self._capacity:  # nearly always false, and then without the lock
            with self._lock:
                self._tokens = min(self._capacity, self._tokens + tokens)
