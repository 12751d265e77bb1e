"""One request and its reply, through the proxy: forwarded, or answered in the server's place."""

from __future__ import annotations

import asyncio
import http
from email.utils import formatdate
from time import time
from typing import TypeVar

from .fault import Answer, Fault, RawAnswer, Reframe, SwallowReply
from .flow import Cut, Flow
from .message import Framing, Head, request_framing, response_framing
from .record import Entry
from .rules import Strike
from .wire import Wire

__all__ = ["Exchange"]

F = TypeVar("F", bound=Fault)


class Exchange:
    """Carries one request of `client`, whose head was read, and its reply."""

    def __init__(self, client: Wire, head: Head, strikes: list[Strike], entry: Entry) -> None:
        self._client = client
        self._head = head
        self._strikes = strikes
        self._entry = entry
        self._framing = request_framing(head)
        self._down = Flow(client, client, "response", strikes, entry.struck, entry.count_received)

    @property
    def needs_server(self) -> bool:
        """Whether it is to be forwarded."""
        answer = self._first(Answer)
        return self._first(RawAnswer) is None and (answer is None or answer.forwarded)

    async def answer(self) -> bool:
        """Answers in the server's place. Returns whether the connection may go on."""
        raw, answer = self._first(RawAnswer), self._first(Answer)
        # Who waits for "100 Continue" gets the answer instead, and may or may not send the body then.
        unread = "expect" in self._head.headers or (answer is not None and answer.at_once)
        if not unread:
            async for block in self._client.body(self._framing):
                del block
        if raw is not None:
            self._entry.struck(raw)
            await self._down.start()
            await self._down.send(raw.data)
            return False
        assert answer is not None
        await self._send_answer(answer, close=unread)
        return self._head.keeps_alive and not unread

    async def forward(self, server: Wire) -> bool:
        """Has the server answer. Returns whether both connections may go on."""
        up = Flow(server, self._client, "request", self._strikes, self._entry.struck, self._entry.count_sent)
        request = asyncio.ensure_future(self._send_request(up))
        response = asyncio.ensure_future(self._relay_response(server))
        try:
            await asyncio.wait((request, response), return_when=asyncio.FIRST_COMPLETED)
            if request.done() and not isinstance(request.exception(), (ConnectionError, type(None))):
                request.result()
            # A server that has heard enough answers and closes; what it said counts, not that it closed.
            keeps_alive = await response
            return keeps_alive and request.done() and request.exception() is None and self._head.keeps_alive
        finally:
            for task in (request, response):
                task.cancel()
            await asyncio.gather(request, response, return_exceptions=True)

    async def _send_request(self, up: Flow) -> None:
        await up.head(self._head)
        framed = self._framing.chunked
        async for block in self._client.body(self._framing):
            await up.body(block, framed)
        await up.end(framed)

    async def _relay_response(self, server: Wire) -> bool:
        while True:
            raw = await server.read_head()
            if raw is None:
                raise EOFError("the server closed without an answer")
            head = Head.parse(raw)
            if head.status >= 200:
                break
            await self._client.send(raw)
        framing = response_framing(head, self._entry.call.method)
        swallow, answer = self._first(SwallowReply), self._first(Answer)
        if swallow is not None or answer is not None:
            async for block in server.body(framing):
                del block
            if swallow is not None:
                await self._swallow(swallow)
            assert answer is not None
            await self._send_answer(answer)
            return head.keeps_alive
        return await self._send_response(server, head, framing)

    async def _send_response(self, server: Wire, head: Head, framing: Framing) -> bool:
        keeps_alive = head.keeps_alive and (framing.chunked or framing.length is not None)
        framed = framing.chunked
        reframe = self._first(Reframe)
        if reframe is not None and self._entry.call.method != "HEAD":
            self._entry.struck(reframe)
            framed = reframe.to == "chunked"
            if framed:
                head = head.changed({"Transfer-Encoding": "chunked"}, ("content-length",))
            else:
                head = head.changed({"Connection": "close"}, ("content-length", "transfer-encoding"))
                keeps_alive = False
        self._entry.status = head.status
        await self._down.head(head)
        async for block in server.body(framing):
            await self._down.body(block, framed)
        await self._down.end(framed)
        return keeps_alive

    async def _swallow(self, swallow: SwallowReply) -> None:
        self._entry.struck(swallow)
        if swallow.how == "stall":
            await self._client.wait(None)
        raise Cut("reset" if swallow.how == "reset" else "fin")

    async def _send_answer(self, answer: Answer, close: bool = False) -> None:
        self._entry.struck(answer)
        self._entry.status = answer.status
        body = b"" if self._entry.call.method == "HEAD" or answer.status in (204, 304) else answer.body
        headers = {"Date": formatdate(time() + answer.date_offset, usegmt=True), "Content-Length": str(len(body))}
        if close:
            headers["Connection"] = "close"
        reason = http.HTTPStatus(answer.status).phrase if answer.status in set(http.HTTPStatus) else "Unknown"
        head = Head(f"HTTP/1.1 {answer.status} {reason}", (), b"").changed({**headers, **answer.headers})
        await self._down.head(head)
        await self._down.body(memoryview(body))
        await self._down.end()

    def _first(self, kind: type[F]) -> F | None:
        return next((s.fault for s in self._strikes if isinstance(s.fault, kind)), None)
