"""One measurement, in a fresh process, in the client's own environment: `python -m bench.peers.worker`.

Reads an order (JSON) from stdin, gets ready, says so, waits for "go", does the work, and reports what the timed section
alone took of this process and of those that it started. bench/limit/limit.c speaks the same protocol.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from bench.peers.adapter import Adapter, Endpoint
from bench.peers.gauges import cpu_seconds, peak_rss_bytes
from bench.peers.work import BUCKET, LISTED, MIB, Work


def main() -> None:
    order = json.loads(sys.stdin.readline())
    replies = os.fdopen(os.dup(1), "w")  # a client that prints must not be taken for us
    os.dup2(2, 1)
    work = Work(**order["work"])
    directory = Path(order["directory"])
    module = importlib.import_module(f"bench.peers.adapters.{order['adapter']}")
    adapter: Adapter = module.Client(Endpoint.from_environment(), order["options"], directory)
    payload = _payload(work.size, directory if adapter.wants_files else None) if work.verb == "put" else None
    calls = [[key] for key in work.keys] if order["one_by_one"] else [work.keys]
    for _ in range(order["warm_passes"]):
        _do(adapter, work, calls, payload)
    if order["fresh"]:
        adapter.freshen()

    _reply(replies, {"ready": adapter.version})
    if sys.stdin.readline() != "go\n":
        return
    before, started = cpu_seconds(), time.monotonic()
    _do(adapter, work, calls, payload)
    seconds, after = time.monotonic() - started, cpu_seconds()
    _reply(
        replies,
        {
            "seconds": seconds,
            "user_seconds": after[0] - before[0],
            "system_seconds": after[1] - before[1],
            "peak_rss_bytes": peak_rss_bytes(),
        },
    )
    replies.close()
    os._exit(0)  # how long a client takes to close is not the subject, and some hang


def _do(adapter: Adapter, work: Work, calls: Sequence[Sequence[str]], payload: bytes | Path | None) -> None:
    if work.verb == "list":
        if (found := adapter.list_keys(BUCKET, LISTED)) != work.count:
            raise SystemExit(f"{found:,} keys were listed, not {work.count:,}")
        return
    for keys in calls:
        if payload is not None:
            adapter.store(BUCKET, keys, payload)
            continue
        received = adapter.fetch(BUCKET, keys, work.size)
        if received != len(keys) * work.size:
            raise SystemExit(f"{received:,} bytes were received, not {len(keys) * work.size:,}")


def _payload(size: int, directory: Path | None) -> bytes | Path:
    """Random bytes in memory that has been touched, or in a file (in pieces: its memory must not count)."""
    block = os.urandom(min(size, MIB))
    if directory is None:
        return block * (size // len(block))
    path = directory / "payload"
    with path.open("wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
    return path


def _reply(replies: TextIO, message: dict[str, object]) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
