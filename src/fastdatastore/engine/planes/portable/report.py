"""What became of one attempt, or its head so far."""

from __future__ import annotations

from typing import NamedTuple, final


@final
class Report(NamedTuple):
    """See the native module's: the fields are the same."""

    tag: object
    paused: bool
    outcome: int
    status: int
    headers: dict[str, str]
    content_length: int | None
    content: bytes
    sent: int
    landed: int
    crc: int
    reused: bool
    waited: float
    first_byte: float
    took: float
    peer: str
    why: str
