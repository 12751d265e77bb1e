"""A process that forks children, each of which puts, tags, deletes and collects until it is killed.

    python doomed.py URL

For each line that it reads, a number, it forks one and prints its id; the next line is read when that is dead.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import traceback
from typing import Any

import numpy as np

from fastdatastore import ArtifactStore
from fastdatastore.errors import ArtifactTagged, TagConflict

KINDS = 30
_PARTS = [np.random.default_rng(part).random(150_000) for part in range(6)]  # 1.2 MB each, so a chunk each


def made(number: int) -> dict[str, Any]:
    """One of the objects; each shares its arrays with others."""
    return {"number": number, "one": _PARTS[number % 6], "other": _PARTS[number // 6], "small": f"text {number}"}


def live(url: str, seed: int) -> None:
    """Until it is killed."""
    chance = random.Random(seed)
    store = ArtifactStore(url, durable=False) if url.startswith("file:") else ArtifactStore(url)
    store.gc(exclusive=True)  # the one before may have died while it swept
    while True:
        match chance.choice(("put", "many", "tag", "tag", "untag", "delete", "gc", "untagged")):
            case "put":
                store.put(made(chance.randrange(KINDS)))
            case "many":
                store.put_many(made(chance.randrange(KINDS)) for _ in range(4))
            case "tag":
                ref = store.put(made(chance.randrange(KINDS)))
                with contextlib.suppress(TagConflict):  # one that was deleting it has been killed
                    store.tag(f"run/{chance.randrange(8)}", ref)
            case "untag":
                store.delete_tag(f"run/{chance.randrange(8)}")
            case "delete":
                with contextlib.suppress(ArtifactTagged):
                    store.delete(store.prepare(made(chance.randrange(KINDS))).ref)
            case "gc":
                store.gc(exclusive=True)
            case "untagged":
                store.gc(exclusive=True, untagged=True, older_than=0)


def main() -> None:
    """See the top of this file."""
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            try:
                live(sys.argv[1], int(line))
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
