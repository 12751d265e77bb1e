"""Heads of HTTP/1.1 messages, as far as a proxy must understand them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

__all__ = ["BadMessage", "Framing", "Head", "request_framing", "response_framing"]


class BadMessage(Exception):
    """Client or server sent what is no HTTP/1.1."""


@dataclass(frozen=True)
class Framing:
    """How a body ends: after `length` bytes, by its chunks, or (neither) with the connection."""

    length: int | None = None
    chunked: bool = False


@dataclass(frozen=True)
class Head:
    """The start line and header lines of a message; as it came where nothing was changed."""

    start: str
    fields: tuple[tuple[str, str], ...]
    raw: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Head:
        start, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        fields = []
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise BadMessage(f"no header line: {line[:60]!r}")
            fields.append((name, value.strip()))
        if len(start.split(" ", 2)) < 2:
            raise BadMessage(f"no start line: {start[:60]!r}")
        return cls(start, tuple(fields), raw)

    def changed(self, put: Mapping[str, str], drop: tuple[str, ...] = ()) -> Head:
        """The same without some headers and with others."""
        gone = {name.lower() for name in (*put, *drop)}
        fields = tuple((n, v) for n, v in self.fields if n.lower() not in gone) + tuple(put.items())
        lines = [self.start, *(f"{name}: {value}" for name, value in fields)]
        return Head(self.start, fields, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    @cached_property
    def headers(self) -> dict[str, str]:
        """By lower-case name; the last of several counts."""
        return {name.lower(): value for name, value in self.fields}

    @property
    def words(self) -> list[str]:
        return self.start.split(" ", 2)

    @property
    def status(self) -> int:
        """Of a response."""
        version, status = self.words[:2]
        if not version.startswith("HTTP/1.") or not (status.isdigit() and len(status) == 3):
            raise BadMessage(f"no status line: {self.start[:60]!r}")
        return int(status)

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may go on after this message."""
        return "close" not in self.headers.get("connection", "").lower() and "HTTP/1.0" not in self.start


def _framing(head: Head, without: Framing) -> Framing:
    if "chunked" in head.headers.get("transfer-encoding", "").lower():
        return Framing(chunked=True)
    length = head.headers.get("content-length")
    if length is None:
        return without
    if not length.isdigit():
        raise BadMessage(f"no Content-Length: {length[:60]!r}")
    return Framing(int(length))


def request_framing(head: Head) -> Framing:
    """How a request's body ends."""
    return _framing(head, Framing(0))


def response_framing(head: Head, method: str) -> Framing:
    """How a response's body ends."""
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return Framing(0)
    return _framing(head, Framing())
