"""Where a download lands: recycled memory, the caller's memory, or a file when memory is short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fastdatastore.engine.bytesview import bytes_of, cut, places_of
from fastdatastore.engine.ceiling import Held
from fastdatastore.engine.files import FileSink
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.tickets import Tickets, reserve
from fastdatastore.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from fastdatastore.engine.bytesview import Buffers


class Sink(Protocol):
    """Where one object's bytes go. `in_place`: targets of any length are the final place, nothing is staged."""

    in_place: bool

    def need(self, size: int, length: int) -> int:
        """Bytes of the pool that the next target of `length` bytes takes, of an object of `size` bytes.

        To open it, where it is not open yet, included.
        """

    def open(self, size: int) -> None: ...

    def target(self, offset: int, length: int) -> Buffers: ...

    def landed(self, offset: int, target: Buffers, length: int) -> None: ...

    def take(self, content: bytes) -> None:
        """The whole object, when it came with its head."""

    def close(self, ok: bool) -> memoryview:
        """The result is whole and verified, or is to leave no trace. Returns its bytes if they are in our memory."""


class MemorySink:
    """A whole object in one region of recycled memory; the result is a read-only view of it."""

    in_place = True

    def __init__(self, pool: _native.BufferPool) -> None:
        self._pool = pool
        self._region: _native.Region | None = None
        self._view = memoryview(b"")

    def need(self, size: int, length: int) -> int:
        return size if self._region is None else 0

    def open(self, size: int) -> None:
        self._region = self._pool.take(size)
        self._view = memoryview(self._region)

    def hand_over(self) -> None:
        """It counts as a result from now on, not as memory in flight."""
        if self._region is not None:
            self._pool.hand_over(self._region)

    def target(self, offset: int, length: int) -> Buffer:
        return self._view[offset : offset + length]

    def landed(self, offset: int, target: Buffers, length: int) -> None:
        """It is where it belongs already."""

    def take(self, content: bytes) -> None:
        self._view = memoryview(content)

    def close(self, ok: bool) -> memoryview:
        view = self._view.toreadonly()
        if ok:
            self.hand_over()
        self._region, self._view = None, memoryview(b"")
        return view if ok else memoryview(b"")


class BufferSink:
    """The caller's own memory, from its start; it may be larger than the object. Let go of by close().

    Raises:
        ConfigurationError: It is read-only, not contiguous, or no buffer; on open: smaller than the object.
    """

    in_place = True

    def __init__(self, buffer: Buffer) -> None:
        self._view = bytes_of(buffer)
        if self._view.readonly:
            raise ConfigurationError(f"a {type(buffer).__name__} that is read-only cannot be downloaded into")

    def need(self, size: int, length: int) -> int:
        return 0

    def open(self, size: int) -> None:
        if size > self._view.nbytes:
            raise ConfigurationError(
                f"the buffer has {self._view.nbytes:,} bytes and {size:,} are to go there; give a larger one, or ask "
                "for a range (S3GetObject)"
            )

    def target(self, offset: int, length: int) -> Buffer:
        return self._view[offset : offset + length]

    def landed(self, offset: int, target: Buffers, length: int) -> None:
        """It is where it belongs already."""

    def take(self, content: bytes) -> None:
        self.open(len(content))
        self._view[: len(content)] = content

    def close(self, ok: bool) -> memoryview:
        self._view = memoryview(b"")
        return self._view


class PlacesSink:
    """Several buffers, filled one behind the other; `place` gives them when the size is known. Let go of by close().

    Raises:
        ConfigurationError: On open: together they have not that size, or one cannot be written to.
    """

    in_place = True

    def __init__(self, place: Callable[[int], tuple[Buffer, ...]]) -> None:
        self._place = place
        self._views: tuple[memoryview, ...] = ()

    def need(self, size: int, length: int) -> int:
        return 0

    def open(self, size: int) -> None:
        self._views = places_of(self._place(size), size)

    def target(self, offset: int, length: int) -> Buffers:
        return cut(self._views, offset, length)

    def landed(self, offset: int, target: Buffers, length: int) -> None:
        """It is where it belongs already."""

    def take(self, content: bytes) -> None:
        self.open(len(content))
        left = memoryview(content)
        for view in self._views:
            view[:] = left[: view.nbytes]
            left = left[view.nbytes :]

    def close(self, ok: bool) -> memoryview:
        self._views = ()
        return memoryview(b"")


class SpillSink:
    """Memory while there is room below the ceiling, then a file at the path that `make_path` gives.

    Attributes:
        path: The file; None while the result is in memory.
        held: The result's share of the ceiling; None for a file.
    """

    __slots__ = ("_chosen", "_make_path", "_most", "_tickets", "held", "in_place", "path")

    def __init__(self, tickets: Tickets, ceiling: int, make_path: Callable[[], Path]) -> None:
        self.in_place = True
        self.path: Path | None = None
        self.held: Held | None = None
        self._tickets = tickets
        self._most = ceiling - reserve(ceiling)
        self._make_path = make_path
        self._chosen: Sink | None = None

    def need(self, size: int, length: int) -> int:
        if self._chosen is None:  # what goes to memory is counted as a result from the start
            return 0 if self._tickets.results.held + size <= self._most else length
        return 0 if self.in_place else length

    def _choose(self, size: int) -> Sink:
        self.held = self._tickets.results.take(size, self._most)
        if self.held is not None:
            self._chosen = MemorySink(self._tickets.pool)
        else:
            self.path = self._make_path()
            self._chosen = FileSink(self._tickets.pool, self.path)
            self.in_place = False
        return self._chosen

    def open(self, size: int) -> None:
        chosen = self._choose(size)
        chosen.open(size)
        if isinstance(chosen, MemorySink):
            chosen.hand_over()

    def target(self, offset: int, length: int) -> Buffers:
        assert self._chosen is not None
        return self._chosen.target(offset, length)

    def landed(self, offset: int, target: Buffers, length: int) -> None:
        assert self._chosen is not None
        self._chosen.landed(offset, target, length)

    def take(self, content: bytes) -> None:
        self._choose(len(content)).take(content)

    def close(self, ok: bool) -> memoryview:
        if not ok:
            self.held = None
        return memoryview(b"") if self._chosen is None else self._chosen.close(ok)
