"""An order for one attempt of one request, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastdatastore.engine.planes.portable.constants import CRC64NVME, NO_CRC
from fastdatastore.engine.planes.portable.endpoint import Credentials, Endpoint

if TYPE_CHECKING:
    from typing_extensions import Buffer

Pairs = tuple[tuple[str, str], ...]

_FIELDS = 16


@dataclass(frozen=True, slots=True)
class Order:
    """What to do; see Order in _native.pyi. Views are of bytes, one-dimensional.

    The tag is not part of it: frames and tracebacks of the network libraries keep orders alive.
    """

    endpoint: Endpoint
    credentials: Credentials | None
    method: str
    path: str
    query: Pairs
    headers: Pairs
    body: tuple[memoryview, ...]
    target: tuple[memoryview, ...]
    upload_crc: int
    download_crc: int
    sign_payload: bool
    pause_above: int
    content_max: int
    stall_timeout: float
    clock_offset: int

    @property
    def body_size(self) -> int:
        return sum(len(view) for view in self.body)


def read_order(order: Any) -> Order:
    """Reads the tuple that Queue.submit takes.

    Raises:
        TypeError, ValueError: It is not one.
        BufferError: The body or target is not contiguous, or the target not writable.
    """
    if not isinstance(order, tuple) or len(order) != _FIELDS:
        raise TypeError(f"an order is a tuple of {_FIELDS} items")
    _tag, endpoint, credentials, method, path, query, headers, body, target = order[:9]
    upload_crc, download_crc, sign_payload, pause_above, content_max, stall_timeout, clock_offset = order[9:]
    if not isinstance(endpoint, Endpoint) or not (credentials is None or isinstance(credentials, Credentials)):
        raise TypeError("an order has an Endpoint, Credentials or None, and tuples of pairs")
    if pause_above < 0 or content_max < 0:
        raise OverflowError("can't convert negative int to unsigned")
    return Order(
        endpoint,
        credentials,
        _text(method, "method"),
        _text(path, "path"),
        _pairs(query),
        _headers(headers),
        views_of(body),
        views_of(target, writable=True),
        check_crc(upload_crc),
        check_crc(download_crc),
        bool(sign_payload),
        int(pause_above),
        int(content_max),
        float(stall_timeout),
        int(clock_offset),
    )


def views_of(buffers: Buffer | tuple[Buffer, ...] | None, writable: bool = False) -> tuple[memoryview, ...]:
    """The bytes of none, one, or several buffers."""
    if buffers is None:
        return ()
    if not isinstance(buffers, tuple):
        buffers = (buffers,)
    views = []
    for buffer in buffers:
        view = memoryview(buffer)
        if writable and view.readonly:
            raise BufferError("the target is not writable")
        if not view.c_contiguous:
            raise BufferError("the buffer is not C-contiguous")
        views.append(view.cast("B") if view.nbytes else memoryview(b""))  # an empty one of some shapes has no cast
    return tuple(views)


def check_crc(algorithm: int) -> int:
    """Raises ValueError for what is neither an algorithm nor NO_CRC."""
    if not NO_CRC <= algorithm <= CRC64NVME:
        raise ValueError(f"not a CRC algorithm: {algorithm}")
    return algorithm


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str")
    value.encode()  # a lone surrogate cannot be sent
    return value


def _pairs(pairs: object) -> Pairs:
    if not isinstance(pairs, tuple):
        raise TypeError("an order has an Endpoint, Credentials or None, and tuples of pairs")
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError("query and headers must be tuples of (name, value)")
        _text(pair[0], "a name")
        _text(pair[1], "a value")
    return pairs


def _headers(pairs: object) -> Pairs:
    headers = _pairs(pairs)
    # A header that breaks the line could smuggle in a second one.
    if any(character in text for pair in headers for text in pair for character in "\r\n\0"):
        raise ValueError("a header must not contain a line break or NUL")
    return headers
