"""What goes wrong on the wire: no byte is lost or silently wrong, whatever server is at its end.

Numbers name the cases of the project's list of faults.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from fastdatastore import errors
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.config import MIB
from fastdatastore.engine import retry
from fastdatastore.engine.client import Client
from fastdatastore.engine.head import HeadJob
from fastdatastore.engine.ranges import ByteRange
from fastdatastore.testing.faults import (
    Bandwidth,
    ChangeHeaders,
    CloseAfter,
    ExtraBytes,
    Fault,
    FaultProxy,
    Fin,
    Reframe,
    Reset,
    Slicer,
    Stall,
    answers,
)
from tests.support.clients import FixedCredentials, client_at
from tests.support.faulty import LARGE, MIDDLING, PART, PATIENT, SMALL, Way
from tests.support.scripted_server import Received, Reply, ScriptedServer, StoredObject

# ---- connecting: 1, 2 ----


@pytest.mark.fault(1)
def test_a_refused_connection_is_an_error_soon(wire: Way) -> None:
    wire.proxy.refuse()
    began = time.monotonic()
    with pytest.raises(errors.ConnectError) as raised:
        wire.get("key")
    assert raised.value.attempts > 1
    assert time.monotonic() - began < 10.0


@pytest.mark.fault(1)
def test_a_server_that_restarts_is_waited_for(wire: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BASE", 1.0)
    monkeypatch.setattr(retry, "CAP", 1.0)
    monkeypatch.setattr(retry, "CONNECT_ATTEMPTS", 50)
    wire.proxy.refuse()
    timer = threading.Timer(0.5, wire.proxy.listen)
    timer.start()
    try:
        assert wire.get("small", attempts=50) == SMALL
    finally:
        timer.join()


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that takes no more connections and does not refuse them either."""
    with contextlib.ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):  # its queue is full before these have all their place
            waiting = open_sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.fault(2)
def test_a_server_that_takes_no_connection_is_given_up_in_time(deaf_port: int) -> None:
    client = client_at(f"http://127.0.0.1:{deaf_port}", connect_timeout=0.3)
    began = time.monotonic()
    with pytest.raises(errors.ConnectError, match=r"0\.3 s.*AWS_ENDPOINT_URL") as raised:
        client.run_one(client.get("bucket", "key"))
    assert raised.value.attempts == retry.CONNECT_ATTEMPTS
    assert time.monotonic() - began < 10.0


# ---- connections that break: 5, 6, 7 ----


@pytest.mark.fault(5)
@pytest.mark.parametrize("fault", [Reset(times=1), Fin(times=1)], ids=["reset", "fin"])
def test_a_connection_that_breaks_before_any_byte_is_tried_again(wire: Way, fault: Fault) -> None:
    wire.proxy.add(fault)
    assert wire.get("small") == SMALL
    wire.proxy.clear()
    wire.proxy.add(fault)
    wire.put(SMALL)
    assert wire.stored() == SMALL
    wire.proxy.clear()
    wire.proxy.add(fault)
    client = wire.client()
    assert client.run_one(HeadJob(wire.place.bucket, "small")).size == len(SMALL)


@pytest.mark.fault(7)
@pytest.mark.parametrize("kind", [Reset, Fin])
def test_a_body_that_always_breaks_is_an_error_and_no_file(
    wire: Way, tmp_path: Path, kind: type[Reset] | type[Fin]
) -> None:
    wire.proxy.add(kind(at=0))
    client = wire.client()
    with pytest.raises(errors.ConnectionLost) as raised:
        client.run_one(client.get(wire.place.bucket, "large", client.file_sink(tmp_path / "file")))
    assert raised.value.attempts == client.settings.attempts
    assert list(tmp_path.iterdir()) == []


def test_all_connections_lost_at_once_lose_nothing(wire: Way) -> None:
    wire.proxy.add(Stall(at=MIB, seconds=1.0))
    timer = threading.Timer(0.5, wire.proxy.drop_connections, kwargs={"reset": True})
    timer.start()
    try:
        assert wire.get("large") == LARGE
    finally:
        timer.join()


