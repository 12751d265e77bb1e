"""What the engine relies on, of each data plane."""

from __future__ import annotations

import base64
import gc
import hashlib
import os
import select
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from fastdatastore.testing import servers
from fastdatastore.testing.servers import RunningServer
from tests.engine.planes.caller import Caller
from tests.support.scripted_server import Reply, ScriptedServer, StoredObject, in_turn

CONTENT = os.urandom(3_000_000)
HEAD_OF_100 = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


@pytest.fixture(scope="module")
def null_server() -> Iterator[RunningServer]:
    with servers.start("null", buckets=("bucket",)) as server:
        yield server


@pytest.fixture
def url(null_server: RunningServer, caller: Caller) -> str:
    """Of a server that has CONTENT under /bucket/key."""
    assert caller.ask(null_server.url, "PUT", body=CONTENT).status == 200
    return null_server.url


# ---- downloads ----


def test_a_whole_body_lands_in_its_target_with_its_crc(caller: Caller, url: str) -> None:
    target = bytearray(len(CONTENT))
    report = caller.ask(url, target=target, download_crc=caller.module.CRC64NVME)
    assert (report.outcome, report.status, report.landed) == (caller.module.DONE, 200, len(CONTENT))
    assert report.content_length == len(CONTENT)
    assert target == CONTENT
    assert report.crc == caller.module.crc(caller.module.CRC64NVME, CONTENT)
    assert report.content == b""
    assert report.why == ""


def test_a_body_is_scattered_over_several_targets(caller: Caller, url: str) -> None:
    sizes = (1, 700_000, 0, len(CONTENT) - 700_001)
    targets = tuple(bytearray(size) for size in sizes)
    report = caller.ask(url, target=targets, download_crc=caller.module.CRC32)
    assert report.outcome == caller.module.DONE
    assert b"".join(targets) == CONTENT
    assert report.crc == caller.module.crc(caller.module.CRC32, CONTENT)


def test_a_range_lands_in_a_slice(caller: Caller, url: str) -> None:
    region = memoryview(bytearray(1000))
    report = caller.ask(url, headers=(("range", "bytes=500-699"),), target=region[100:300])
    assert (report.status, report.landed) == (206, 200)
    assert report.headers["content-range"] == f"bytes 500-699/{len(CONTENT)}"
    assert region == bytes(100) + CONTENT[500:700] + bytes(700)


def test_a_body_that_goes_on_where_the_target_ends_is_cut(caller: Caller, url: str) -> None:
    target = bytearray(1000)
    report = caller.ask(url, target=target, download_crc=caller.module.CRC32)
    assert (report.outcome, report.landed, bytes(target)) == (caller.module.CUT, 1000, CONTENT[:1000])
    assert report.crc == caller.module.crc(caller.module.CRC32, CONTENT[:1000])
    assert not caller.ask(url, "HEAD").reused


def test_a_short_body_leaves_the_rest_of_its_target_alone(caller: Caller, url: str) -> None:
    target = bytearray(b"-" * (len(CONTENT) + 10))
    report = caller.ask(url, target=target)
    assert (report.outcome, report.landed) == (caller.module.DONE, len(CONTENT))
    assert target == CONTENT + b"-" * 10


def test_a_long_body_pauses_and_proceeds_to_a_target(caller: Caller, url: str) -> None:
    caller.submit(url, pause_above=1000)
    head = caller.report()
    assert head.paused
    assert (head.status, head.content_length, head.landed, len(caller.queue)) == (200, len(CONTENT), 0, 1)
    target = bytearray(len(CONTENT))
    caller.queue.proceed("tag", target, caller.module.CRC64NVME)
    report = caller.report()
    assert (report.paused, report.outcome, len(caller.queue)) == (False, caller.module.DONE, 0)
    assert target == CONTENT
    assert report.crc == caller.module.crc(caller.module.CRC64NVME, CONTENT)


