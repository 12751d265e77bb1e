"""The real put, many at once, while garbage is collected again and again: an hour of the store is six seconds here."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastdatastore.errors import LeaseExpired
from fastdatastore.store.backends.base import Entry, Existence, Found, Watch
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.collection.gc import gc
from fastdatastore.store.collection.lease import Lease
from fastdatastore.store.collection.timing import LEAST_GRACE
from fastdatastore.store.delete import delete
from fastdatastore.store.put.many import put_many
from fastdatastore.store.verify import verify

SPEED = 600.0
SECONDS = 90.0
_BEGAN = time.time()
_PARTS = [np.random.default_rng(part).random(150_000) for part in range(6)]  # 1.2 MB each, so a chunk each


def _fast(moment: float) -> float:
    return _BEGAN + (moment - _BEGAN) * SPEED


class FastBackend(LocalBackend):
    """On whose disk time flies."""

    def found(self, names: Iterable[str], watch: Watch = None) -> Generator[tuple[str, Existence], None, None]:
        for name, found in super().found(names, watch):
            yield name, replace(found, age=found.age * SPEED) if isinstance(found, Found) else found

    def list(self, prefix: str, watch: Watch = None) -> Generator[Entry, None, None]:
        return (replace(entry, modified=_fast(entry.modified)) for entry in super().list(prefix, watch))

    def now(self, watch: Watch = None) -> float:
        return _fast(super().now(watch))


class FastClock:
    """And here."""

    def now(self) -> float:
        return time.monotonic() * SPEED

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / SPEED)


@pytest.mark.long
def test_puts_and_deletes_while_garbage_is_collected(tmp_path: Path) -> None:
    backend = FastBackend(tmp_path / "store", durable=False)
    lease = Lease(backend, FastClock())
    end = time.monotonic() + SECONDS
    kept: dict[int, str] = {}  # each writer has objects of its own, which share chunks with those of the others
    errors: list[Exception] = []
    deleted = 0

    def made(number: int) -> dict[str, object]:
        return {"number": number, "one": _PARTS[number % 6], "other": _PARTS[number // 6 % 6]}

    def write(writer: int) -> None:
        chance = random.Random(writer)
        while time.monotonic() < end:
            numbers = [writer * 36 + chance.randrange(36) for _ in range(3)]
            for index, ref in put_many(backend, [made(number) for number in numbers], lease=lease):
                if isinstance(ref, LeaseExpired):
                    continue
                if isinstance(ref, Exception):
                    raise ref
                kept[numbers[index]] = ref
            for number in [n for n in list(kept) if n // 36 == writer and chance.random() < 0.5]:
                delete(backend, kept.pop(number), clock=FastClock())
            time.sleep(chance.choice((0, 1, 5)))

    def collect(runner: int) -> None:
        nonlocal deleted
        while time.monotonic() < end:
            deleted += gc(backend, grace=LEAST_GRACE, clock=FastClock()).deleted_chunks.count
            time.sleep(1 + runner)

    def guarded(work: Callable[[int], None], number: int) -> None:
        try:
            work(number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(write, number)) for number in range(3)]
    threads += [threading.Thread(target=guarded, args=(collect, number)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert list(verify(backend)) == []
    assert list(verify(backend, kept.values())) == []
    assert deleted > 0
