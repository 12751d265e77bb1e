"""What can go wrong between a client and its server: one frozen dataclass for each way.

A fault says what happens and, by the fields of `Fault`, to which requests. `at` is an offset in the body, in bytes; a
`range` of offsets takes one at random for each request; None is before the first byte of the head.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .operation import OPERATIONS

__all__ = [
    "Answer",
    "At",
    "Bandwidth",
    "ChangeHeaders",
    "CloseAfter",
    "Corrupt",
    "Direction",
    "ExtraBytes",
    "Fault",
    "Fin",
    "Latency",
    "RawAnswer",
    "Reframe",
    "Reset",
    "Slicer",
    "Stall",
    "SwallowReply",
]

Direction: TypeAlias = Literal["request", "response"]
At: TypeAlias = "int | range | None"
_DIRECTIONS = ("request", "response")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Base of all faults: which requests it strikes. Without any of these, every one.

    Attributes:
        method: "GET", "PUT", …
        operation: S3's name, such as "UploadPart"; one of `OPERATIONS`.
        key: A regular expression that is found in the (decoded) key.
        nth: Of the requests that match so far, only the n-th, or these (counted from 1).
        probability: How likely one that matches is struck, 0.0 to 1.0.
        times: How many are struck at most; a fault that struck at an offset which the body did not reach counts too.
        seed: Of the chances in this fault; the same requests in the same order meet the same fate.
    """

    method: str | None = None
    operation: str | None = None
    key: str | None = None
    nth: int | tuple[int, ...] | range | None = None
    probability: float = 1.0
    times: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.operation is not None and self.operation not in OPERATIONS:
            raise ValueError(f"no operation is called {self.operation!r}; there are: {', '.join(sorted(OPERATIONS))}")
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"probability must be between 0.0 and 1.0, got {self.probability!r}")
        if self.key is not None:
            re.compile(self.key)
        direction = getattr(self, "direction", "response")
        if direction not in _DIRECTIONS:
            raise ValueError(f'direction must be "request" or "response", got {direction!r}')
        at = getattr(self, "at", None)
        if isinstance(at, range) and not at:
            raise ValueError(f"at must be an offset or a range that holds one, got {at!r}")


@dataclass(frozen=True)
class Latency(Fault):
    """Waits `seconds` ± up to `jitter` before the head goes on."""

    seconds: float
    jitter: float = 0.0
    direction: Direction = "response"


@dataclass(frozen=True)
class Bandwidth(Fault):
    """Lets `bytes_per_second` of head and body through."""

    bytes_per_second: float
    direction: Direction = "response"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bytes_per_second <= 0:
            raise ValueError(f"bytes_per_second must be positive, got {self.bytes_per_second!r}; to stop, use Stall")


@dataclass(frozen=True)
class Slicer(Fault):
    """Sends head and body in segments of `size` bytes, `delay` seconds apart."""

    size: int = 1
    delay: float = 0.0
    direction: Direction = "response"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < 1:
            raise ValueError(f"size must be at least 1 byte, got {self.size!r}")


@dataclass(frozen=True)
class Stall(Fault):
    """Stops forwarding at an offset: for `seconds`, or (None) for ever; the connection stays open."""

    at: At = 0
    seconds: float | None = None
    direction: Direction = "response"


@dataclass(frozen=True)
class Reset(Fault):
    """Breaks the connection by RST at an offset, on both sides."""

    at: At = None
    direction: Direction = "response"


@dataclass(frozen=True)
class Fin(Fault):
    """Closes the connection in order at an offset, on both sides: a body that is too short."""

    at: At = None
    direction: Direction = "response"


@dataclass(frozen=True)
class Corrupt(Fault):
    """Turns one bit (0 to 7) of the byte at an offset of the body."""

    at: int | range = 0
    bit: int = 0
    direction: Direction = "response"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bit not in range(8):
            raise ValueError(f"bit must be 0 to 7, got {self.bit!r}")


@dataclass(frozen=True)
class ExtraBytes(Fault):
    """Sends more than was announced; the connection stays open."""

    data: bytes = b"and then some"


@dataclass(frozen=True)
class ChangeHeaders(Fault):
    """Drops headers (whatever their case) and puts others in their place or anew."""

    put: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    direction: Direction = "response"


@dataclass(frozen=True)
class Reframe(Fault):
    """Sends the body without a Content-Length: "chunked", or until the connection is closed ("close")."""

    to: Literal["chunked", "close"] = "chunked"


@dataclass(frozen=True)
class CloseAfter(Fault):
    """Closes the connection after the reply, unannounced, when no request has come for `seconds`.

    Attributes:
        how: "fin", "reset", or "half": our side is closed, and what the client still sends is swallowed.
    """

    seconds: float = 0.0
    how: Literal["fin", "reset", "half"] = "fin"


@dataclass(frozen=True)
class SwallowReply(Fault):
    """The server does what it was asked, and the client never hears: the connection breaks, or hangs ("stall")."""

    how: Literal["fin", "reset", "stall"] = "reset"


@dataclass(frozen=True)
class Answer(Fault):
    """Answers in the server's place.

    Attributes:
        headers: Beside Content-Length and Date.
        date_offset: Seconds by which the Date differs from the present.
        forwarded: The server gets the request and does it; only its reply is replaced.
        at_once: Before the request's body was read; the connection is closed then.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    date_offset: float = 0.0
    forwarded: bool = False
    at_once: bool = False


@dataclass(frozen=True)
class RawAnswer(Fault):
    """Sends these bytes in the server's place, and closes."""

    data: bytes