# ---- too much, too slow: 8, 9, 11 ----


@pytest.mark.fault(8)
def test_bytes_beyond_the_body_never_reach_a_result(wire: Way) -> None:
    client = wire.client()
    for key, content in (("small", SMALL), ("large", LARGE), ("small", SMALL)):
        wire.proxy.clear()
        wire.proxy.add(ExtraBytes(LARGE[:1000], times=1))
        assert bytes(client.run_one(client.get(wire.place.bucket, key)).content) == content


@pytest.mark.fault(9)
@pytest.mark.parametrize("at", [None, 0, 3 * MIB])
def test_a_download_that_stalls_is_given_up_and_resumed(wire: Way, at: int | None) -> None:
    wire.proxy.add(Stall(at=at, times=2))
    began = time.monotonic()
    assert wire.get("large", stall_timeout=0.5) == LARGE
    assert time.monotonic() - began < 10.0


@pytest.mark.fault(9)
@pytest.mark.parametrize("at", [None, 0, MIB])
def test_an_upload_that_stalls_is_given_up_and_sent_again(wire: Way, at: int | None) -> None:
    wire.proxy.add(Stall(at=at, times=2, direction="request", operation="UploadPart"))
    began = time.monotonic()
    wire.put(MIDDLING, stall_timeout=0.5)
    assert time.monotonic() - began < 10.0
    assert wire.stored() == MIDDLING


def test_a_slow_line_is_no_stall(wire: Way) -> None:
    wire.proxy.add(Bandwidth(20_000))
    assert wire.get("small", stall_timeout=0.5) == SMALL
    assert len(wire.proxy.log) == 1


def test_a_slow_line_that_many_share_is_no_trickle(wire: Way) -> None:
    wire.proxy.add(Bandwidth(7_000))
    client = wire.client(stall_timeout=1.0)
    jobs = client.run_all([client.get(wire.place.bucket, "small") for _ in range(6)])
    assert [bytes(job.content) for job in jobs] == [SMALL] * 6
    assert sum(job.retries for job in jobs) == 0


@pytest.mark.fault(10)
def test_a_trickle_is_given_up_on_the_way_down(wire: Way) -> None:
    wire.proxy.add(Bandwidth(1_000, times=1))
    assert wire.get("small", stall_timeout=1.0) == SMALL
    assert len(wire.proxy.log) == 2
    wire.proxy.clear()
    # More than the least rate, but next to nothing beside the others.
    wire.proxy.add(Bandwidth(20_000, nth=4))
    assert wire.get("large", stall_timeout=1.0) == LARGE
    assert wire.struck(Bandwidth) == 1


@pytest.mark.fault(10)
def test_a_trickle_is_given_up_on_the_way_up(wire: Way) -> None:
    wire.proxy.add(Bandwidth(20_000, nth=2, direction="request", operation="UploadPart"))
    wire.put(LARGE, stall_timeout=1.0)
    assert wire.stored() == LARGE
    assert wire.struck(Bandwidth) == 1


@pytest.mark.fault(10)
def test_what_only_trickles_is_an_error_that_says_so(wire: Way) -> None:
    wire.proxy.add(Bandwidth(1_000))
    with pytest.raises(errors.ConnectionLost, match="bytes a second moved for"):
        wire.get("small", stall_timeout=1.0, attempts=2)
    assert len(wire.proxy.wait_until_idle()) == 2


@pytest.mark.fault(11)
@pytest.mark.parametrize("direction", ["request", "response"])
def test_segments_of_one_byte_are_put_together(wire: Way, direction: Any) -> None:
    wire.proxy.add(Slicer(1, direction=direction))
    wire.put(SMALL)
    assert wire.get(wire.new) == SMALL