def test_a_paused_body_proceeds_to_several_buffers(caller: Caller, url: str) -> None:
    caller.submit(url, pause_above=1000)
    assert caller.report().paused
    targets = bytearray(32), bytearray(), bytearray(1), bytearray(len(CONTENT) - 33)
    with pytest.raises(BufferError):
        caller.queue.proceed("tag", (*targets[:3], b"read-only"), caller.module.NO_CRC)
    with pytest.raises(ValueError, match="needs a buffer"):
        caller.queue.proceed("tag", (), caller.module.NO_CRC)
    caller.queue.proceed("tag", targets, caller.module.CRC64NVME)
    report = caller.report()
    assert (report.outcome, report.landed) == (caller.module.DONE, len(CONTENT))
    assert b"".join(targets) == CONTENT
    assert report.crc == caller.module.crc(caller.module.CRC64NVME, CONTENT)


def test_a_paused_body_may_be_cut(caller: Caller, url: str) -> None:
    caller.submit(url, pause_above=1000)
    assert caller.report().paused
    target = bytearray(5000)
    caller.queue.proceed("tag", target, caller.module.NO_CRC)
    report = caller.report()
    assert (report.outcome, report.landed, bytes(target)) == (caller.module.CUT, 5000, CONTENT[:5000])


def test_a_pause_outlasts_the_stall_timeout(caller: Caller, url: str) -> None:
    caller.submit(url, pause_above=1000, stall_timeout=0.3)
    assert caller.report().paused
    assert caller.queue.take(1.0) == []
    caller.queue.proceed("tag", bytearray(len(CONTENT)), caller.module.NO_CRC)
    assert caller.report().outcome == caller.module.DONE


def test_only_what_has_paused_can_proceed(caller: Caller, url: str) -> None:
    with pytest.raises(KeyError):
        caller.queue.proceed("tag", bytearray(1), caller.module.NO_CRC)
    caller.submit(url, pause_above=1000)
    assert caller.report().paused
    with pytest.raises(BufferError):
        caller.queue.proceed("tag", b"read-only", caller.module.NO_CRC)
    with pytest.raises(KeyError):
        caller.queue.proceed("another", bytearray(1), caller.module.NO_CRC)


def test_a_small_body_comes_with_its_head(caller: Caller) -> None:
    with ScriptedServer(in_turn(Reply(200, b"small"))) as server:
        report = caller.ask(server.url, pause_above=5, download_crc=caller.module.CRC32)
    assert (report.paused, report.content, report.landed) == (False, b"small", 5)
    assert report.crc == caller.module.crc(caller.module.CRC32, b"small")


def test_a_body_over_what_the_request_allows_is_refused(caller: Caller, url: str) -> None:
    report = caller.ask(url, content_max=1000)
    assert (report.outcome, len(report.content)) == (caller.module.PROTOCOL_ERROR, 1000)
    assert "larger than this request allows" in report.why


@pytest.mark.parametrize("status", [200, 503])
def test_a_long_body_of_unknown_length_is_cut_where_a_known_one_would_pause(caller: Caller, status: int) -> None:
    raw = f"HTTP/1.1 {status} So\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".encode()
    with ScriptedServer(in_turn(Reply(raw=raw))) as server:
        report = caller.ask(server.url, pause_above=4, content_max=4)
        assert caller.ask(server.url, pause_above=5, content_max=5).outcome == caller.module.DONE
    assert report.content_length is None
    expected = (caller.module.CUT, b"hell") if status == 200 else (caller.module.DONE, b"hello")
    assert (report.outcome, report.content) == expected


def test_an_error_keeps_64_kib_of_its_body_and_leaves_the_target_alone(caller: Caller) -> None:
    target = bytearray(10)
    with ScriptedServer(in_turn(Reply(503, b"e" * 100_000), Reply(404, b"gone"))) as server:
        first = caller.ask(server.url, target=target, download_crc=caller.module.CRC32)
        second = caller.ask(server.url, target=target)
    assert (first.outcome, first.status, first.content) == (caller.module.DONE, 503, b"e" * 65536)
    assert first.crc == 0
    assert (second.outcome, second.status, second.content) == (caller.module.DONE, 404, b"gone")
    assert target == bytes(10)


