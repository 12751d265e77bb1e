"""The fault proxy: a listener on loopback, a background thread, and a connection to the server for each client's."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from .connection import Connection
from .fault import Fault
from .record import Entry, Passed
from .rules import Rules
from .wire import TlsWire, Wire

__all__ = ["FaultProxy"]

T = TypeVar("T")
_HOST = "127.0.0.1"
_BACKLOG = 128
_START_SECONDS = 10.0


class FaultProxy:
    """Stands before an S3 server and makes things go wrong. A context manager; thread-safe.

    Requests go on as they came, the Host header included: it is part of the signature.

    Args:
        url: Of the server: "http://127.0.0.1:9000". Without TLS.
        tls: Clients come by https; the certificate is signed by an authority made for this proxy (needs trustme).

    Attributes:
        ca_file: With `tls`, the PEM file of the authority to trust.

    Raises:
        ValueError: `url` is no http URL of a host.
    """

    def __init__(self, url: str, *, tls: bool = False) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"the fault proxy forwards to http://host:port, got {url!r}; start the server without TLS")
        self.server_url = url
        self.ca_file: Path | None = None
        self._server = (parts.hostname, parts.port or 80)
        self._wants_tls = tls
        self._context: ssl.SSLContext | None = None
        self._rules = Rules()
        self._entries: list[Entry] = []
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._accepted = 0
        self._failures: list[BaseException] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._listener: socket.socket | None = None
        self._port = 0

    # ---- what a test does with it ----

    def add(self, *faults: Fault) -> None:
        """Adds faults; of a request, every one that matches strikes. Requests under way are not touched."""
        self._rules.add(faults)

    def clear(self) -> None:
        """Removes all faults and forgets what passed; what is still under way goes on, unlogged."""
        self._rules.clear()
        self._call(self._forget)

    @property
    def url(self) -> str:
        """The endpoint to give to a client."""
        if not self._port:
            raise RuntimeError("the fault proxy has not been started; use it in a with statement")
        return f"{'https' if self._wants_tls else 'http'}://{_HOST}:{self._port}"

    @property
    def log(self) -> list[Passed]:
        """What has passed, and what is under way, in the order in which it began."""
        return [entry.snapshot() for entry in list(self._entries)]

    @property
    def connections(self) -> int:
        """How many connections of clients are open."""
        return len(self._connections)

    def wait_until_idle(self, seconds: float = 10.0) -> list[Passed]:
        """The log, when no request is under way.

        Raises:
            TimeoutError: Some still are.
        """
        deadline = time.monotonic() + seconds
        while any(entry.open for entry in list(self._entries)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"requests are still under way after {seconds} s: {self!r}")
            time.sleep(0.005)
        return self.log

    def refuse(self) -> None:
        """Stops listening: who connects is refused. Connections that are open stay so."""
        self._call(self._stop_listening)

    def listen(self) -> None:
        """Listens again, on the same port."""
        self._call(self._listen)

    def drop_connections(self, *, reset: bool = False) -> None:
        """Closes all of the clients' connections now, by FIN or RST, whatever is under way on them."""
        self._run(self._drop(reset))

    def __repr__(self) -> str:
        where = f"{self.url} → {self.server_url}" if self._port else f"→ {self.server_url}, not started"
        entries = list(self._entries)
        under_way = sum(entry.open for entry in entries)
        state = "" if self._listener is not None or not self._port else " | refusing connections"
        return (
            f"<FaultProxy {where} [connections: {len(self._connections)} open, {self._accepted} accepted | "
            f"requests: {under_way} under way, {len(entries) - under_way} passed | faults: {self._rules!r}{state}]>"
        )

    # ---- its life ----

    def start(self) -> Self:
        """Listens. The context manager does this."""
        if self._wants_tls:
            self._make_certificate()
        loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._serve, args=(loop,), name="fault-proxy", daemon=True)
        self._loop = loop
        self._thread.start()
        self._call(self._listen)
        return self

    def close(self) -> None:
        """Breaks all connections and ends the thread; harmless the second time.

        Raises:
            RuntimeError: The proxy itself failed on the way; a test must not trust what it saw.
        """
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._call(self._stop_listening)
        self._run(self._drop(reset=True))
        self._loop = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        self._port = 0
        if self.ca_file is not None:
            shutil.rmtree(self.ca_file.parent, ignore_errors=True)
        if self._failures:
            raise RuntimeError("the fault proxy itself failed") from self._failures[0]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_certificate(self) -> None:
        from fastdatastore.testing.servers.certificates import make_certificate

        directory = Path(tempfile.mkdtemp(prefix="fds-faults-"))
        try:
            made = make_certificate(directory)
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(made.cert_file, made.key_file)
            self.ca_file = made.ca_file
        except BaseException:
            shutil.rmtree(directory)
            raise

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    # ---- in its thread ----

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise RuntimeError("the fault proxy is not running; use it in a with statement")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_START_SECONDS)

    def _call(self, function: Callable[[], None]) -> None:
        async def work() -> None:
            function()

        self._run(work())

    def _note(self, entry: Entry) -> None:
        self._entries.append(entry)

    def _forget(self) -> None:
        self._entries = []

    def _listen(self) -> None:
        if self._listener is not None:
            return
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((_HOST, self._port or _free_port()))
            listener.listen(_BACKLOG)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, ConnectionError):  # the client has thought better of it
            return
        self._accepted += 1
        wire = TlsWire(sock, self._context) if self._context is not None else Wire(sock)
        connection = Connection(self._accepted, wire, self._server, self._rules, self._note)
        task = asyncio.ensure_future(connection.serve())
        self._connections[task] = connection
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connections.pop(task).client.sock.close()  # where it was cancelled before it began
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)

    async def _drop(self, reset: bool) -> None:
        tasks = list(self._connections)
        for connection in self._connections.values():
            connection.ends_by_reset = reset
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _free_port() -> int:
    from fastdatastore.testing.servers.ports import free_ports

    # Below the ephemeral range, so that no other socket takes it while connections are refused.
    return free_ports(1)[0]