@pytest.mark.fault(11)
def test_small_segments_cost_no_more_than_their_number(wire: Way) -> None:
    wire.proxy.add(Slicer(1460))
    began = time.monotonic()
    assert wire.get("large") == LARGE
    assert time.monotonic() - began < 30.0


# ---- keep-alive: 12, 13 ----


@pytest.mark.fault(12)
@pytest.mark.parametrize(
    "fault",
    [CloseAfter(), CloseAfter(how="reset"), CloseAfter(how="half"), CloseAfter(0.05)],
    ids=["fin", "reset", "half", "late"],
)
def test_a_connection_closed_while_it_idled_costs_no_attempt(wire: Way, fault: Fault) -> None:
    wire.proxy.add(fault)
    client = wire.client(attempts=1)
    for _ in range(5):
        assert bytes(client.run_one(client.get(wire.place.bucket, "small")).content) == SMALL
        time.sleep(0.06)


@pytest.mark.fault(12)
def test_a_late_close_after_a_body_without_a_length_is_waited_for(wire: Way) -> None:
    wire.proxy.add(Reframe("close"), CloseAfter(0.3))
    assert wire.get("small") == SMALL


# ---- TLS: 16, 17 ----


def test_a_certificate_that_does_not_verify_is_an_error_at_once(wire: Way) -> None:
    with FaultProxy(wire.place.server.url, tls=True) as proxy, FaultProxy(wire.place.server.url, tls=True) as other:
        endpoint = EndpointConfig(proxy.url, "us-east-1", str(other.ca_file), "path")
        client = Client(endpoint, FixedCredentials("any", "will do"))
        with pytest.raises(errors.TlsError) as raised:
            client.run_one(client.get(wire.place.bucket, "small"))
        assert raised.value.attempts == 1
        assert proxy.log == []


@pytest.mark.fault(17)
def test_a_tls_connection_closed_without_notice_is_a_truncation(wire: Way) -> None:
    with FaultProxy(wire.place.server.url, tls=True) as proxy:
        proxy.add(Fin(at=range(PART), probability=0.5, seed=1))
        assert Way(wire.place, proxy).get("large", attempts=PATIENT) == LARGE
        assert any(passed.faults for passed in proxy.log)


@pytest.mark.fault(16)
@pytest.mark.parametrize("wrong", ["expired", "self-signed", "another host"])
def test_a_bad_certificate_is_an_error_at_once(wire: Way, tmp_path: Path, wrong: str) -> None:
    authority = trustme.CA()
    names = ["elsewhere.example"] if wrong == "another host" else ["127.0.0.1"]
    over = datetime(2020, 1, 1, tzinfo=UTC) if wrong == "expired" else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=over).configure_cert(context)
    trusted = trustme.CA() if wrong == "self-signed" else authority
    trusted.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with ScriptedServer(StoredObject(SMALL).get, context) as server:
        endpoint = EndpointConfig(server.url, "us-east-1", str(tmp_path / "ca.pem"), "path")
        client = Client(endpoint, FixedCredentials("any", "will do"))
        with pytest.raises(errors.TlsError, match="AWS_CA_BUNDLE") as raised:
            client.run_one(client.get("bucket", "key"))
        assert raised.value.attempts == 1
        assert server.requests == []


@pytest.mark.fault(18)
@pytest.mark.parametrize(
    "cipher", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]
)
def test_a_server_may_choose_a_slow_cipher(tmp_path: Path, cipher: str) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(cipher)
    with ScriptedServer(StoredObject(LARGE).get, context) as server:
        endpoint = EndpointConfig(server.url, "us-east-1", str(tmp_path / "ca.pem"), "path")
        client = Client(endpoint, FixedCredentials("any", "will do"))
        assert bytes(client.run_one(client.get("bucket", "key")).content) == LARGE


# ---- HTTP: 22, 23, 24, 26 ----


