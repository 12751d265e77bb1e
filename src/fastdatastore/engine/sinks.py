"""Where a download lands: recycled memory, the caller's memory, or a file when memory is short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fastdatastore.engine.bytesview import bytes_of
from fastdatastore.engine.ceiling import Held, ResultMemory
from fastdatastore.engine.files import FileSink
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Sink(Protocol):
    """Where one object's bytes go. `in_place`: targets of any length are the final place, nothing is staged."""

    in_place: bool

    def open(self, size: int) -> None: ...

    def target(self, offset: int, length: int) -> Buffer: ...

    def landed(self, offset: int, target: Buffer, length: int) -> None: ...

    def take(self, content: bytes) -> None:
        """The whole object, when it came with its head."""

    def close(self, ok: bool) -> memoryview:
        """The result is whole and verified, or is to leave no trace. Returns its bytes if they are in our memory."""


class MemorySink:
    """A whole object in one region of recycled memory; the result is a read-only view of it."""

    in_place = True

    def __init__(self, pool: _native.BufferPool) -> None:
        self._pool = pool
        self._view = memoryview(b"")

    def open(self, size: int) -> None:
        self._view = memoryview(self._pool.take(size)) if size else memoryview(b"")

    def target(self, offset: int, length: int) -> Buffer:
        return self._view[offset : offset + length]

    def landed(self, offset: int, target: Buffer, length: int) -> None:
        """It is where it belongs already."""

    def take(self, content: bytes) -> None:
        self._view = memoryview(content)

    def close(self, ok: bool) -> memoryview:
        view = self._view.toreadonly()
        self._view = memoryview(b"")
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

    def open(self, size: int) -> None:
        if size > self._view.nbytes:
            raise ConfigurationError(
                f"the buffer has {self._view.nbytes:,} bytes and {size:,} are to go there; give a larger one, or ask "
                "for a range (S3GetObject)"
            )

    def target(self, offset: int, length: int) -> Buffer:
        return self._view[offset : offset + length]

    def landed(self, offset: int, target: Buffer, length: int) -> None:
        """It is where it belongs already."""

    def take(self, content: bytes) -> None:
        self.open(len(content))
        self._view[: len(content)] = content

    def close(self, ok: bool) -> memoryview:
        self._view = memoryview(b"")
        return self._view


class SpillSink:
    """Memory while there is room below the ceiling, then a file at the path that `make_path` gives.

    Attributes:
        path: The file; None while the result is in memory.
        held: The result's share of the ceiling; None for a file.
    """

    __slots__ = ("_ceiling", "_chosen", "_make_path", "_memory", "_pool", "held", "in_place", "path")

    def __init__(
        self, pool: _native.BufferPool, memory: ResultMemory, ceiling: int, make_path: Callable[[], Path]
    ) -> None:
        self.in_place = True
        self.path: Path | None = None
        self.held: Held | None = None
        self._pool = pool
        self._memory = memory
        self._ceiling = ceiling
        self._make_path = make_path
        self._chosen: Sink | None = None

    def _choose(self, size: int) -> Sink:
        self.held = self._memory.take(size, self._ceiling)
        if self.held is not None:
            self._chosen = MemorySink(self._pool)
        else:
            self.path = self._make_path()
            self._chosen = FileSink(self._pool, self.path)
            self.in_place = False
        return self._chosen

    def open(self, size: int) -> None:
        self._choose(size).open(size)

    def target(self, offset: int, length: int) -> Buffer:
        assert self._chosen is not None
        return self._chosen.target(offset, length)

    def landed(self, offset: int, target: Buffer, length: int) -> None:
        assert self._chosen is not None
        self._chosen.landed(offset, target, length)

    def take(self, content: bytes) -> None:
        self._choose(len(content)).take(content)

    def close(self, ok: bool) -> memoryview:
        if not ok:
            self.held = None
        return memoryview(b"") if self._chosen is None else self._chosen.close(ok)
