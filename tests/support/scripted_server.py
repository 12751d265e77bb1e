"""An HTTP server whose every reply a test writes: for faults that no real server shows on demand."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

_HEAD_MAX = 64 << 10
_PATIENCE = 20.0  # seconds; no connection of a test outlives it


@dataclass(frozen=True)
class Received:
    """A request. `number` counts all of them from 0; `connection` says on which it came."""

    number: int
    connection: int
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Decoded."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def range(self) -> tuple[int, int]:
        """First and last byte asked for."""
        first, _, last = self.headers["range"].removeprefix("bytes=").partition("-")
        return int(first), int(last)


@dataclass(frozen=True)
class Reply:
    """What to answer.

    Attributes:
        body: With a Content-Length, unless `headers` has its own.
        stop_after: Bytes of the body, then the connection is reset.
        reset: Instead of a reply.
        close: Afterwards, without a word of it in the head.
        hang: Instead of a reply: silence until the server is stopped.
        raw: Instead of all the rest.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    stop_after: int | None = None
    reset: bool = False
    close: bool = False
    hang: bool = False
    raw: bytes | None = None


Script = Callable[[Received], Reply]


def error_reply(status: int, code: str, message: str = "as the test wants it") -> Reply:
    """S3's error document."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>req-1</RequestId></Error>"
    return Reply(status, body.encode(), {"content-type": "application/xml"})


def in_turn(*replies: Reply) -> Script:
    """These replies, one a request; the last one again and again."""
    return lambda request: replies[min(request.number, len(replies) - 1)]


class ScriptedServer:
    """Runs a script on a loopback port, one thread a connection. A context manager.

    Attributes:
        requests: All that came so far.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.requests: list[Received] = []
        self._tls = tls
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._open: set[socket.socket] = set()
        self._connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        # Closing alone does not wake an accept() in another thread.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()

    def drop_connections(self) -> None:
        """Ends what is under way; new ones are taken."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # the peer was first
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections += 1
                number = self._connections
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        connection.settimeout(_PATIENCE)
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with self._lock:
                self._open.add(connection)
            pending = b""
            while not self._stopped.is_set():
                received, pending = self._read(connection, number, pending)
                if received is None or not self._answer(connection, received):
                    break
        except (OSError, ValueError):  # the peer has gone, or the test is over and has closed the socket
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _read(self, connection: socket.socket, number: int, data: bytes) -> tuple[Received | None, bytes]:
        while b"\r\n\r\n" not in data:
            more = connection.recv(_HEAD_MAX)
            if not more or len(data) > _HEAD_MAX:
                return None, b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        size = int(headers.get("content-length", "0"))
        pieces = [body]
        missing = size - len(body)
        while missing > 0:
            more = connection.recv(1 << 20)
            if not more:
                return None, b""
            pieces.append(more)
            missing -= len(more)
        body = b"".join(pieces)
        with self._lock:
            received = Received(len(self.requests), number, method, target, headers, body[:size])
            self.requests.append(received)
        return received, body[size:]

    def _answer(self, connection: socket.socket, received: Received) -> bool:
        """Returns whether the connection goes on."""
        reply = self.script(received)
        if reply.hang:
            self._stopped.wait(_PATIENCE)
            return False
        if reply.reset:
            return _reset(connection)
        if reply.raw is not None:
            connection.sendall(reply.raw)
            return not reply.close
        headers = {"content-length": str(len(reply.body))} | reply.headers
        head = [f"HTTP/1.1 {reply.status} As Scripted", *(f"{name}: {value}" for name, value in headers.items())]
        connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1"))
        if received.method == "HEAD":
            return not reply.close
        connection.sendall(reply.body[: reply.stop_after])
        if reply.stop_after is not None:
            return _reset(connection)
        return not reply.close


def _reset(connection: socket.socket) -> bool:
    # What is under way must arrive before the RST: the peer has taken it when our send queue is empty.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
    if hasattr(socket, "SO_LINGER"):
        _drain(connection)
    return False


def _drain(connection: socket.socket) -> None:
    import fcntl
    import termios
    import time

    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline:
        left = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
        if int.from_bytes(left, "little") == 0:
            return
        time.sleep(0.001)


class StoredObject:
    """A script's object: answers GETs, whole and ranged, as S3 does."""

    def __init__(self, content: bytes, etag: str = '"e1"', headers: dict[str, str] | None = None) -> None:
        self.content = content
        self.etag = etag
        self.headers = headers or {}

    def get(self, received: Received) -> Reply:
        condition = received.headers.get("if-match")
        if condition is not None and condition != self.etag:
            return error_reply(412, "PreconditionFailed")
        headers = {"etag": self.etag}
        if "range" not in received.headers:
            return Reply(200, self.content, headers | self.headers)
        first, last = received.range
        body = self.content[first : last + 1]
        headers["content-range"] = f"bytes {first}-{first + len(body) - 1}/{len(self.content)}"
        return Reply(206, body, headers)
