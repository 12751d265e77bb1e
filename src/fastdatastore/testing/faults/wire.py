"""One connection, of a client or to the server: reads heads and bodies, and ends in every way a connection can."""

from __future__ import annotations

import array
import asyncio
import contextlib
import select
import socket
import ssl
import struct
import sys
from collections.abc import AsyncIterator
from typing import cast

from .message import BadMessage, Framing

__all__ = ["BLOCK", "TlsWire", "Wire"]

BLOCK = 256 << 10
"""Most bytes that are forwarded at once; what fits a core's second-level cache."""

_HEAD_MAX = 1 << 20
_LINE_MAX = 4096
_LOOK_INTERVAL = 0.02
_FLUSH_SECONDS = 2.0


class Wire:
    """A connected TCP socket. For one event loop; owns the socket.

    Raises, from what reads: EOFError where the peer closed amid a message, OSError, BadMessage.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._ahead = bytearray()  # read, but not asked for yet
        self._block = memoryview(bytearray(BLOCK))

    # ---- reading ----

    async def read_head(self) -> bytes | None:
        """All up to an empty line; None if the peer closed before its first byte."""
        searched = 0
        while (end := self._ahead.find(b"\r\n\r\n", max(0, searched - 3))) < 0:
            searched = len(self._ahead)
            if searched > _HEAD_MAX:
                raise BadMessage(f"a head of more than {_HEAD_MAX:,} bytes")
            if not await self._look_ahead():
                if self._ahead:
                    raise EOFError("closed within a head")
                return None
        return self._take(end + 4)

    async def body(self, framing: Framing) -> AsyncIterator[memoryview]:
        """The payload, block by block; each is valid until the next is asked for."""
        if framing.length is not None:
            async for block in self._exactly(framing.length):
                yield block
        elif framing.chunked:
            while size := self._chunk_size(await self._line()):
                async for block in self._exactly(size):
                    yield block
                await self._line()
            while await self._line():
                pass  # trailers end here: what they say of the body is not passed on
        else:
            while block := await self._some(BLOCK):
                yield block

    async def _exactly(self, size: int) -> AsyncIterator[memoryview]:
        while size:
            block = await self._some(min(size, BLOCK))
            if not block:
                raise EOFError(f"closed {size:,} bytes before the end of a body")
            size -= len(block)
            yield block

    async def _some(self, most: int) -> memoryview:
        if self._ahead:
            return memoryview(self._take(min(most, len(self._ahead))))
        return self._block[: await self.receive_into(self._block[:most])]

    async def _line(self) -> bytes:
        while (end := self._ahead.find(b"\r\n")) < 0:
            if len(self._ahead) > _LINE_MAX:
                raise BadMessage("an endless line where a chunk's size belongs")
            if not await self._look_ahead():
                raise EOFError("closed between chunks")
        return self._take(end + 2)[:-2]

    @staticmethod
    def _chunk_size(line: bytes) -> int:
        try:
            return int(line.partition(b";")[0], 16)
        except ValueError:
            raise BadMessage(f"no chunk size: {line[:60]!r}") from None

    async def _look_ahead(self) -> bool:
        count = await self.receive_into(self._block[: 64 << 10])
        self._ahead += self._block[:count]
        return count > 0

    def _take(self, count: int) -> bytes:
        taken = bytes(self._ahead[:count])
        del self._ahead[:count]
        return taken

    async def receive_into(self, buffer: memoryview) -> int:
        """At least one byte, or 0 at the end."""
        return await self._loop.sock_recv_into(self.sock, buffer)

    def is_closed_by_peer(self) -> bool:
        """Whether its FIN or RST has come (on macOS: with nothing before it that was not read)."""
        try:
            if sys.platform == "linux":
                look = select.poll()
                look.register(self.sock, select.POLLRDHUP)
                return bool(look.poll(0))
            return not self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    async def wait(self, seconds: float | None) -> None:
        """Until the time is over (None: for ever) or the peer has gone."""
        deadline = None if seconds is None else self._loop.time() + seconds
        # It looks now and then, as another task may be reading from this socket.
        while not self.is_closed_by_peer():
            left = _LOOK_INTERVAL if deadline is None else min(_LOOK_INTERVAL, deadline - self._loop.time())
            if left <= 0:
                return
            await asyncio.sleep(left)

    # ---- writing ----

    async def send(self, data: bytes | memoryview) -> None:
        """All of it, into the socket's buffer."""
        await self._loop.sock_sendall(self.sock, data)

    async def flush(self) -> None:
        """Waits until the peer's system has what was sent: RST would destroy what is still here."""
        if sys.platform != "linux":
            await asyncio.sleep(_LOOK_INTERVAL)
            return
        import fcntl
        import termios

        deadline = self._loop.time() + _FLUSH_SECONDS
        unsent = array.array("i", [0])
        while self._loop.time() < deadline:
            fcntl.ioctl(self.sock, termios.TIOCOUTQ, unsent)
            if not unsent[0]:
                return
            await asyncio.sleep(0.001)

    # ---- the end ----

    def reset(self) -> None:
        """Closes by RST."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def shut(self) -> None:
        """Sends FIN; the other direction stays open."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    async def swallow(self, seconds: float | None) -> None:
        """Reads and drops until the peer closes, at most for so long. Closing with bytes unread would be RST."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._loop.sock_recv_into(self.sock, self._block):
                    pass

    async def close(self) -> None:
        """Closes in order: FIN, and nothing of what was sent is destroyed."""
        self.shut()
        await self.swallow(0.5 if self._unread() else 0.0)
        self.sock.close()

    def _unread(self) -> bool:
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False


class TlsWire(Wire):
    """The server's side of TLS over such a socket; `handshake` comes first."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(sock)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._cipher_block = memoryview(bytearray(BLOCK))

    async def handshake(self) -> None:
        """Raises ssl.SSLError where the client does not like our certificate."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._push()
                if not await self._pull():
                    raise EOFError("closed within the TLS handshake") from None
            else:
                await self._push()
                return

    async def receive_into(self, buffer: memoryview) -> int:
        while True:
            try:
                return cast(int, self._tls.read(len(buffer), buffer))  # with a buffer it returns a length
            except ssl.SSLWantReadError:
                if not await self._pull():
                    return 0
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return 0

    async def send(self, data: bytes | memoryview) -> None:
        if data:
            self._tls.write(data)
            await self._push()

    async def _push(self) -> None:
        if self._outgoing.pending:
            await self._loop.sock_sendall(self.sock, self._outgoing.read())

    async def _pull(self) -> bool:
        count = await self._loop.sock_recv_into(self.sock, self._cipher_block)
        if count:
            self._incoming.write(self._cipher_block[:count])
        else:
            self._incoming.write_eof()
        return count > 0
