"""The bytes behind whatever exports a buffer."""

from __future__ import annotations

from pickle import PickleBuffer
from typing import TYPE_CHECKING

from fastdatastore.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Buffer


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
