"""The bytes behind whatever exports a buffer, and behind several of them taken for one."""

from __future__ import annotations

from pickle import PickleBuffer
from typing import TYPE_CHECKING, TypeAlias

from fastdatastore.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    Buffers: TypeAlias = Buffer | tuple[Buffer, ...]


def bytes_of(data: Buffer) -> memoryview:
    """A flat view of the bytes of a C-contiguous buffer, of any item format and shape; nothing is copied.

    Raises:
        ConfigurationError: It is not contiguous, or no buffer.
    """
    kind = type(data).__name__
    try:
        contiguous = memoryview(data).c_contiguous
    except (TypeError, ValueError, BufferError) as error:  # BufferError: PyTorch's, NumPy's for some of its types
        raise ConfigurationError(f"a {kind} gives no bytes ({error}); give a bytes-like object") from None
    if not contiguous:
        raise ConfigurationError(f"a {kind} must be C-contiguous; make it so by a copy")
    # PickleBuffer.raw() takes any item format and shape, but not a memoryview: that pair, met by the garbage collector
    # in a cycle, crashes CPython 3.11 and 3.12 ("memoryview has 1 exported buffer").
    if not isinstance(data, memoryview):
        return PickleBuffer(data).raw()
    if data.nbytes == 0:  # cast() takes no zero in a shape
        return memoryview(b"" if data.readonly else bytearray())
    try:
        return data.cast("B")
    except TypeError:
        raise ConfigurationError(
            f"a memoryview of items {data.format!r} cannot be taken as bytes; give the object behind it"
        ) from None


def pieces_of(buffers: Buffers) -> tuple[memoryview, ...]:
    """Views of the bytes of one or several buffers, the empty ones left out.

    Raises:
        ConfigurationError: As for bytes_of.
    """
    several = buffers if isinstance(buffers, tuple) else (buffers,)
    return tuple(view for view in map(bytes_of, several) if view.nbytes)


def places_of(buffers: Buffers, size: int) -> tuple[memoryview, ...]:
    """Views of the writable buffers that `size` bytes are to fill.

    Raises:
        ConfigurationError: They have another size, one is read-only, or as for bytes_of.
    """
    views = pieces_of(buffers)
    if any(view.readonly for view in views):
        raise ConfigurationError("bytes cannot be received into a read-only buffer; give writable ones")
    if (room := size_of(views)) != size:
        raise ConfigurationError(f"the buffers have {room:,} bytes where {size:,} are to go; give as many")
    return views


def size_of(buffers: Buffers) -> int:
    """Bytes of one or several buffers."""
    if isinstance(buffers, tuple):
        return sum(memoryview(each).nbytes for each in buffers)
    return memoryview(buffers).nbytes


def cut(views: tuple[memoryview, ...], offset: int, length: int) -> tuple[memoryview, ...]:
    """`length` bytes from `offset` of what the flat `views` are together; nothing is copied."""
    found = []
    for view in views:
        if offset < view.nbytes and length:
            found.append(view[offset : offset + length])
            length -= found[-1].nbytes
        offset = max(0, offset - view.nbytes)
    return tuple(found)
