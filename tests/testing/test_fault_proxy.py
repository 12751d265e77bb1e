"""The fault proxy does to a connection exactly what each fault says, and nothing else."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from fastdatastore.testing import servers
from fastdatastore.testing.faults import (
    Answer,
    Bandwidth,
    ChangeHeaders,
    CloseAfter,
    Corrupt,
    ExtraBytes,
    Fault,
    FaultProxy,
    Fin,
    Latency,
    Reframe,
    Reset,
    Slicer,
    Stall,
    SwallowReply,
    answers,
)
from fastdatastore.testing.servers import RunningServer

_SIZE = 1_000_000
_SIGNED = {"Authorization": "AWS4-HMAC-SHA256 any will do"}


@pytest.fixture(scope="module")
def fixed() -> Iterator[RunningServer]:
    """Every key is an object of a pattern."""
    with servers.start("null", mode="fixed", object_size=_SIZE) as server:
        yield server


@pytest.fixture(scope="module")
def pattern(fixed: RunningServer) -> bytes:
    """What the objects of `fixed` hold."""
    with _http(fixed.url) as connection:
        return _get(connection)[1]


@pytest.fixture
def proxy(fixed: RunningServer) -> Iterator[FaultProxy]:
    with FaultProxy(fixed.url) as running:
        yield running


@pytest.fixture
def storing() -> Iterator[tuple[FaultProxy, RunningServer]]:
    """A proxy before a server that keeps objects."""
    with servers.start("null", buckets=("bucket",)) as server, FaultProxy(server.url) as running:
        yield running, server


@contextlib.contextmanager
def _http(url: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def _ask(
    connection: http.client.HTTPConnection, method: str, target: str, body: bytes | None = None, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection.request(method, target, body=body, headers=_SIGNED | headers)
    response = connection.getresponse()
    return response, response.read()


def _get(connection: http.client.HTTPConnection, key: str = "key") -> tuple[http.client.HTTPResponse, bytes]:
    return _ask(connection, "GET", f"/bucket/{key}")


def _put(url: str, body: bytes) -> int:
    with _http(url) as connection:
        return _ask(connection, "PUT", "/bucket/key", body)[0].status


@contextlib.contextmanager
def _tiny_server(reply: bytes) -> Iterator[str]:
    """Answers one connection's first request, whatever it is, with these bytes (a chunked one when it is whole)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                request = sock.recv(1 << 16)
                while b"chunked" in request and not request.endswith(b"0\r\n\r\n"):
                    request += sock.recv(1 << 16)
                sock.sendall(reply)
                while sock.recv(1 << 16):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


