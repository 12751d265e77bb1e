"""Locks that survive a fork: in the child every one of them is free.

The thread that held a lock while another one forked does not exist in the child; nobody would ever let go of it there.
So what such a lock guards must make sense at every moment (counters, references that are replaced as a whole), or the
child must throw it away: it may find it half changed.
"""

from __future__ import annotations

import os
import threading
from typing import Any
from weakref import WeakSet

_locks: WeakSet[Any] = WeakSet()


def lock() -> threading.Lock:
    """A new threading.Lock that is free in a forked child, whoever holds it in the parent."""
    made = threading.Lock()
    _locks.add(made)
    return made


def rlock() -> threading.RLock:
    """The same, for what a finalizer takes as well: the collector may run it in the thread that holds the lock."""
    made = threading.RLock()
    _locks.add(made)
    return made


def _free_all() -> None:
    for each in list(_locks):
        # As threading and logging do with theirs: a plain release() is not enough where a lock is a mutex.
        each._at_fork_reinit()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_free_all)
