"""What the tests of the null server share: a running one, the documented pattern, reference checksums."""

from __future__ import annotations

import base64
import contextlib
import http.client
import importlib
import os
import socket
import ssl
import struct
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import Config
from botocore.exceptions import ClientError

MIB = 1 << 20
BUCKET = "bucket"
AUTHORIZED = "Authorization: any\r\n"


def executable() -> Path:
    """The server to test: FDS_NULLSERVER, else the installed one."""
    if "FDS_NULLSERVER" in os.environ:
        return Path(os.environ["FDS_NULLSERVER"])
    try:
        module = importlib.import_module("fastdatastore.testing.servers.null")
    except ImportError:
        pytest.skip("no null server: set FDS_NULLSERVER, or install fastdatastore")
    path: Path = module.executable()
    return path


@dataclass(frozen=True)
class Server:
    """A running null server; `ca` is its certificate authority's file when it speaks TLS."""

    process: subprocess.Popen[str]
    port: int
    ca: Path | None

    def client(self, **options: Any) -> Any:
        scheme = "https" if self.ca else "http"
        return boto3.client(
            "s3",
            endpoint_url=f"{scheme}://127.0.0.1:{self.port}",
            aws_access_key_id="null",
            aws_secret_access_key="null",
            region_name="us-east-1",
            verify=str(self.ca) if self.ca else None,
            config=Config(
                s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, read_timeout=20, **options
            ),
        )

    def connect(self) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.ca is None:
            return plain
        return ssl.create_default_context(cafile=str(self.ca)).wrap_socket(plain, server_hostname="127.0.0.1")

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request as it is, without a client's cleverness: status, headers (lower case), body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.sock = self.connect()
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Authorization": "any", **(headers or {})})
            reply = connection.getresponse()
            return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()


@contextlib.contextmanager
def running(mode: str, *arguments: str, ca: Path | None = None) -> Iterator[Server]:
    command = [str(executable()), "--mode", mode, "--exit-with-stdin", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    line = process.stdout.readline()
    try:
        assert line.startswith("listening 127.0.0.1:"), line
        yield Server(process, int(line.rsplit(":", 1)[1]), ca)
    finally:
        process.stdin.close()
        status = process.wait(10)
        process.stdout.close()
    assert status == 0, "the server did not end well"


def pattern(size: int) -> bytes:
    """The documented bytes of mode fixed."""
    mask = (1 << 64) - 1
    state, words = 0x6664735F6E756C6C, []
    for _ in range(min(MIB // 8, (size + 7) // 8)):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
        words.append(z ^ z >> 31)
    block = struct.pack(f"<{len(words)}Q", *words)
    return (block * (size // len(block) + 1))[:size] if size else b""


def table(polynomial: int) -> list[int]:
    entries = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        entries.append(value)
    return entries


TABLES = {4: table(0x82F63B78), 8: table(0x9A6C9329AC4BC9B5)}


def crc(data: bytes, width: int) -> bytes:
    """CRC-32C (4) or CRC-64/NVME (8), bitwise reference by table."""
    ones = (1 << 8 * width) - 1
    value, entries = ones, TABLES[width]
    for byte in data:
        value = value >> 8 ^ entries[(value ^ byte) & 255]
    return (value ^ ones).to_bytes(width, "big")


def crc64nvme(data: bytes) -> bytes:
    return crc(data, 8)


def crc32c(data: bytes) -> bytes:
    return crc(data, 4)


def text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def crc64(data: bytes) -> str:
    return text(crc(data, 8))


def crc32(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    value: str = error.value.response["Error"]["Code"]
    return value


def status(error: pytest.ExceptionInfo[ClientError]) -> int:
    value: int = error.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return value
