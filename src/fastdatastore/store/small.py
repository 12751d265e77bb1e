"""One small object, read or written: what is not worth a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdatastore.errors import FormatError
from fastdatastore.store.backends.base import Backend, Read, Write

if TYPE_CHECKING:
    from typing_extensions import Buffer


def read(backend: Backend, name: str, most: int) -> tuple[bytes, str]:
    """Its bytes and its etag.

    Args:
        most: Bytes that it may have.

    Raises:
        NotFound: It is not there.
        FormatError: It has more bytes than `most`; they were not read.
    """
    content = bytearray()

    def place(size: int) -> tuple[Buffer, ...]:
        if size > most:
            raise FormatError(f"it has {size} bytes; the most is {most}", place=name)
        content.extend(bytes(size))
        return (content,)

    (item,) = backend.read([Read(name, place)])
    if item.error is not None:
        raise item.error
    return bytes(content), item.etag


def write(backend: Backend, name: str, *pieces: Buffer, over: str | None = None) -> str:
    """Stores it; its etag.

    Args:
        over: The etag of the object that it may replace; "": there must be none; None: whatever is there.

    Raises:
        Modified: It is not as `over` says.
        FastDatastoreError: It is not stored, for all we know: it may be all the same.
    """
    (item,) = backend.write([Write(name, pieces, if_none_match=over == "", if_match=over or None)])
    if item.error is not None:
        raise item.error
    return item.etag
