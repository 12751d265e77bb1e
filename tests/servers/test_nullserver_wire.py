"""What comes over the wire: Expect, pipelining, slow clients, garbage, malformed XML."""

from __future__ import annotations

import contextlib
import os
import socket
import time

import pytest

from tests.servers.nullserver_fixture import AUTHORIZED, BUCKET, MIB, Server, pattern


def receive_until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        piece = connection.recv(65536)
        assert piece, data
        data += piece
    return data


def test_expect_100_continue_is_answered(store: Server) -> None:
    head = f"PUT /{BUCKET}/expect HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}"
    head += "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with store.connect() as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        assert receive_until(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        connection.sendall(head.replace(f"/{BUCKET}/", "/none/").encode())
        reply = connection.recv(65536)
        assert reply.startswith(b"HTTP/1.1 404 ")
        assert b"connection: close" in reply


def test_pipelined_and_dribbled_requests_are_answered_in_order(sink: Server) -> None:
    requests = b"".join(
        f"PUT /b/k{n} HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}Content-Length: {n}\r\n\r\n".encode() + b"x" * n
        for n in range(40)
    )
    for step in (len(requests), 7):
        with sink.connect() as connection:
            for at in range(0, len(requests), step):
                connection.sendall(requests[at : at + step])
            replies = b""
            while replies.count(b"\r\n\r\n") < 40:
                replies += connection.recv(65536)
            assert replies.count(b"HTTP/1.1 200 OK") == 40


def test_pipelined_bodies_larger_than_one_turn_come_whole(fixed: Server) -> None:
    request = f"GET /b/k.6000000 HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}\r\n".encode()
    with fixed.connect() as connection:
        connection.sendall(request * 5)
        reader = connection.makefile("rb")
        for _ in range(5):
            assert b"content-length: 6000000\r\n" in list(iter(reader.readline, b"\r\n"))
            assert reader.read(6_000_000) == pattern(6_000_000)


def test_a_slow_client_holds_nobody_up(fixed: Server) -> None:
    with fixed.connect() as slow, fixed.connect() as half:
        slow.sendall(f"GET /b/k.1000000000 HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}\r\n".encode())
        half.sendall(b"GET /b/k.10 HTTP/1.1\r\nHo")
        started = time.monotonic()
        for _ in range(20):
            assert fixed.request("GET", "/b/k.10")[0] == 200
        assert time.monotonic() - started < 10


GARBAGE = [
    b"\x00\x01\x02\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /b/k HTTP/2.0\r\n\r\n",
    b"GET http://x/b/k HTTP/1.1\r\n\r\n",
    b"GET /b/%zz HTTP/1.1\r\nAuthorization: a\r\n\r\n",
    b"GET /b/k HTTP/1.1\r\nBad Name: x\r\n\r\n",
    b"GET /b/k HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
    b"GET /b/k HTTP/1.1\r\nA: \x00\r\n\r\n",
    b"GET /b/k HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
    b"GET /b/k HTTP/1.1\r\nno colon\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
    b"GET /" + b"a" * 70000,
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 300 + b"\r\n",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda data: repr(data[:40]))
def test_garbage_is_answered_and_the_connection_closed(sink: Server, garbage: bytes) -> None:
    with sink.connect() as connection:
        connection.sendall(garbage)
        reply = b""
        while piece := connection.recv(65536):
            reply += piece
    assert reply.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert b"<Code>" in reply
    assert sink.request("HEAD", "/b")[0] == 200


def test_random_bytes_and_broken_handshakes_do_no_harm(store: Server) -> None:
    for size in (1, 100, 5000, 100_000):
        connection = socket.create_connection(("127.0.0.1", store.port), timeout=20)
        with connection, contextlib.suppress(OSError):
            connection.sendall(os.urandom(size))
    for cut in range(1, 200, 7):
        with store.connect() as connection:
            connection.sendall(
                f"PUT /{BUCKET}/cut HTTP/1.1\r\n{AUTHORIZED}Content-Length: 999\r\n\r\nabc".encode()[:cut]
            )
    assert store.request("HEAD", f"/{BUCKET}")[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"<a/>",
        b"<Delete>",
        b"<Delete></Other>",
        b"<Delete/>",
        b"x<Delete/>",
        b"<!DOCTYPE a><Delete><Object><Key>k</Key></Object></Delete>",
        b"<Delete><Object><Key>&bad;</Key></Object></Delete>",
        b"<Delete><Object></Object></Delete>",
        b"<a>" * 100,
        b"<Delete><Object><Key>k</Key></Object></Delete><again/>",
    ],
)
def test_malformed_xml_is_refused(store: Server, body: bytes) -> None:
    answer, _, reply = store.request("POST", f"/{BUCKET}?delete", body)
    assert (answer, b"<Code>MalformedXML</Code>" in reply) == (400, True)


def test_xml_is_read_with_entities_comments_and_prefixes(store: Server) -> None:
    body = (
        b'<?xml version="1.0"?><!-- c --><s:Delete xmlns:s="x>y"><s:Object><s:Key>a&amp;<![CDATA[<b>]]>&#x1F600;'
        b"</s:Key></s:Object></s:Delete> "
    )
    answer, _, reply = store.request("POST", f"/{BUCKET}?delete", body)
    assert answer == 200
    assert "<Key>a&amp;&lt;b&gt;\U0001f600</Key>".encode() in reply
    assert b"MaxMessageLengthExceeded" in store.request("POST", f"/{BUCKET}?delete", b"x" * (8 * MIB + 1))[2]
