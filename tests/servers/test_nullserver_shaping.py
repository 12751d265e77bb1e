"""The null server as an S3 at the other end of a network: rates, latency, throttling, failures, idle connections.

Rates are held to 10 %. A busy machine can make a run slower, never faster: so each may be repeated twice.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from fastdatastore.testing.servers import null
from tests.servers.nullserver_fixture import AUTHORIZED, BUCKET, Server, pattern, running

MB = 1_000_000
CODES = {500: b"<Code>InternalError</Code>", 503: b"<Code>SlowDown</Code>"}


def download(connection: socket.socket, size: int, key: str = "k") -> None:
    connection.sendall(f"GET /b/{key}.{size} HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}\r\n".encode())
    reader = connection.makefile("rb", buffering=65536)
    assert reader.readline().startswith(b"HTTP/1.1 200 ")
    while reader.readline() != b"\r\n":
        pass
    while size:
        got = reader.read(min(size, 65536))
        assert got
        size -= len(got)


def upload(connection: socket.socket, size: int) -> None:
    head = f"PUT /{BUCKET}/k HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}Content-Length: {size}\r\n\r\n"
    connection.sendall(head.encode() + bytes(size))
    assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def seconds(server: Server, connections: int, work: Callable[[socket.socket], None]) -> list[float]:
    """How long each of the connections, all at once, took for its work."""
    took: list[float] = []

    def run() -> None:
        with server.connect() as connection:
            together.wait()
            started = time.monotonic()
            work(connection)
            took.append(time.monotonic() - started)

    together = threading.Barrier(connections)
    threads = [threading.Thread(target=run) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == connections
    return took


def assert_takes(expected: float, attempt: Callable[[], list[float]], first: float = 0.9) -> None:
    """The last connection is done after so many seconds, never earlier, and within 10 % where the machine lets it; then
    the first has taken at least that share of them."""
    for _ in range(10):
        took = attempt()
        assert max(took) > expected * 0.9
        if min(took) > expected * first and max(took) < expected * 1.1:
            return
    pytest.fail(f"{took} s, expected {expected}")


def statuses(server: Server, count: int, path: str = "/b/k.1", method: str = "GET", body: bytes = b"") -> list[int]:
    """The answers to requests one after the other on one connection."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    answers = []
    with contextlib.closing(connection):
        for _ in range(count):
            connection.request(method, path, body or None, {"Authorization": "any"})
            reply = connection.getresponse()
            text = reply.read()
            assert reply.status == 200 or CODES[reply.status] in text
            answers.append(reply.status)
    return answers


@pytest.fixture(params=["http", "https"])
def transport(request: pytest.FixtureRequest) -> tuple[list[str], Path | None]:
    """What a server needs to speak it, and the authority to trust."""
    if request.param == "http":
        return [], None
    ca, options = request.getfixturevalue("tls")
    return options, ca


# ---- rates ----


@pytest.mark.parametrize("connections", [1, 4])
def test_each_connection_downloads_at_its_rate(connections: int, transport: tuple[list[str], Path | None]) -> None:
    options, ca = transport
    with running("fixed", "--down-mb-per-s", "10", *options, ca=ca) as server:
        assert_takes(1, lambda: seconds(server, connections, lambda each: download(each, 10 * MB)))


@pytest.mark.parametrize("connections", [1, 4])
def test_each_connection_uploads_at_its_rate(connections: int, transport: tuple[list[str], Path | None]) -> None:
    options, ca = transport
    with running("sink", "--up-mb-per-s", "10", *options, ca=ca) as server:
        assert_takes(1, lambda: seconds(server, connections, lambda each: upload(each, 10 * MB)))


@pytest.mark.parametrize("threads", ["1", "2"])
def test_all_connections_share_the_link_down(threads: str) -> None:
    with running("fixed", "--link-gbps", "0.4", "--threads", threads) as server:
        assert_takes(1, lambda: seconds(server, 5, lambda each: download(each, 10 * MB)), first=0.7)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_all_connections_share_the_link_up(threads: str) -> None:
    with running("sink", "--link-gbps", "0.4", "--threads", threads) as server:
        assert_takes(1, lambda: seconds(server, 5, lambda each: upload(each, 10 * MB)), first=0.7)


def test_small_objects_on_one_connection_together_keep_its_rate() -> None:
    def fifty(connection: socket.socket) -> None:
        for _ in range(50):
            download(connection, 20_000)

    with running("fixed", "--down-mb-per-s", "1") as server:
        assert_takes(1, lambda: seconds(server, 1, fifty))


def test_nothing_is_saved_up_while_a_connection_idles() -> None:
    with running("fixed", "--down-mb-per-s", "10") as server, server.connect() as connection:
        download(connection, 1000)
        time.sleep(0.5)
        started = time.monotonic()
        download(connection, 3 * MB)
        assert time.monotonic() - started > 0.27


def test_paced_bytes_are_the_same_bytes(transport: tuple[list[str], Path | None]) -> None:
    options, ca = transport
    rates = ["--down-mb-per-s", "30", "--up-mb-per-s", "30", "--first-byte-ms", "1"]
    with running("fixed", *rates, *options, ca=ca) as server:
        assert server.request("GET", "/b/k.3000001")[2] == pattern(3_000_001)
    with running("store", *rates, *options, ca=ca) as server:
        s3 = server.client()
        s3.create_bucket(Bucket=BUCKET)
        data = os.urandom(3_000_001)
        s3.put_object(Bucket=BUCKET, Key="k", Body=data)  # boto3 checks what the server echoes and sends
        assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == data


# ---- latency ----


