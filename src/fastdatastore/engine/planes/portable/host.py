"""The connections to one endpoint: aiobotocore's connector (it knows proxies) under a session of aiohttp.

AIOHTTPSession.send() itself will not do: it follows redirects, which is policy, and keeps one of several equal headers.
"""

from __future__ import annotations

import inspect
import socket
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession
from botocore.httpsession import ProxyConfiguration
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastdatastore.engine.planes.portable.attempt import Attempt
    from fastdatastore.engine.planes.portable.endpoint import Endpoint

_HEAD_MAX = 64 << 10
# aiohttp stops reading from the socket at twice this many bytes that nobody has taken.
_BYTES_AHEAD = 512 << 10
_ADDRESSES_FRESH_FOR = 60  # seconds

serving: ContextVar[Attempt] = ContextVar("serving")
_served: weakref.WeakSet[Any] = weakref.WeakSet()  # transports that have had a request


class Response(aiohttp.ClientResponse):  # type: ignore[misc, unused-ignore]
    """Tells its attempt which connection it has got."""

    async def start(self, connection: Any) -> Any:
        transport = connection.transport
        serving.get().on_connection(transport, transport in _served)
        _served.add(transport)
        return await super().start(connection)


class Host:
    """Made and used on the event loop only.

    Attributes:
        sockets: All that are open, for a fork's child to close.
    """

    def __init__(self, endpoint: Endpoint, loops: int) -> None:
        self._limit = endpoint.connections * loops
        self._keep = endpoint.idle_timeout
        self._url = endpoint.url
        self._tls = endpoint.tls_context
        self._proxies = ProxyConfiguration(proxies=_by_scheme(endpoint.proxy))
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=endpoint.connect_timeout)
        self._session: aiohttp.ClientSession | None = None
        self.sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    async def request(
        self, method: str, target: str, headers: list[tuple[str, str]], body: AsyncIterator[Any] | None
    ) -> Response:
        """Sends it and waits for the response's head. `target` is the encoded path and query."""
        url = self._url + target
        if self._session is None:
            await self._open(url)
        assert self._session is not None
        response = await self._session.request(
            method,
            URL(url, encoded=True),
            headers=headers,
            data=body,
            proxy=self._proxies.proxy_url_for(url),
            proxy_headers=self._proxies.proxy_headers_for(url),
            allow_redirects=False,
            timeout=self._timeout,
            read_bufsize=_BYTES_AHEAD,
            max_line_size=_HEAD_MAX,
            max_field_size=_HEAD_MAX,
            ssl=self._tls or True,
        )
        assert isinstance(response, Response)
        return response

    async def _open(self, url: str) -> None:
        options: dict[str, Any] = {"socket_factory": self._new_socket, "ttl_dns_cache": _ADDRESSES_FRESH_FOR}
        options |= {"keepalive_timeout": self._keep} if self._keep else {"force_close": True}
        makes = AIOHTTPSession(max_pool_connections=self._limit, connector_args=options)
        connector = makes._create_connector(self._proxies.proxy_url_for(url))
        if inspect.isawaitable(connector):  # since aiobotocore 3
            connector = await connector
        if self._session is not None:  # another request was faster
            await connector.close()
            return
        self._session = aiohttp.ClientSession(
            connector=connector,
            response_class=Response,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
            auto_decompress=False,
        )
        # It would send a GET or PUT again after a lost connection (as aiohttp's own test client, we say no).
        self._session._retry_connection = False

    def _new_socket(self, address: Any) -> socket.socket:
        family, kind, protocol = address[:3]
        made = socket.socket(family, kind, protocol)
        self.sockets.add(made)
        return made

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _by_scheme(proxy: str | None) -> dict[str, str]:
    return {"http": proxy, "https": proxy} if proxy else {}
