"""Puts objects into a directory until it is killed, and prints each ref; run by test_killed_put.py."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.collection.lease import Lease
from fastdatastore.store.put.many import put_many


def objects(rng: random.Random) -> Iterator[object]:
    """Many share their chunks, so that what was killed is found again."""
    noise = np.random.default_rng(5).integers(0, 1 << 63, 3 << 20, dtype=np.int64)
    while True:
        yield {"number": rng.random()}
        yield noise[: rng.randrange(1 << 17, len(noise))]
        yield [noise[: rng.randrange(1 << 17)], "text" * rng.randrange(1 << 18)]


def main(root: Path, seed: int) -> None:
    backend = LocalBackend(root, durable=False)
    for _, stored in put_many(backend, objects(random.Random(seed)), lease=Lease(backend), compression=1):
        print(stored, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