@contextlib.contextmanager
def _raw(proxy: FaultProxy, request: bytes = b"") -> Iterator[socket.socket]:
    """A connection on which a GET was sent."""
    port = int(proxy.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(request or b"GET /bucket/key HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4 any\r\n\r\n")
        yield sock


def _read(sock: socket.socket) -> tuple[bytes, bytes]:
    """Head and body, until the connection is closed."""
    data = b""
    while block := sock.recv(1 << 20):
        data += block
    head, _, body = data.partition(b"\r\n\r\n")
    return head, body


def _read_until_reset(sock: socket.socket) -> bytes:
    data = b""
    try:
        while block := sock.recv(1 << 20):
            data += block
    except ConnectionResetError:
        return data
    pytest.fail("the connection was closed in order")


def _is_silent(sock: socket.socket, seconds: float = 0.1) -> bool:
    return not select.select([sock], [], [], seconds)[0]


def test_without_faults_everything_passes_as_it_is(proxy: FaultProxy, fixed: RunningServer, pattern: bytes) -> None:
    with _http(proxy.url) as through, _http(fixed.url) as direct:
        response, body = _get(through)
        plain, _ = _get(direct)
        skip = {"date", "x-amz-request-id", "x-amz-id-2", "last-modified"}
        assert [h for h in response.getheaders() if h[0].lower() not in skip] == [
            h for h in plain.getheaders() if h[0].lower() not in skip
        ]
        assert body == pattern
        assert _get(through)[1] == pattern  # on the same connection
    assert [(passed.connection, passed.operation, passed.bucket, passed.key) for passed in proxy.log] == [
        (1, "GetObject", "bucket", "key")
    ] * 2
    assert proxy.log[0].received == _SIZE


def test_latency_delays_the_head(proxy: FaultProxy) -> None:
    proxy.add(Latency(0.3, jitter=0.1, direction="response", seed=3))
    began = time.monotonic()
    with _http(proxy.url) as connection:
        _get(connection)
    assert 0.2 <= time.monotonic() - began < 10.0


def test_bandwidth_is_bounded(proxy: FaultProxy, pattern: bytes) -> None:
    proxy.add(Bandwidth(2_000_000))
    began = time.monotonic()
    with _http(proxy.url) as connection:
        assert _get(connection)[1] == pattern
    assert 0.45 <= time.monotonic() - began < 10.0


def test_bandwidth_of_a_request_is_bounded(storing: tuple[FaultProxy, RunningServer]) -> None:
    proxy, _ = storing
    proxy.add(Bandwidth(2_000_000, direction="request"))
    began = time.monotonic()
    assert _put(proxy.url, bytes(_SIZE)) == 200
    assert 0.45 <= time.monotonic() - began < 10.0


def test_a_stall_ends_after_its_seconds(proxy: FaultProxy, pattern: bytes) -> None:
    proxy.add(Stall(at=100_000, seconds=0.3))
    began = time.monotonic()
    with _http(proxy.url) as connection:
        assert _get(connection)[1] == pattern
    assert 0.3 <= time.monotonic() - began < 10.0


def test_a_stall_for_ever_forwards_what_comes_before_it(proxy: FaultProxy, pattern: bytes) -> None:
    proxy.add(Stall(at=1000))
    with _raw(proxy) as sock:
        data = b""
        while not _is_silent(sock, 0.2):
            data += sock.recv(1 << 20)
        assert data.partition(b"\r\n\r\n")[2] == pattern[:1000]
        assert proxy.log[0].open
    assert proxy.wait_until_idle()[0].received == 1000


@pytest.mark.parametrize("at", [0, 1, 300_000, _SIZE - 1])
def test_a_reset_comes_at_its_offset(proxy: FaultProxy, pattern: bytes, at: int) -> None:
    fault = Reset(at=at)
    proxy.add(fault)
    with _raw(proxy) as sock:
        data = _read_until_reset(sock)
    assert data.partition(b"\r\n\r\n")[2] == pattern[:at]
    passed = proxy.wait_until_idle()[0]
    assert (passed.received, passed.faults, passed.broken) == (at, (fault,), "")


def test_a_reset_without_an_offset_comes_before_any_byte(proxy: FaultProxy) -> None:
    proxy.add(Reset())
    with _raw(proxy) as sock, pytest.raises(ConnectionResetError):
        sock.recv(1)


def test_a_reset_of_a_request_reaches_both_sides(storing: tuple[FaultProxy, RunningServer]) -> None:
    proxy, server = storing
    proxy.add(Reset(at=1000, direction="request"))
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        _put(proxy.url, bytes(_SIZE))
    assert proxy.wait_until_idle()[0].sent == 1000
    assert "Contents" not in server.client().list_objects_v2(Bucket="bucket")


@pytest.mark.parametrize("at", [0, 1, 300_000, _SIZE - 1])
def test_a_fin_makes_the_body_short(proxy: FaultProxy, pattern: bytes, at: int) -> None:
    proxy.add(Fin(at=at))
    with _raw(proxy) as sock:
        head, body = _read(sock)
    assert f"content-length: {_SIZE}".encode() in head.lower()
    assert body == pattern[:at]


def test_a_fault_beyond_the_body_does_nothing(proxy: FaultProxy, pattern: bytes) -> None:
    proxy.add(Fin(at=_SIZE + 1), Reset(at=2 * _SIZE))
    with _http(proxy.url) as connection:
        assert _get(connection)[1] == pattern
    assert proxy.log[0].faults == ()


def test_an_offset_from_a_range_is_the_same_for_the_same_seed(proxy: FaultProxy) -> None:
    def lengths(seed: int) -> list[int]:
        proxy.clear()
        proxy.add(Fin(at=range(1000, 100_000), seed=seed))
        for _ in range(4):
            with _raw(proxy) as sock:
                _read(sock)
        return [passed.received for passed in proxy.wait_until_idle()]

    first = lengths(1)
    assert len(set(first)) == 4
    assert lengths(1) == first
    assert lengths(2) != first


def test_extra_bytes_follow_the_body(proxy: FaultProxy, pattern: bytes) -> None:
    proxy.add(ExtraBytes(b"junk"), CloseAfter())
    with _raw(proxy) as sock:
        assert _read(sock)[1] == pattern + b"junk"


def test_the_slicer_sends_segments_of_its_size(proxy: FaultProxy, pattern: bytes) -> None:
    proxy.add(Slicer(size=7, delay=0.01), Fin(at=200))
    with _raw(proxy) as sock:
        pieces = []
        while piece := sock.recv(1 << 20):
            pieces.append(piece)
    assert b"".join(pieces).partition(b"\r\n\r\n")[2] == pattern[:200]
    assert [len(piece) for piece in pieces].count(7) > 10  # who is slow to read may get several at once


def test_a_flipped_bit_of_a_response_is_the_only_change(proxy: FaultProxy, pattern: bytes) -> None:
    proxy.add(Corrupt(at=500_001, bit=3), Corrupt(at=500_001, bit=4), Corrupt(at=0))
    with _http(proxy.url) as connection:
        body = bytearray(_get(connection)[1])
    body[500_001] ^= 0b11000
    body[0] ^= 1
    assert body == pattern


def test_a_flipped_bit_of_a_request_is_what_the_server_stores(storing: tuple[FaultProxy, RunningServer]) -> None:
    proxy, server = storing
    proxy.add(Corrupt(at=9, bit=7, direction="request"))
    assert _put(proxy.url, bytes(20)) == 200
    stored = server.client().get_object(Bucket="bucket", Key="key")["Body"].read()
    assert stored == bytes(9) + b"\x80" + bytes(10)


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (answers.slow_down(), 503, b"<Code>SlowDown</Code>"),
        (answers.internal_error(), 500, b"<Code>InternalError</Code>"),
        (answers.expired_token(), 403, b"<Code>ExpiredToken</Code>"),
        (answers.error_in_200(), 200, b"<Error><Code>InternalError</Code>"),
        (answers.error(404, "NoSuchKey"), 404, b"<Code>NoSuchKey</Code>"),
    ],
    ids=lambda value: value if isinstance(value, int) else "",
)
def test_answers_in_the_servers_place(proxy: FaultProxy, answer: Answer, status: int, code: bytes) -> None:
    proxy.add(answer)
    with _http(proxy.url) as connection:
        for _ in range(2):  # and the connection goes on
            response, body = _get(connection)
            assert response.status == status
            assert code in body
    assert [(passed.connection, passed.status) for passed in proxy.log] == [(1, status)] * 2


