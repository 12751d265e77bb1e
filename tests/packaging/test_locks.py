"""No lock of ours can be taken away by a fork."""

from __future__ import annotations

import re
from pathlib import Path

import fastdatastore

SOURCES = Path(fastdatastore.__file__).parent

# Held over the fork itself by os.register_at_fork, or of one call that does not go on in a child.
ELSEWHERE = {
    "forks.py",
    "engine/process.py",
    "engine/planes/portable/plane.py",
    "engine/planes/portable/completions.py",
    "store/collection/lease.py",
    "store/put/room.py",
    "store/workers.py",
}


def test_locks_are_made_by_forks() -> None:
    made = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if re.search(r"\b(Lock|RLock|Condition|Semaphore)\(\)", path.read_text()) and "testing" not in path.parts
    }
    assert made <= ELSEWHERE