def test_a_body_without_a_length_ends_with_the_connection(caller: Caller) -> None:
    with ScriptedServer(in_turn(Reply(raw=b"HTTP/1.0 200 OK\r\n\r\nuntil the end", close=True))) as server:
        report = caller.ask(server.url, pause_above=1)
    assert (report.outcome, report.content, report.content_length) == (caller.module.DONE, b"until the end", None)


def test_a_chunked_body_is_decoded(caller: Caller) -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"
    target = bytearray(11)
    with ScriptedServer(in_turn(Reply(raw=raw))) as server:
        kept = caller.ask(server.url)
        landed = caller.ask(server.url, target=target)
    assert (kept.content, kept.content_length) == (b"hello world", None)
    assert (landed.outcome, landed.landed, bytes(target)) == (caller.module.DONE, 11, b"hello world")


def test_a_compressed_body_stays_as_it_is_stored(caller: Caller) -> None:
    with ScriptedServer(in_turn(Reply(200, b"not really gzip", {"content-encoding": "gzip"}))) as server:
        assert caller.ask(server.url).content == b"not really gzip"


def test_a_redirect_is_an_answer(caller: Caller) -> None:
    with ScriptedServer(in_turn(Reply(307, b"there", {"location": "http://127.0.0.1:1/"}))) as server:
        report = caller.ask(server.url)
    assert (report.outcome, report.status, report.headers["location"]) == (0, 307, "http://127.0.0.1:1/")


@pytest.mark.fault(23)
def test_interim_responses_are_passed_over(caller: Caller) -> None:
    raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with ScriptedServer(in_turn(Reply(raw=raw))) as server:
        assert caller.ask(server.url).content == b"ok"


def test_equal_headers_read_as_a_list_with_names_in_lower_case(caller: Caller) -> None:
    raw = b"HTTP/1.1 200 OK\r\nX-Two: a\r\nx-two: b\r\nX-Odd: \xe9\r\nContent-Length: 0\r\n\r\n"
    with ScriptedServer(in_turn(Reply(raw=raw))) as server:
        report = caller.ask(server.url)
    assert (report.headers["x-two"], report.headers["x-odd"]) == ("a, b", "é")


# ---- progress ----


def test_what_has_moved_is_seen_while_it_moves(caller: Caller) -> None:
    with ScriptedServer(in_turn(Reply(200, b"d" * 70, {"content-length": "100"}))) as server:
        caller.submit(server.url, "PUT", body=b"u" * 1000, target=bytearray(100), tag="up and down")
        caller.submit(server.url, target=bytearray(100), tag="down")
        deadline = time.monotonic() + 10
        while caller.queue.moved < 1140 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sorted(caller.queue.progress()) == [("down", 70), ("up and down", 1070)]
        caller.queue.cancel()
        assert {caller.report().landed for _ in range(2)} == {70}
    assert (caller.queue.progress(), caller.queue.moved) == ([], 1140)


# ---- requests ----


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
def test_an_upload_tells_its_crc_in_the_head(caller: Caller, null_server: RunningServer, algorithm: str) -> None:
    number = getattr(caller.module, algorithm)
    pieces = (CONTENT[:10], memoryview(CONTENT)[10:1_000_000], b"", bytearray(CONTENT[1_000_000:]))
    report = caller.ask(null_server.url, "PUT", body=pieces, upload_crc=number)
    crc = caller.module.crc(number, CONTENT)
    assert (report.outcome, report.status, report.sent, report.crc) == (0, 200, len(CONTENT), crc)
    expected = base64.b64encode(crc.to_bytes(8 if algorithm == "CRC64NVME" else 4, "big")).decode()
    assert report.headers[f"x-amz-checksum-{algorithm.lower()}"] == expected
    assert caller.ask(null_server.url, content_max=len(CONTENT)).content == CONTENT


