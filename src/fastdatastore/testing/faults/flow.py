"""One direction of one exchange: sends a head and a body, and does to them what its faults say, at their offsets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from .fault import Bandwidth, ChangeHeaders, Corrupt, Direction, ExtraBytes, Fault, Fin, Latency, Reset, Slicer, Stall
from .message import Head
from .rules import Strike
from .wire import BLOCK, Wire

__all__ = ["Cut", "Flow"]

_PACE_SECONDS = 0.01  # a paced block takes about this long, so that the rate is even


class Cut(Exception):
    """The connection is to end here, by a fault."""

    def __init__(self, how: Literal["fin", "reset"]) -> None:
        super().__init__(how)
        self.how = how


class Flow:
    """Sends one message to `wire`.

    Args:
        client: Whose patience a stall ends with.
        struck: Told of each fault when it takes effect.
        counted: Told of each piece of the body, in bytes, before it is sent.
    """

    def __init__(
        self,
        wire: Wire,
        client: Wire,
        direction: Direction,
        strikes: list[Strike],
        struck: Callable[[Fault], None],
        counted: Callable[[int], None],
    ) -> None:
        self._wire = wire
        self._client = client
        self._strikes = [s for s in strikes if getattr(s.fault, "direction", "response") == direction]
        self._struck = struck
        self._counted = counted
        self._position = 0
        offsets = (Stall, Reset, Fin, Corrupt)
        self._ahead = sorted(
            (s for s in self._strikes if isinstance(s.fault, offsets) and s.at is not None), key=lambda s: s.at or 0
        )
        self._slice, self._delay, self._rate = BLOCK, 0.0, 0.0
        self._free_at = 0.0  # when the paced line is free again
        for strike in self._strikes:
            if isinstance(strike.fault, Slicer):
                self._slice, self._delay = strike.fault.size, strike.fault.delay
            elif isinstance(strike.fault, Bandwidth):
                self._rate = strike.fault.bytes_per_second
                self._slice = min(self._slice, max(1, int(self._rate * _PACE_SECONDS)))

    async def head(self, head: Head) -> None:
        """Sends the head, changed as the faults say."""
        await self.start()
        for strike in self._strikes:
            if isinstance(strike.fault, ChangeHeaders):
                self._struck(strike.fault)
                head = head.changed(strike.fault.put, strike.fault.drop)
        await self.send(head.raw)

    async def start(self) -> None:
        """What happens before the first byte."""
        for strike in self._strikes:
            fault = strike.fault
            if isinstance(fault, Latency):
                self._struck(fault)
                await self._client.wait(max(0.0, fault.seconds + (2.0 * strike.chance - 1.0) * fault.jitter))
            elif isinstance(fault, (Slicer, Bandwidth)):
                self._struck(fault)
            elif isinstance(fault, (Stall, Reset, Fin)) and strike.at is None:
                await self._act(fault)

    async def body(self, block: memoryview, frame: bool = False) -> None:
        """Sends a piece of the body, as a chunk of its own if `frame`."""
        while block:
            await self._due()
            left = len(block)
            if self._ahead:
                left = min(left, (self._ahead[0].at or 0) - self._position)
            piece, block = block[:left], block[left:]
            if not piece:
                piece, block = self._corrupted(block[:1]), block[1:]
            self._position += len(piece)
            self._counted(len(piece))
            if frame:
                await self.send(b"%x\r\n" % len(piece))
            await self.send(piece)
            if frame:
                await self.send(b"\r\n")

    async def end(self, framed: bool = False) -> None:
        """What happens when the body is through."""
        await self._due()
        if framed:
            await self.send(b"0\r\n\r\n")
        for strike in self._strikes:
            if isinstance(strike.fault, ExtraBytes):
                self._struck(strike.fault)
                await self.send(strike.fault.data)

    async def _due(self) -> None:
        """Does what is due at this offset, but corruption, which needs the byte."""
        for strike in [s for s in self._ahead if s.at == self._position and not isinstance(s.fault, Corrupt)]:
            self._ahead.remove(strike)
            await self._act(strike.fault)

    def _corrupted(self, byte: memoryview) -> memoryview:
        value = byte[0]
        while self._ahead and self._ahead[0].at == self._position:
            fault = self._ahead.pop(0).fault
            assert isinstance(fault, Corrupt)
            self._struck(fault)
            value ^= 1 << fault.bit
        return memoryview(bytes([value]))

    async def _act(self, fault: Fault) -> None:
        self._struck(fault)
        if isinstance(fault, Stall):
            await self._client.wait(fault.seconds)
            if fault.seconds is None:
                raise Cut("fin")  # the client has lost its patience
        elif isinstance(fault, Reset):
            raise Cut("reset")
        else:
            raise Cut("fin")

    async def send(self, data: bytes | memoryview) -> None:
        """Sends bytes that are no body: sliced and paced like all."""
        if len(data) <= self._slice and not self._delay and not self._rate:
            await self._wire.send(data)
            return
        view = memoryview(data)
        while view:
            piece, view = view[: self._slice], view[self._slice :]
            await self._wire.send(piece)
            # Even without a delay: a send that never blocks would keep all others from running.
            await asyncio.sleep(self._delay)
            if self._rate:
                now = asyncio.get_running_loop().time()
                self._free_at = max(self._free_at, now) + len(piece) / self._rate
                await asyncio.sleep(self._free_at - now)
