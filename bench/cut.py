"""How fast the chunker is: `python -m bench.cut`. GB/s of one core, of all bytes, the best of five."""

from __future__ import annotations

import os
import time

from fastdatastore.store.chunking import FDS_1, Chunking, cut

SIZE = 512 << 20


def rate(data: memoryview, chunking: Chunking) -> float:
    """GB per second of this thread's CPU time, which a busy machine disturbs less than the clock's."""
    best = float("inf")
    for _ in range(5):
        start = time.thread_time()
        cut(data, 8, chunking)
        best = min(best, time.thread_time() - start)
    return len(data) / best / 1e9


def main() -> None:
    noise = memoryview(os.urandom(SIZE))
    constant = memoryview(b"\7" * SIZE)
    print(f"random bytes                          {rate(noise, FDS_1):5.1f} GB/s")
    print(f"one value: every chunk the longest    {rate(constant, FDS_1):5.1f} GB/s")
    print(f"the scan alone: no byte is skipped    {rate(noise, Chunking(64, SIZE, 64)):5.1f} GB/s")


if __name__ == "__main__":
    main()