def test_a_flipped_bit_on_the_way_up_is_refused(caller: Caller, null_server: RunningServer) -> None:
    wrong = (("x-amz-checksum-crc32", "AAAAAA=="),)
    assert caller.ask(null_server.url, "PUT", body=b"content", headers=wrong).status == 400


def test_head_has_a_length_and_no_body(caller: Caller, url: str) -> None:
    report = caller.ask(url, "HEAD", pause_above=1, target=bytearray(10))
    assert (report.outcome, report.status, report.content_length) == (caller.module.DONE, 200, len(CONTENT))
    assert (report.paused, report.landed, report.content) == (False, 0, b"")
    assert caller.ask(url, "HEAD").reused


def test_delete_then_not_found(caller: Caller, url: str) -> None:
    assert caller.ask(url, "DELETE").status == 204
    report = caller.ask(url)
    assert (report.outcome, report.status) == (caller.module.DONE, 404)
    assert b"<Code>NoSuchKey</Code>" in report.content


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_empty_upload_says_its_length(caller: Caller, method: str) -> None:
    with ScriptedServer(in_turn(Reply(200))) as server:
        caller.ask(server.url, method)
        caller.ask(server.url, method, body=b"")
    assert [request.headers["content-length"] for request in server.requests] == ["0", "0"]


@pytest.mark.parametrize("key", ["a b", "a+b%20c", "../up/./x", "//", "é", "?#&=", "~._-", "a%2Fb", "'()*!", ";:@,$"])
def test_a_path_goes_out_encoded_once_and_not_normalized(caller: Caller, key: str) -> None:
    path = f"/bucket/{key}"
    with ScriptedServer(in_turn(Reply(200))) as server:
        caller.ask(server.url, path=path, query=(("prefix", key), ("list-type", "2"), ("a", "")))
    target, _, query = server.requests[0].target.partition("?")
    assert target == caller.module.uri_encode(path, True)
    assert query == f"a=&list-type=2&prefix={caller.module.uri_encode(key)}"


