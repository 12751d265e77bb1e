"""A fault proxy: stands before any S3 server and makes things go wrong, at the byte that you say.

    from fastdatastore.testing.faults import FaultProxy, Reset

    with FaultProxy(server.url) as proxy:
        proxy.add(Reset(at=1_000_000, operation="GetObject", times=1))
        ...  # a client with endpoint_url=proxy.url
        print(proxy.log)

It needs nothing but the standard library. `docs/faults.md` lists the faults.
"""

from __future__ import annotations

from . import answers
from .fault import (
    Answer,
    Bandwidth,
    ChangeHeaders,
    CloseAfter,
    Corrupt,
    ExtraBytes,
    Fault,
    Fin,
    Latency,
    RawAnswer,
    Reframe,
    Reset,
    Slicer,
    Stall,
    SwallowReply,
)
from .operation import OPERATIONS
from .proxy import FaultProxy
from .record import Passed

__all__ = [
    "OPERATIONS",
    "Answer",
    "Bandwidth",
    "ChangeHeaders",
    "CloseAfter",
    "Corrupt",
    "ExtraBytes",
    "Fault",
    "FaultProxy",
    "Fin",
    "Latency",
    "Passed",
    "RawAnswer",
    "Reframe",
    "Reset",
    "Slicer",
    "Stall",
    "SwallowReply",
    "answers",
]