@pytest.mark.fault(23)
def test_an_upload_never_waits_for_100_continue() -> None:
    def script(received: Received) -> Reply:
        assert "expect" not in received.headers
        # Nobody asked for it; some servers say it all the same.
        return Reply(raw=b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\netag: "e"\r\ncontent-length: 0\r\n\r\n')

    with ScriptedServer(script) as server:
        client = client_at(server.url)
        assert client.run_one(client.put("bucket", "key", LARGE[:MIB])).attempts == 1
        assert server.requests[0].body == LARGE[:MIB]


@pytest.mark.fault(22)
@pytest.mark.parametrize("make", [answers.garbage_status_line, answers.oversize_header], ids=["status", "header"])
def test_what_is_no_http_is_an_error_only_when_it_lasts(wire: Way, make: Any) -> None:
    wire.proxy.add(make(times=1))
    assert wire.get("small") == SMALL
    wire.proxy.add(make())
    with pytest.raises(errors.ProtocolError):
        wire.get("small")


@pytest.mark.fault(24)
@pytest.mark.parametrize("to", ["chunked", "close"])
@pytest.mark.parametrize("size", [0, 1, len(SMALL)])
def test_a_small_body_without_a_length_is_taken_whole(wire: Way, to: Any, size: int) -> None:
    wire.put(LARGE[:size])
    wire.proxy.add(Reframe(to))
    assert wire.get(wire.new) == LARGE[:size]


@pytest.mark.fault(24)
@pytest.mark.parametrize("to", ["chunked", "close"])
@pytest.mark.parametrize("byte_range", [None, ByteRange(PART - 1, 2 * PART), ByteRange(suffix=2 * PART)])
def test_a_large_body_without_a_length_comes_by_ranges(wire: Way, to: Any, byte_range: ByteRange | None) -> None:
    wire.proxy.add(Reframe(to))
    offset, length = (byte_range or ByteRange()).within(len(LARGE))
    assert wire.get("large", byte_range) == LARGE[offset : offset + length]
    asked = [passed.range for passed in wire.proxy.wait_until_idle()]
    assert ("bytes=0-0" in asked) == (byte_range is None)


def test_a_large_body_without_a_length_survives_breaks(wire: Way) -> None:
    wire.proxy.add(Reframe("chunked"), Reset(at=range(1 << 20), probability=0.3, seed=2))
    assert wire.get("large", attempts=PATIENT) == LARGE
    assert wire.struck(Reset)


def test_a_large_body_without_a_length_or_ranges_is_an_error(wire: Way) -> None:
    wire.proxy.add(Reframe("chunked"), ChangeHeaders(drop=("content-range",)))
    with pytest.raises(errors.ProtocolError, match="its size cannot be known"):
        wire.get("large")


@pytest.mark.fault(24)
def test_a_body_without_a_length_that_is_cut_is_never_taken_for_whole(wire: Way) -> None:
    wire.proxy.add(Reframe("chunked"), Fin(at=10_000))
    with pytest.raises(errors.ConnectionLost):
        wire.get("small")
    wire.proxy.clear()
    wire.proxy.add(Reframe("close"), Fin(at=10_000))
    with pytest.raises(errors.S3Error):  # only the checksum tells
        wire.get("small")


@pytest.mark.fault(26)
def test_a_range_without_its_content_range_is_an_error(wire: Way) -> None:
    wire.proxy.add(ChangeHeaders(drop=("content-range",)))
    with pytest.raises(errors.ProtocolError):
        wire.get("large")
    with pytest.raises(errors.ProtocolError):
        wire.get("large", ByteRange(10, 10))


# ---- refusals: 40 ----


@pytest.mark.fault(40)
def test_a_server_that_only_refuses_is_an_error_with_its_count(wire: Way) -> None:
    wire.proxy.add(answers.slow_down())
    with pytest.raises(errors.Throttled) as raised:
        wire.put(MIDDLING, attempts=4)
    assert (raised.value.attempts, raised.value.code, len(wire.proxy.log)) == (4, "SlowDown", 4)