def test_a_signature_covers_what_is_sent(caller: Caller) -> None:
    """Both planes' are compared with botocore's own, over the headers that they name."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    body = b"the body"
    with ScriptedServer(in_turn(Reply(200))) as server:
        for options in ({}, {"sign_payload": True}, {"clock_offset": 3600}):
            query = (("uploads", ""), ("a b", "c/d"))
            headers = (("x-amz-meta-two", "b  c "), ("user-agent", "tests"))
            caller.ask(server.url, "PUT", "/bucket/a b/é", body=body, query=query, headers=headers, **options)
    hashes = [request.headers["x-amz-content-sha256"] for request in server.requests]
    assert hashes == ["UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest(), "UNSIGNED-PAYLOAD"]
    stamps = [request.headers["x-amz-date"] for request in server.requests]
    assert 3590 < _seconds_of(stamps[2]) - _seconds_of(stamps[0]) < 3610
    for request in server.requests:
        assert request.headers["host"] == server.url.removeprefix("http://")
        signed = request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        assert {"host", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-two"} <= set(signed)
        again = AWSRequest(method="PUT", url=server.url + request.target)
        for name in signed:
            again.headers[name] = request.headers[name]
        again.context["timestamp"] = request.headers["x-amz-date"]
        signer = S3SigV4Auth(Credentials("access", "secret"), "s3", "us-east-1")
        names = signer.headers_to_sign(again)
        canonical = "\n".join(
            [
                "PUT",
                request.target.partition("?")[0],
                signer.canonical_query_string(again),
                signer.canonical_headers(names) + "\n",
                ";".join(signed),
                request.headers["x-amz-content-sha256"],
            ]
        )
        signature = signer.signature(signer.string_to_sign(again, canonical), again)
        assert request.headers["authorization"].endswith(f"Signature={signature}")


def test_without_credentials_nothing_is_signed(caller: Caller) -> None:
    with ScriptedServer(in_turn(Reply(200))) as server:
        caller.ask(server.url, signed=False)
    assert "authorization" not in server.requests[0].headers


def test_a_session_token_is_sent(caller: Caller) -> None:
    caller.credentials = caller.module.Credentials("access", "secret", "the-token", "us-east-1")
    with ScriptedServer(in_turn(Reply(200))) as server:
        caller.ask(server.url)
    assert server.requests[0].headers["x-amz-security-token"] == "the-token"


def test_an_order_that_cannot_be_sent_is_refused_at_once(caller: Caller) -> None:
    url = "http://127.0.0.1:1"
    good = caller.order(url)
    for order, error in (
        (good[:-1], TypeError),
        (list(good), TypeError),
        (caller.order(url, headers=(("a", "b\r\nc: d"),)), ValueError),
        ((*good[:6], ("ab",), *good[7:]), TypeError),
        (caller.order(url, target=b"read-only"), BufferError),
        (caller.order(url, body="text"), TypeError),
        (caller.order(url, upload_crc=7), ValueError),
        (("tag", "endpoint", *good[2:]), TypeError),
    ):
        with pytest.raises(error):
            caller.queue.submit([good, order])
    with pytest.raises(TypeError):
        caller.queue.submit((good,))
    assert len(caller.queue) == 0


# ---- connections ----


def test_a_connection_serves_one_request_after_another(caller: Caller, null_server: RunningServer) -> None:
    first, second = (caller.ask(null_server.url, "HEAD") for _ in range(2))
    assert (first.reused, second.reused) == (False, True)
    assert first.peer == second.peer == null_server.url.removeprefix("http://")


def test_the_times_of_a_report_add_up(caller: Caller) -> None:
    def slowly(request: Any) -> Reply:
        time.sleep(0.2)
        return Reply(200, b"x")

    with ScriptedServer(slowly) as server:
        report = caller.ask(server.url)
    assert report.waited >= 0
    assert 0.15 < report.first_byte < 2
    assert report.waited + report.first_byte <= report.took + 0.01


def test_no_more_connections_than_allowed_are_opened(caller: Caller) -> None:
    def slowly(request: Any) -> Reply:
        time.sleep(0.01)
        return Reply(200)

    with ScriptedServer(slowly) as server:
        endpoint = caller.endpoint(server.url, connections=3)
        caller.queue.submit([caller.order(endpoint, tag=i) for i in range(30)])
        tags = sorted(caller.report().tag for _ in range(30))
    assert tags == list(range(30))
    assert len({request.connection for request in server.requests}) <= 3


def test_many_at_once_each_get_their_own_bytes(caller: Caller) -> None:
    with servers.start("null", mode="fixed", object_size=10_000) as server:
        caller.queue.submit([caller.order(server.url, path=f"/bucket/{i}.{1000 + i}", tag=i) for i in range(300)])
        reports: list[Any] = []
        while len(caller.queue):
            reports += caller.queue.take(10.0)
    assert {(report.tag, len(report.content)) for report in reports} == {(i, 1000 + i) for i in range(300)}


def test_a_refused_connection(caller: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    report = caller.ask(f"http://127.0.0.1:{port}")
    assert (report.outcome, report.status, report.peer) == (caller.module.CONNECT_FAILED, 0, report.peer)
    assert "cannot connect" in report.why


def test_a_name_that_does_not_resolve(caller: Caller) -> None:
    report = caller.ask("http://no-such-host.invalid:80")
    assert report.outcome == caller.module.RESOLVE_FAILED
    assert report.why


@pytest.mark.parametrize("reply", [Reply(reset=True), Reply(raw=b"", close=True), Reply(raw=b"HTTP/1.1 2", close=True)])
def test_a_connection_that_ends_before_the_response(caller: Caller, reply: Reply) -> None:
    with ScriptedServer(in_turn(reply)) as server:
        report = caller.ask(server.url)
    assert (report.outcome, report.status) == (caller.module.DISCONNECTED, 0)
    assert report.why
    assert len(server.requests) == 1  # whether it is tried again is for the engine to say


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_kept_connection_that_ends_is_reported_as_reused(caller: Caller, method: str) -> None:
    with ScriptedServer(in_turn(Reply(200), Reply(reset=True))) as server:
        assert caller.ask(server.url).outcome == caller.module.DONE
        report = caller.ask(server.url, method)
    assert (report.outcome, report.status, report.reused) == (caller.module.DISCONNECTED, 0, True)
    assert len(server.requests) == 2


def test_a_body_that_is_cut_short_says_how_far_it_came(caller: Caller) -> None:
    target = bytearray(100)
    with ScriptedServer(in_turn(Reply(raw=HEAD_OF_100 + b"x" * 60, close=True))) as server:
        report = caller.ask(server.url, target=target, download_crc=caller.module.CRC32)
    assert (report.outcome, report.status) == (caller.module.DISCONNECTED, 200)
    # What had come when the connection ended may be lost, but never counted wrongly.
    assert report.landed in (0, 60)
    assert target == b"x" * report.landed + bytes(100 - report.landed)
    assert report.crc == caller.module.crc(caller.module.CRC32, target[: report.landed])


def test_silence_is_a_stall(caller: Caller) -> None:
    with ScriptedServer(in_turn(Reply(hang=True))) as server:
        report = caller.ask(server.url, stall_timeout=0.3)
        assert (report.outcome, report.status) == (caller.module.STALLED, 0)
        assert 0.3 <= report.took < 2
        assert caller.ask(caller.endpoint(server.url, stall_timeout=0.3)).outcome == caller.module.STALLED


def test_a_body_that_stands_still_is_a_stall(caller: Caller) -> None:
    target = bytearray(100)
    with ScriptedServer(in_turn(Reply(raw=HEAD_OF_100 + b"x" * 60))) as server:
        report = caller.ask(server.url, target=target, stall_timeout=0.3)
    assert (report.outcome, report.status, report.landed) == (caller.module.STALLED, 200, 60)


@pytest.mark.parametrize(
    "raw", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n", b"HTTP/1.1 999999 X\r\n\r\n"]
)
def test_what_is_not_http_is_refused(caller: Caller, raw: bytes) -> None:
    with ScriptedServer(in_turn(Reply(raw=raw, close=True))) as server:
        report = caller.ask(server.url)
    assert report.outcome == caller.module.PROTOCOL_ERROR


def test_a_head_without_end_is_refused(caller: Caller) -> None:
    raw = b"HTTP/1.1 200 OK\r\n" + b"x-%d: y\r\n" * 20000
    with ScriptedServer(in_turn(Reply(raw=raw % tuple(range(20000)), close=True))) as server:
        assert caller.ask(server.url).outcome == caller.module.PROTOCOL_ERROR


# ---- TLS ----


def test_tls_with_a_certificate_of_the_given_authority(caller: Caller, tmp_path: Path) -> None:
    authority, context = _authority("127.0.0.1")
    with ScriptedServer(StoredObject(CONTENT).get, tls=context) as server:
        target = bytearray(len(CONTENT))
        endpoint = caller.endpoint(server.url, _written(authority, tmp_path))
        report = caller.ask(endpoint, target=target)
        assert (report.outcome, report.why, target == CONTENT) == (caller.module.DONE, "", True)
        assert caller.ask(endpoint, "HEAD").reused


@pytest.mark.parametrize("wrong", ["authority", "host"])
def test_tls_with_a_wrong_certificate(caller: Caller, tmp_path: Path, wrong: str) -> None:
    authority, context = _authority("127.0.0.1" if wrong == "authority" else "other.example")
    trusted = trustme.CA() if wrong == "authority" else authority
    with ScriptedServer(in_turn(Reply(200)), tls=context) as server:
        report = caller.ask(caller.endpoint(server.url, _written(trusted, tmp_path)))
    assert (report.outcome, report.status, server.requests) == (caller.module.TLS_FAILED, 0, [])
    assert "certificate" in report.why


def test_a_bundle_that_is_none_is_refused(caller: Caller, tmp_path: Path) -> None:
    (tmp_path / "bundle.pem").write_text("no certificates")
    for path in (tmp_path / "bundle.pem", tmp_path / "missing.pem"):
        with pytest.raises(OSError, match=r"cannot load certificates.*pem"):
            caller.endpoint("https://127.0.0.1:1", str(path))


# ---- cancelling and closing ----


def test_queued_active_and_paused_attempts_can_be_cancelled(caller: Caller, url: str) -> None:
    with ScriptedServer(in_turn(Reply(hang=True))) as server:
        endpoint = caller.endpoint(server.url, connections=1)
        caller.queue.submit([caller.order(endpoint, tag=tag) for tag in ("active", "queued")])
        caller.submit(url, tag="paused", pause_above=1000)
        assert caller.report().paused
        for tag in ("queued", "paused", "active"):
            caller.queue.cancel(tag)
            report = caller.report()
            assert (report.tag, report.outcome, report.paused) == (tag, caller.module.CANCELLED, False)
        assert len(caller.queue) == 0


def test_a_pause_that_was_not_taken_gives_way_to_the_end(caller: Caller, url: str) -> None:
    caller.submit(url, pause_above=1000)
    assert select.select([caller.queue], [], [], 10)[0]
    caller.queue.cancel()
    deadline = time.monotonic() + 5
    while caller.plane.in_flight and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [(r.paused, r.outcome) for r in caller.queue.take(1.0)] == [(False, caller.module.CANCELLED)]
    assert len(caller.queue) == 0


def test_an_upload_can_be_cancelled(caller: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes what its buffers hold, then nothing
        body = bytearray(64 << 20)
        caller.submit(f"http://127.0.0.1:{silent.getsockname()[1]}", "PUT", body=body)
        assert caller.queue.take(0.5) == []
        caller.queue.cancel()
        report = caller.report()
    assert report.outcome == caller.module.CANCELLED
    assert 0 < report.sent < len(body)


def test_an_upload_that_nobody_takes_is_a_stall(caller: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        caller.submit(f"http://127.0.0.1:{silent.getsockname()[1]}", "PUT", body=bytes(64 << 20), stall_timeout=0.3)
        assert caller.report().outcome == caller.module.STALLED


def test_an_answer_in_the_middle_of_an_upload_counts(caller: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection = listener.accept()[0]
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
            time.sleep(0.5)
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        body = bytearray(64 << 20)
        report = caller.ask(f"http://127.0.0.1:{listener.getsockname()[1]}", "PUT", body=body)
    assert (report.outcome, report.status, report.content) == (caller.module.DONE, 403, b"no")
    assert report.sent < len(body)


def test_closing_reports_all_that_was_in_flight(caller: Caller, url: str) -> None:
    with ScriptedServer(in_turn(Reply(hang=True))) as server:
        endpoint = caller.endpoint(server.url, connections=1)
        caller.queue.submit([caller.order(endpoint, tag=tag) for tag in ("active", "queued")])
        caller.submit(url, tag="paused", pause_above=1000)
        assert caller.report().paused
        caller.plane.close()
        reports = caller.queue.take(5.0)
    assert {report.tag for report in reports} == {"active", "queued", "paused"}
    assert {(report.outcome, report.why) for report in reports} == {(caller.module.CANCELLED, "the engine was closed")}
    assert (len(caller.queue), caller.plane.closed, caller.plane.in_flight) == (0, True, 0)
    assert caller.queue.take() == []
    with pytest.raises(RuntimeError, match="closed"):
        caller.submit(url)
    caller.plane.close()


def test_a_queue_that_is_dropped_lets_go_of_its_buffers(caller: Caller) -> None:
    body = bytearray(1000)
    with ScriptedServer(in_turn(Reply(hang=True))) as server:
        caller.submit(server.url, "PUT", body=body)
        assert caller.queue.take(0.2) == []
        caller.queue = caller.module.Queue(caller.plane)
        gc.collect()
        assert caller.plane.in_flight == 0
        body.append(0)  # a bytearray that is viewed cannot grow


# ---- taking ----


def test_take_waits_no_longer_than_its_timeout(caller: Caller) -> None:
    with ScriptedServer(in_turn(Reply(hang=True))) as server:
        assert caller.queue.take() == []  # nothing is in flight
        caller.submit(server.url)
        began = time.monotonic()
        assert caller.queue.take(0.0) == []
        assert caller.queue.take(0.3) == []
        assert 0.25 < time.monotonic() - began < 10  # the server's silence is longer
        caller.queue.cancel()
        assert len(caller.queue.take()) == 1


def test_take_returns_at_most_what_was_asked_for(caller: Caller, null_server: RunningServer) -> None:
    caller.queue.submit([caller.order(null_server.url, "HEAD", tag=i) for i in range(5)])
    taken = []
    while len(caller.queue):
        reports = caller.queue.take(5.0, 2)
        assert 1 <= len(reports) <= 2
        taken += [report.tag for report in reports]
    assert sorted(taken) == [0, 1, 2, 3, 4]


def test_the_descriptor_is_readable_while_there_are_reports(caller: Caller, null_server: RunningServer) -> None:
    def readable(seconds: float) -> bool:
        return bool(select.select([caller.queue.fileno()], [], [], seconds)[0])

    assert not readable(0)
    caller.queue.submit([caller.order(null_server.url, "HEAD", tag=i) for i in range(2)])
    deadline = time.monotonic() + 5
    while caller.plane.in_flight and time.monotonic() < deadline:
        time.sleep(0.01)
    assert readable(1)
    caller.queue.take(0.0, 1)
    assert readable(0)
    caller.queue.take(0.0, 1)
    assert not readable(0)


def test_a_signal_ends_the_wait(caller: Caller) -> None:
    class Alarm(Exception):
        pass

    def ring(number: int, frame: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with ScriptedServer(in_turn(Reply(hang=True))) as server:
            caller.submit(server.url)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            began = time.monotonic()
            with pytest.raises(Alarm):
                caller.queue.take()
            assert time.monotonic() - began < 10  # the server's silence is longer
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_queues_do_not_take_each_others_reports(caller: Caller, null_server: RunningServer) -> None:
    other = caller.module.Queue(caller.plane)
    caller.submit(null_server.url, "HEAD", tag="mine")
    other.submit([caller.order(null_server.url, "HEAD", tag="the other's")])
    assert other.take(5.0)[0].tag == "the other's"
    assert caller.report().tag == "mine"


def test_states_are_visible_and_secrets_are_not(caller: Caller, null_server: RunningServer) -> None:
    assert repr(caller.credentials) == "<Credentials (hidden)>"
    host = null_server.url.removeprefix("http://")
    assert repr(caller.endpoint(null_server.url)) == f"<Endpoint http://{host}, 16 connections a loop>"
    assert repr(caller.plane) == "<Plane 1 loops | 0 attempts in flight>"
    assert repr(caller.queue) == "<Queue of 0 attempts in flight>"
    caller.plane.close()
    assert repr(caller.plane) == "<Plane closed>"


# ---- forks ----


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_leaves_the_parents_transfers_alone(caller: Caller, url: str) -> None:
    caller.submit(url, pause_above=1000)
    assert caller.report().paused
    caller.plane.before_fork()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            caller.plane.after_fork_in_child()
            again = Caller(caller.module)
            code = 0 if caller.plane.closed and again.ask(url, "HEAD").status == 200 else 2
            again.plane.close()
        finally:
            os._exit(code)
    caller.plane.after_fork_in_parent()
    assert os.waitpid(child, 0)[1] == 0
    target = bytearray(len(CONTENT))
    caller.queue.proceed("tag", target, caller.module.NO_CRC)
    assert caller.report().outcome == caller.module.DONE
    assert target == CONTENT


def _authority(host: str) -> tuple[trustme.CA, ssl.SSLContext]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return authority, context


def _written(authority: trustme.CA, folder: Path) -> str:
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    return str(folder / "authority.pem")


def _seconds_of(stamp: str) -> float:
    import calendar

    return calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
