"""One client's connection: its requests, one after the other, and the connection to the server that carries them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from .exchange import Exchange
from .fault import CloseAfter
from .flow import Cut
from .message import BadMessage, Head
from .operation import call_of
from .record import Entry
from .rules import Rules, Strike
from .wire import TlsWire, Wire

__all__ = ["Connection"]


class Connection:
    """Serves a client until either side, or a fault, ends it.

    Attributes:
        client: Its connection to us.
        ends_by_reset: When it is cancelled, by RST.
    """

    def __init__(
        self,
        number: int,
        client: Wire,
        server_address: tuple[str, int],
        rules: Rules,
        note: Callable[[Entry], None],
    ) -> None:
        self.ends_by_reset = False
        self._number = number
        self.client = client
        self._server_address = server_address
        self._server: Wire | None = None
        self._rules = rules
        self._note = note

    async def serve(self) -> None:
        """Until the end of the connection. Raises only what is a fault of the proxy's own."""
        how = "fin"
        flushes = True
        try:
            if isinstance(self.client, TlsWire):
                await self.client.handshake()
            closing: CloseAfter | None = None
            goes_on = True
            while goes_on or closing is not None:
                raw = await self._next_head(closing)
                if raw is None:
                    break
                goes_on, closing = await self._exchange(Head.parse(raw))
        except Cut as cut:
            how = cut.how
        except (OSError, EOFError, BadMessage, ssl.SSLError):
            pass  # of the peers' doing, and in the log where a request was under way
        except asyncio.CancelledError:
            how = "reset" if self.ends_by_reset else "fin"
            flushes = False
            raise
        finally:
            await self._end(how, flushes)

    async def _next_head(self, closing: CloseAfter | None) -> bytes | None:
        if closing is None:
            return await self.client.read_head()
        try:
            async with asyncio.timeout(closing.seconds):
                return await self.client.read_head()
        except TimeoutError:
            pass
        if closing.how == "half":
            self.client.shut()
            await self.client.swallow(None)
        raise Cut("reset" if closing.how == "reset" else "fin")

    async def _exchange(self, head: Head) -> tuple[bool, CloseAfter | None]:
        method, target = head.words[:2]
        call = call_of(method, target, head.headers)
        strikes = self._rules.strikes(call)
        entry = Entry(self._number, call)
        self._note(entry)
        try:
            exchange = Exchange(self.client, head, strikes, entry)
            goes_on = await (exchange.forward(await self._connect()) if exchange.needs_server else exchange.answer())
            return goes_on, self._closing(strikes, entry)
        except Cut:
            raise
        except (OSError, EOFError, BadMessage) as error:
            entry.broken = f"{type(error).__name__}: {error}"
            raise
        except asyncio.CancelledError:
            entry.broken = "the proxy dropped the connection"
            raise
        finally:
            entry.open = False

    @staticmethod
    def _closing(strikes: list[Strike], entry: Entry) -> CloseAfter | None:
        for strike in strikes:
            if isinstance(strike.fault, CloseAfter):
                entry.struck(strike.fault)
                return strike.fault
        return None

    async def _connect(self) -> Wire:
        """The connection to the server; a new one where it has closed the last while it idled."""
        if self._server is not None and self._server.is_closed_by_peer():
            self._server.sock.close()
            self._server = None
        if self._server is None:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, self._server_address)
                self._server = Wire(sock)
            except BaseException:
                sock.close()
                raise
        return self._server

    async def _end(self, how: str, flushes: bool) -> None:
        if self._server is not None:
            if how == "reset":
                self._server.reset()
            else:
                self._server.sock.close()
        if how == "reset":
            if flushes:  # the fault was to come at its offset, not before
                with contextlib.suppress(OSError):
                    await self.client.flush()
            self.client.reset()
        else:
            await self.client.close()
