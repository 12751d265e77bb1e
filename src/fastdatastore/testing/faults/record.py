"""What passed through the proxy."""

from __future__ import annotations

from dataclasses import dataclass, field

from .fault import Fault
from .operation import Call

__all__ = ["Entry", "Passed"]


@dataclass(frozen=True)
class Passed:
    """One request and what became of it.

    Attributes:
        connection: Which of the client's connections, counted from 1.
        method, operation, bucket, key, range: Of the request, as in `Call`.
        status: That the client was sent; 0 without an answer.
        sent: Bytes of body that went on to the server.
        received: Bytes of body that went on to the client.
        faults: Those that took effect, in that order.
        open: It is still under way.
        broken: What ended it early, other than a fault: "" or such as "the client closed".
    """

    connection: int
    method: str
    operation: str
    bucket: str
    key: str
    range: str
    status: int
    sent: int
    received: int
    faults: tuple[Fault, ...]
    open: bool
    broken: str


@dataclass
class Entry:
    """A record that is being written; by the proxy's thread only."""

    connection: int
    call: Call
    status: int = 0
    sent: int = 0
    received: int = 0
    faults: list[Fault] = field(default_factory=list)
    open: bool = True
    broken: str = ""

    def struck(self, fault: Fault) -> None:
        if fault not in self.faults:
            self.faults.append(fault)

    def count_sent(self, count: int) -> None:
        self.sent += count

    def count_received(self, count: int) -> None:
        self.received += count

    def snapshot(self) -> Passed:
        call = self.call
        return Passed(
            self.connection,
            call.method,
            call.operation,
            call.bucket,
            call.key,
            call.range,
            self.status,
            self.sent,
            self.received,
            tuple(self.faults),
            self.open,
            self.broken,
        )
