"""One measurement, in a fresh process, in the rival's own environment: `python -m bench.artifacts.worker`.

Speaks as bench.peers.worker does; after its result it hears "check", and compares what came back with what was put.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, TypeVar

from bench.artifacts.objects import Objects, nbytes, same
from bench.artifacts.rival import Rival
from bench.peers.gauges import cpu_seconds, forget_peak, peak_rss_bytes, rss_bytes

T = TypeVar("T")


def main() -> None:
    order = json.loads(sys.stdin.readline())
    replies = os.fdopen(os.dup(1), "w")  # a rival that prints must not be taken for us
    os.dup2(2, 1)
    objects = Objects(**order["objects"])
    module = importlib.import_module(f"bench.artifacts.rivals.{order['rival']}")
    rival: Rival = module.Store(order["options"], Path(order["directory"]))
    if order["verb"] == "get":
        _get(rival, objects, order["names"], order["fresh"], replies)
    else:
        _put(rival, objects, replies)
    replies.close()
    os._exit(0)  # how long it takes to close is not the subject


def _put(rival: Rival, objects: Objects, replies: TextIO) -> None:
    rival.put(objects.warm_up().make())
    made = objects.make()
    before = rss_bytes()
    names, taken = _timed(replies, rival, lambda: rival.put(made))
    _reply(replies, {"sample": _sample(taken, before, nbytes(made)), "names": names})
    if _is_to_check():
        _reply(replies, {"same": same(rival.get(names), made)})


def _get(rival: Rival, objects: Objects, names: list[str], fresh: bool, replies: TextIO) -> None:
    before = rss_bytes()
    rival.get(names)
    if fresh:
        rival.freshen()
    got, taken = _timed(replies, rival, lambda: rival.get(names))
    size = nbytes(got)
    _reply(replies, {"sample": _sample(taken, before + size, size), "names": names})
    if _is_to_check():
        _reply(replies, {"same": same(got, objects.make())})


def _timed(replies: TextIO, rival: Rival, work: Callable[[], list[T]]) -> tuple[list[T], dict[str, float]]:
    """Does the work when told to; what it gave, and what it took."""
    forget_peak()
    _reply(replies, {"ready": rival.version})
    if sys.stdin.readline() != "go\n":
        raise SystemExit("it was not told to go")
    before, started = cpu_seconds(), time.monotonic()
    result = work()
    seconds, after = time.monotonic() - started, cpu_seconds()
    return result, {
        "seconds": seconds,
        "user_seconds": after[0] - before[0],
        "system_seconds": after[1] - before[1],
        "peak_rss_bytes": peak_rss_bytes(),
    }


def _sample(taken: dict[str, float], expected: int, size: int) -> dict[str, float]:
    """What is reported.

    Args:
        expected: Bytes of this process with nothing but the object beside what it had when it began.
        size: Bytes of the object.
    """
    extra = max(0, taken.pop("peak_rss_bytes") - expected)
    return {**taken, "object_bytes": size, "extra_bytes": extra}


def _is_to_check() -> bool:
    """Whether what comes back is to be compared with what was put."""
    return sys.stdin.readline() == "check\n"


def _reply(replies: TextIO, message: dict[str, object]) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