def test_the_answer_of_a_server_with_another_clock_has_its_date(proxy: FaultProxy) -> None:
    proxy.add(answers.time_too_skewed(3600))
    with _http(proxy.url) as connection:
        response, body = _get(connection)
    date = email.utils.parsedate_to_datetime(response.headers["Date"]).timestamp()
    assert 3590 < date - time.time() < 3610
    assert b"RequestTimeTooSkewed" in body


def test_the_answer_of_a_wrong_region_names_the_right_one(proxy: FaultProxy) -> None:
    proxy.add(answers.wrong_region("eu-west-1"))
    with _http(proxy.url) as connection:
        response, _ = _get(connection)
    assert (response.status, response.headers["x-amz-bucket-region"]) == (301, "eu-west-1")


def test_an_answer_to_head_has_no_body(proxy: FaultProxy) -> None:
    proxy.add(answers.slow_down(times=1))
    with _http(proxy.url) as connection:
        assert _ask(connection, "HEAD", "/bucket/key")[0].status == 503
        assert _get(connection)[0].status == 200


def test_an_answer_may_come_before_the_body_was_read(storing: tuple[FaultProxy, RunningServer]) -> None:
    proxy, _ = storing
    proxy.add(Answer(503, at_once=True))
    with _raw(proxy, b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n") as sock:
        head, _ = _read(sock)
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Connection: close" in head


def test_who_waits_for_100_continue_gets_the_answer_instead(proxy: FaultProxy) -> None:
    proxy.add(answers.slow_down())
    request = b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
    with _raw(proxy, request) as sock:
        assert _read(sock)[0].startswith(b"HTTP/1.1 503 ")


def test_the_servers_100_continue_passes(storing: tuple[FaultProxy, RunningServer]) -> None:
    proxy, _ = storing
    request = (
        b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4 any\r\nContent-Length: 5\r\n"
        b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    with _raw(proxy, request) as sock:
        assert sock.recv(1 << 16).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"hello")
        assert _read(sock)[0].startswith(b"HTTP/1.1 200 ")


def test_an_answer_may_replace_the_reply_of_what_was_done(storing: tuple[FaultProxy, RunningServer]) -> None:
    proxy, server = storing
    proxy.add(Answer(500, forwarded=True))
    assert _put(proxy.url, b"hello") == 500
    assert server.client().get_object(Bucket="bucket", Key="key")["Body"].read() == b"hello"


@pytest.mark.parametrize("how", ["fin", "reset", "stall"])
def test_a_swallowed_reply_is_of_what_was_done(storing: tuple[FaultProxy, RunningServer], how: str) -> None:
    proxy, server = storing
    proxy.add(SwallowReply(how))  # type: ignore[arg-type]
    request = b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4 any\r\nContent-Length: 5\r\n\r\nhello"
    with _raw(proxy, request) as sock:
        if how == "reset":
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        elif how == "fin":
            assert sock.recv(1) == b""
        else:
            assert _is_silent(sock, 0.2)
    assert server.client().get_object(Bucket="bucket", Key="key")["Body"].read() == b"hello"


def test_a_garbage_status_line(proxy: FaultProxy) -> None:
    proxy.add(answers.garbage_status_line())
    with _http(proxy.url) as connection, pytest.raises(http.client.BadStatusLine):
        _get(connection)


def test_an_oversize_header(proxy: FaultProxy) -> None:
    proxy.add(answers.oversize_header(200_000))
    with _http(proxy.url) as connection, pytest.raises(http.client.LineTooLong):
        _get(connection)


def test_headers_are_dropped_and_changed(proxy: FaultProxy) -> None:
    proxy.add(ChangeHeaders({"content-type": "text/plain", "x-new": "1"}, drop=("etag",)))
    with _http(proxy.url) as connection:
        response, body = _get(connection)
    assert response.headers.get_all("content-type") == ["text/plain"]
    assert response.headers["x-new"] == "1"
    assert "etag" not in response.headers
    assert len(body) == _SIZE


def test_headers_of_a_request_are_changed(proxy: FaultProxy, pattern: bytes) -> None:
    proxy.add(ChangeHeaders({"Range": "bytes=5-9"}, direction="request"))
    with _http(proxy.url) as connection:
        assert _get(connection)[1] == pattern[5:10]


def test_chunked_instead_of_a_length(proxy: FaultProxy, pattern: bytes) -> None:
    proxy.add(Reframe("chunked"))
    with _http(proxy.url) as connection:
        for _ in range(2):
            response, body = _get(connection)
            assert response.headers["Transfer-Encoding"] == "chunked"
            assert "Content-Length" not in response.headers
            assert body == pattern


def test_a_body_that_ends_with_the_connection_and_a_fin_that_is_late(proxy: FaultProxy, pattern: bytes) -> None:
    proxy.add(Reframe("close"), CloseAfter(0.3))
    began = time.monotonic()
    with _raw(proxy) as sock:
        head, body = _read(sock)
    assert body == pattern
    assert b"content-length" not in head.lower()
    assert 0.3 <= time.monotonic() - began < 10.0


def test_chunked_messages_pass_in_both_directions() -> None:
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"
    with _tiny_server(reply) as url, FaultProxy(url) as proxy, _http(proxy.url) as connection:
        proxy.add(Corrupt(at=3))
        connection.request("PUT", "/bucket/key", body=iter([bytes(1000), bytes(5000)]), encode_chunked=True)
        assert connection.getresponse().read() == b"abcee"
        assert proxy.log[0].sent == 6000


def test_an_idle_connection_is_closed_between_requests(proxy: FaultProxy) -> None:
    proxy.add(CloseAfter(0.1))
    with _http(proxy.url) as connection:
        _get(connection)
        response, _ = _get(connection)  # in time
        assert response.headers.get("connection") != "close"
        sock = connection.sock
        assert sock.recv(1) == b""


def test_an_idle_connection_is_reset(proxy: FaultProxy) -> None:
    proxy.add(CloseAfter(how="reset"))
    with _http(proxy.url) as connection:
        _get(connection)
        with pytest.raises(ConnectionResetError):
            connection.sock.recv(1)


def test_a_half_closed_connection_swallows_requests(proxy: FaultProxy) -> None:
    proxy.add(CloseAfter(how="half", times=1))
    with _http(proxy.url) as connection:
        _get(connection)
        assert connection.sock.recv(1) == b""
        connection.sock.sendall(b"GET /bucket/key HTTP/1.1\r\n\r\n")
        time.sleep(0.05)
        connection.sock.sendall(b"GET")  # no RST came
        assert len(proxy.log) == 1
        assert proxy.connections == 1


def test_connections_are_refused_and_taken_again_on_the_same_port(proxy: FaultProxy) -> None:
    url = proxy.url
    with _http(url) as before:
        _get(before)
        proxy.refuse()
        assert "refusing" in repr(proxy)
        with _http(url) as connection, pytest.raises(ConnectionRefusedError):
            _get(connection)
        assert _get(before)[0].status == 200
        proxy.listen()
        with _http(url) as connection:
            assert _get(connection)[0].status == 200


@pytest.mark.parametrize("reset", [False, True])
def test_all_connections_are_dropped_at_once(proxy: FaultProxy, reset: bool) -> None:
    proxy.add(Stall(at=10))
    with _raw(proxy) as sock:
        while not _is_silent(sock, 0.2):
            sock.recv(1 << 16)
        proxy.drop_connections(reset=reset)
        if reset:
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        else:
            assert sock.recv(1) == b""
    assert proxy.connections == 0
    assert proxy.log[0].broken == "the proxy dropped the connection"


def test_a_server_that_is_gone_closes_the_clients_connection() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and never listens
        with FaultProxy(f"http://127.0.0.1:{bound.getsockname()[1]}") as proxy, _raw(proxy) as sock:
            assert sock.recv(1) == b""
            assert "ConnectionRefusedError" in proxy.wait_until_idle()[0].broken


@pytest.mark.parametrize(
    ("method", "target", "headers", "operation"),
    [
        ("GET", "/", {}, "ListBuckets"),
        ("GET", "/bucket?list-type=2&prefix=a%2Fb", {}, "ListObjectsV2"),
        ("GET", "/bucket/?uploads", {}, "ListMultipartUploads"),
        ("POST", "/bucket?delete", {}, "DeleteObjects"),
        ("HEAD", "/bucket/a/b", {}, "HeadObject"),
        ("PUT", "/bucket/a?partNumber=1&uploadId=x", {}, "UploadPart"),
        ("PUT", "/bucket/a?partNumber=1&uploadId=x", {"x-amz-copy-source": "/b/k"}, "UploadPartCopy"),
        ("PUT", "/bucket/a", {"x-amz-copy-source": "/b/k"}, "CopyObject"),
        ("POST", "/bucket/a?uploads=", {}, "CreateMultipartUpload"),
        ("POST", "/bucket/a?uploadId=x", {}, "CompleteMultipartUpload"),
        ("DELETE", "/bucket/a?uploadId=x", {}, "AbortMultipartUpload"),
        ("DELETE", "/bucket/a%20b%2Fc", {}, "DeleteObject"),
    ],
)
def test_operations_are_told_apart(
    proxy: FaultProxy, method: str, target: str, headers: dict[str, str], operation: str
) -> None:
    proxy.add(answers.slow_down(operation=operation, times=1))
    with _http(proxy.url) as connection:
        assert _ask(connection, method, target, None, **headers)[0].status == 503
    assert proxy.log[0].operation == operation


def test_faults_strike_only_what_they_are_aimed_at(proxy: FaultProxy) -> None:
    proxy.add(
        answers.error(500, "Nth", key=r"^nth\d$", nth=(2, 4)),
        answers.error(500, "Times", key="times", times=2),
        answers.error(500, "Method", key="method", method="PUT"),
        answers.error(500, "Operation", key="operation", operation="HeadObject"),
        answers.error(500, "Chance", key="chance", probability=0.5, seed=7),
    )

    def statuses(key: str, count: int = 4) -> list[int]:
        return [_get(connection, key)[0].status for _ in range(count)]

    with _http(proxy.url) as connection:
        assert statuses("nth1") == [200, 500, 200, 500]
        assert statuses("a/nth1") == [200] * 4
        assert statuses("times") == [500, 500, 200, 200]
        assert statuses("method") == [200] * 4
        assert statuses("operation") == [200] * 4
        assert 60 < statuses("chance", 200).count(500) < 140
        proxy.clear()
        assert proxy.log == []
        assert statuses("times") == [200] * 4


def test_the_state_is_in_its_repr(fixed: RunningServer) -> None:
    proxy = FaultProxy(fixed.url)
    assert "not started" in repr(proxy)
    with proxy, _http(proxy.url) as connection:
        proxy.add(answers.slow_down(nth=1))
        _get(connection)
        _get(connection)
        proxy.wait_until_idle()
        assert repr(proxy) == (
            f"<FaultProxy {proxy.url} → {fixed.url} [connections: 1 open, 1 accepted | "
            "requests: 0 under way, 2 passed | faults: Answer struck 1 of 2]>"
        )


def test_clients_may_come_by_tls(fixed: RunningServer, pattern: bytes) -> None:
    with FaultProxy(fixed.url, tls=True) as proxy:
        assert proxy.ca_file is not None
        directory = proxy.ca_file.parent
        context = ssl.create_default_context(cafile=str(proxy.ca_file))
        address = proxy.url.removeprefix("https://")
        connection = http.client.HTTPSConnection(address, context=context, timeout=10)
        with contextlib.closing(connection):
            assert _get(connection)[1] == pattern
            proxy.add(Fin(at=100_000))
            with pytest.raises((http.client.IncompleteRead, ssl.SSLEOFError)):
                _get(connection)
    assert not directory.exists()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fault(operation="GetObjcet"),
        lambda: Fault(probability=1.5),
        lambda: Corrupt(at=0, bit=8),
        lambda: Bandwidth(0),
        lambda: Slicer(0),
        lambda: Reset(at=range(0)),
        lambda: Stall(direction="up"),  # type: ignore[arg-type]
        lambda: FaultProxy("https://127.0.0.1:1"),
        lambda: FaultProxy("127.0.0.1:1"),
    ],
)
def test_what_cannot_be_is_refused(make: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()  # type: ignore[operator]


def test_nothing_is_left_after_the_end(fixed: RunningServer) -> None:
    before = threading.active_count()
    with FaultProxy(fixed.url) as proxy:
        proxy.add(Stall(at=0))
        stalled = _raw(proxy)
        sock = stalled.__enter__()
        url = proxy.url
        sock.recv(1)
    assert threading.active_count() == before
    _read_until_reset(sock)
    sock.close()
    with _http(url) as connection, pytest.raises(ConnectionRefusedError):
        _get(connection)
    proxy.close()  # harmless


def test_boto_passes_unharmed(s3_server: RunningServer, bucket: str) -> None:
    body = bytes(range(256)) * 48_000  # two parts
    with FaultProxy(s3_server.url) as proxy:
        with contextlib.closing(s3_server.client(endpoint_url=proxy.url)) as client:
            client.put_object(Bucket=bucket, Key="a key/ü+", Body=body)
            assert client.get_object(Bucket=bucket, Key="a key/ü+")["Body"].read() == body
            upload = client.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
            parts = [
                {
                    "PartNumber": number,
                    "ETag": client.upload_part(
                        Bucket=bucket, Key="parts", UploadId=upload, PartNumber=number, Body=body
                    )["ETag"],
                }
                for number in (1, 2)
            ]
            client.complete_multipart_upload(
                Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts}
            )
            got = client.get_object(Bucket=bucket, Key="parts", Range="bytes=12287990-12288009")["Body"].read()
            assert got == (body + body)[12287990:12288010]
            listed = client.list_objects_v2(Bucket=bucket)["Contents"]
            assert sorted(entry["Key"] for entry in listed) == ["a key/ü+", "parts"]
            client.delete_object(Bucket=bucket, Key="parts")
        log = proxy.wait_until_idle()
    assert [passed.operation for passed in log] == [
        "PutObject",
        "GetObject",
        "CreateMultipartUpload",
        "UploadPart",
        "UploadPart",
        "CompleteMultipartUpload",
        "GetObject",
        "ListObjectsV2",
        "DeleteObject",
    ]
    assert {passed.broken for passed in log} == {""}
    assert log[0].key == "a key/ü+"
    assert log[6].range == "bytes=12287990-12288009"