@pytest.mark.parametrize(("mode", "method", "body"), [("fixed", "GET", b""), ("sink", "PUT", b"x" * 1000)])
def test_a_reply_begins_after_the_latency(mode: str, method: str, body: bytes) -> None:
    with running(mode, "--first-byte-ms", "40") as server:
        took: list[float] = []
        while len(took) < 9 or (min(took) > 0.055 and len(took) < 200):
            started = time.monotonic()
            assert statuses(server, 1, method=method, body=body) == [200]
            took.append(time.monotonic() - started)
    assert 0.04 <= min(took) < 0.055


def test_jitter_spreads_the_latency() -> None:
    with running("fixed", "--first-byte-ms", "10", "--jitter-ms", "40", "--seed", "7") as server:
        took: list[float] = []
        while len(took) < 20 or (min(took) > 0.025 and len(took) < 500):  # a busy machine is rarely so quick
            started = time.monotonic()
            statuses(server, 1)
            took.append(time.monotonic() - started)
    assert 0.01 <= min(took) < 0.025
    assert max(took) > 0.035


def test_latencies_of_many_connections_overlap() -> None:
    with running("fixed", "--first-byte-ms", "200") as server:
        assert_takes(0.2, lambda: seconds(server, 20, lambda each: download(each, 1)))


# ---- refusals ----


def test_requests_above_the_rate_are_told_to_slow_down() -> None:
    with running("fixed", "--max-requests-per-second", "100") as server:
        answers: Counter[int] = Counter()
        started = time.monotonic()
        while time.monotonic() - started < 1:
            answers.update(statuses(server, 20))
        elapsed = time.monotonic() - started
    assert set(answers) == {200, 503}
    assert 100 * elapsed * 0.9 < answers[200] < (100 * elapsed + 10) * 1.1
    assert answers[503] > 0


def test_a_refused_upload_leaves_its_connection_usable() -> None:
    with running("sink", "--max-requests-per-second", "0.1") as server:
        assert statuses(server, 4, method="PUT", body=b"x" * 500_000) == [200, 503, 503, 503]


def test_each_prefix_has_the_rate_for_itself() -> None:
    with running("fixed", "--max-requests-per-second", "0.1", "--per-prefix") as server:
        for path in ("/b/p/k.1", "/b/q/k.1", "/b/p/q/k.1", "/c/p/k.1", "/b/k.1"):
            assert statuses(server, 2, path) == [200, 503], path
        assert statuses(server, 1, "/b/p/another.1") == [503]


def test_a_share_of_the_requests_fails_and_the_seed_repeats_which() -> None:
    runs = []
    for seed in ("1", "1", "2"):
        with running("fixed", "--fail-percent", "30", "--seed", seed) as server:
            runs.append(statuses(server, 400))
    assert set(runs[0]) == {200, 500}
    assert 80 < runs[0].count(500) < 160
    assert runs[0] == runs[1] != runs[2]


# ---- idle connections ----


def is_closed(connection: socket.socket, within: float) -> bool:
    readable, _, _ = select.select([connection], [], [], within)
    return bool(readable) and connection.recv(1) == b""


def test_an_idle_connection_is_closed_and_a_used_one_is_not() -> None:
    with running("fixed", "--idle-close-ms", "300") as server, server.connect() as idle, server.connect() as used:
        download(idle, 1)
        started = time.monotonic()
        for _ in range(8):
            download(used, 1)
            time.sleep(0.1)
        assert is_closed(idle, 0)
        download(used, 1)
        assert is_closed(used, 2)
        assert time.monotonic() - started > 1


def test_a_connection_in_the_middle_of_a_slow_body_is_not_idle() -> None:
    options = ["--idle-close-ms", "100", "--down-mb-per-s", "1", "--first-byte-ms", "300"]
    with running("fixed", *options) as server, server.connect() as connection:
        download(connection, 400_000)
        assert is_closed(connection, 2)


# ---- clients that leave ----


@pytest.fixture
def slow() -> Iterator[Server]:
    options = ["--first-byte-ms", "300", "--down-mb-per-s", "1", "--up-mb-per-s", "1"]
    with running("store", *options) as server:
        server.request("PUT", f"/{BUCKET}")
        yield server


def test_clients_that_leave_while_they_are_paced_do_no_harm(slow: Server) -> None:
    put = f"PUT /{BUCKET}/k HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}Content-Length: 9000000\r\n\r\n".encode()
    get = f"GET /{BUCKET}/k HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}\r\n".encode()
    for request in (get, put + bytes(200_000), put):
        for reset in (False, True):
            for wait in (0.01, 0.35):
                with slow.connect() as connection:
                    connection.sendall(request)
                    time.sleep(wait)
                    if reset:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    before = cpu_seconds(slow)
    time.sleep(0.5)
    assert cpu_seconds(slow) - before < 0.1
    assert slow.request("HEAD", f"/{BUCKET}")[0] == 200


def cpu_seconds(server: Server) -> float:
    """What the server has used so far; 0 where the system doesn't tell."""
    status = Path(f"/proc/{server.process.pid}/stat")
    if not status.exists():
        return 0
    user, system = status.read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


# ---- from Python ----


def test_start_passes_everything_on() -> None:
    with (
        null.start(
            mode="fixed",
            latency_ms=20.5,
            jitter_ms=1,
            down_mb_per_s=10,
            up_mb_per_s=5,
            link_gbps=0.05,
            max_requests_per_second=10,
            per_prefix=True,
            fail_percent=0.001,
            seed=12345,
            idle_close_ms=200,
        ) as server,
        socket.create_connection((server.host, server.port), timeout=20) as connection,
    ):
        started = time.monotonic()
        download(connection, 2 * MB)  # by the link: 6.25 MB/s
        assert time.monotonic() - started > 0.29
        assert is_closed(connection, 2)
