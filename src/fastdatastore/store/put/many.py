"""put_many: what the store's face calls."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing

from fastdatastore.config import Settings
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.cancel import NEVER, Cancel
from fastdatastore.store.collection.lease import Lease
from fastdatastore.store.compression import Setting
from fastdatastore.store.put.compressing import Compression
from fastdatastore.store.put.meter import Meter
from fastdatastore.store.put.pipeline import Pipeline
from fastdatastore.store.put.rates import rates_of
from fastdatastore.store.workers import Workers


def put_many(
    backend: Backend,
    objects: Iterable[object],
    *,
    lease: Lease,
    compression: Setting = "auto",
    memory: int | None = None,
    cancel: Cancel = NEVER,
) -> Generator[tuple[int, str | Exception], None, None]:
    """Stores objects; yields the index and the ref of each, or why it is not stored, in the order in which they end.

    The failure of one stops no other. What the caller's iterable raises ends the call, and so does who stops drawing:
    all threads have ended then, and nothing of the objects is touched any more.

    Args:
        objects: And those that have been prepared. Drawn as there is room, in the caller's thread; the memory of one
            must not change until its result is there, and is let go then.
        lease: Of this back end.
        compression: "auto", "none", or a level of zstd.
        memory: Bytes that may be held beside the objects themselves: pickles, gathered buffers, compressed bodies.
            None: half of the memory ceiling.
        cancel: Ends the call by Cancelled.

    Raises:
        ConfigurationError: `compression` is none.
        FastDatastoreError: The back end cannot be written to at all.
    """
    workers = Workers()
    how = Compression(compression, Meter(rates_of(backend)), workers.count)
    room = Settings().memory_ceiling // 2 if memory is None else memory
    stop = Cancel()
    with workers, lease.hold(stop) as hold:
        pipeline = Pipeline(backend, objects, hold, how, workers, memory=room, cancel=cancel, stop=stop)
        with closing(pipeline):
            yield from pipeline.run()
