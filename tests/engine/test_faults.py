"""Faults on the wire: what is survived, what is an error, and that no byte is ever wrong."""

from __future__ import annotations

import gzip
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any
from xml.sax.saxutils import escape

import pytest

from fastdatastore import errors
from fastdatastore.auth.credentials import CredentialProvider, Credentials
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.config import MIB, Settings
from fastdatastore.engine import integrity
from fastdatastore.engine.client import Client
from fastdatastore.engine.get import GetJob
from fastdatastore.engine.head import HeadJob
from fastdatastore.engine.listing import ListJob
from fastdatastore.engine.put import Condition, PutJob, PutStreamJob
from fastdatastore.engine.ranges import ByteRange
from tests.support.clients import FixedCredentials, client_at
from tests.support.scripted_server import Received, Reply, Script, ScriptedServer, StoredObject, error_reply, in_turn

LARGE = random.Random(5).randbytes(12 * MIB + 7)
PART = 5 * MIB
CONFLICT = error_reply(409, "ConditionalRequestConflict")
STORED = Reply(200, headers={"etag": '"e"'})  # to a PUT


def checksum(content: bytes) -> dict[str, str]:
    from fastdatastore import _native

    value = _native.crc(_native.CRC64NVME, content)
    return {"x-amz-checksum-crc64nvme": integrity.encode("crc64nvme", value), "x-amz-checksum-type": "FULL_OBJECT"}


def get(url: str, byte_range: ByteRange | None = None, **settings: Any) -> GetJob:
    client = client_at(url, **settings)
    return client.run_one(client.get("bucket", "key", byte_range=byte_range))


def put(url: str, content: bytes, **settings: Any) -> PutJob:
    client = client_at(url, **settings)
    return client.run_one(client.put("bucket", "key", content))


def at_first(fault: Reply, then: Script, times: int = 1, where: Callable[[Received], bool] = lambda r: True) -> Script:
    """The fault the first `times` that `where` holds."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def script(received: Received) -> Reply:
        with lock:
            if where(received) and seen["fault"] < times:
                seen["fault"] += 1
                return fault
        return then(received)

    return script


# ---- refused, then answered ----


@pytest.mark.fault(29)
@pytest.mark.parametrize(
    "fault",
    [
        error_reply(503, "SlowDown"),
        error_reply(500, "InternalError"),
        Reply(502, b"<html>Bad Gateway</html>"),
        error_reply(400, "RequestTimeout"),
        Reply(429),
        Reply(reset=True),
        Reply(close=True, raw=b""),
        Reply(close=True, raw=b"HTTP/1.1 200"),
        Reply(close=True, raw=b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        Reply(200, b"half of it", {"content-length": "20"}, stop_after=10),
    ],
    ids=["SlowDown", "500", "502", "RequestTimeout", "429", "reset", "closed", "cut head", "garbage", "short body"],
)
def test_a_passing_fault_is_retried(fault: Reply) -> None:
    stored = StoredObject(b"content", headers=checksum(b"content"))
    with ScriptedServer(at_first(fault, stored.get)) as server:
        job = get(server.url)
        assert job.content.tobytes() == b"content"
        assert (job.attempts, job.retries) == (2, 1)
        assert len(server.requests) == 2


def test_throttling_is_survived_until_the_attempts_are_used_up() -> None:
    with ScriptedServer(at_first(error_reply(503, "SlowDown"), StoredObject(b"x").get, times=2)) as server:
        assert get(server.url, attempts=3).content.tobytes() == b"x"
    with ScriptedServer(in_turn(error_reply(503, "SlowDown"))) as server:
        with pytest.raises(errors.Throttled) as caught:
            get(server.url, attempts=2)
        assert len(server.requests) == caught.value.attempts == 2
        assert caught.value.code == "SlowDown"
        assert caught.value.request_id == "req-1"


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Reply(500), errors.ServerError),
        (Reply(reset=True), errors.ConnectionLost),
        (Reply(close=True, raw=b"garbage\r\n\r\n"), errors.ProtocolError),
        (Reply(200, b"half", {"content-length": "9"}, stop_after=4), errors.ConnectionLost),
        (Reply(raw=b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000, close=True), errors.ProtocolError),
    ],
    ids=["500", "reset", "garbage", "short body", "head over 64 KiB"],
)
def test_a_lasting_fault_is_an_error_of_its_own(fault: Reply, error: type[errors.S3Error]) -> None:
    with ScriptedServer(in_turn(fault)) as server, pytest.raises(error, match=r"GetObject s3://bucket/key.*What to do"):
        get(server.url, attempts=2)


def test_a_half_dead_server_loses_nothing() -> None:
    generator = random.Random(2)
    stored = StoredObject(LARGE, headers=checksum(LARGE))
    faults = [
        error_reply(503, "SlowDown"),
        Reply(reset=True),
        Reply(500),
    ]

    def script(received: Received) -> Reply:
        if generator.random() < 0.5:
            return generator.choice(faults)
        reply = stored.get(received)
        return replace(reply, stop_after=generator.randrange(len(reply.body))) if generator.random() < 0.3 else reply

    with ScriptedServer(script) as server:
        client = client_at(server.url, attempts=30)
        for job in client.run_all([client.get("bucket", "key") for _ in range(2)]):
            assert job.content.tobytes() == LARGE
            assert job.verified_by == "crc64nvme"


def test_the_size_of_a_version_that_came_without_a_length_is_that_versions() -> None:
    stored = StoredObject(LARGE)
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE), LARGE)
    unsized = Reply(raw=b'HTTP/1.1 200 OK\r\netag: "e1"\r\ntransfer-encoding: chunked\r\n\r\n' + chunk, close=True)
    with ScriptedServer(lambda r: stored.get(r) if "range" in r.headers else unsized) as server:
        client = client_at(server.url)
        assert client.run_one(client.get("bucket", "key", version_id="v1")).content == LARGE
        assert len(server.requests) > 2
        assert {received.query.get("versionId") for received in server.requests} == {"v1"}


# ---- bodies that end early ----


@pytest.mark.fault(6)
@pytest.mark.parametrize("stop", [1, 1000, PART - 1, 3 * MIB])
def test_a_body_cut_short_goes_on_where_it_stopped(stop: int) -> None:
    stored = StoredObject(LARGE, headers=checksum(LARGE))

    def script(received: Received) -> Reply:
        reply = stored.get(received)
        return replace(reply, stop_after=stop) if received.number == 0 else reply

    with ScriptedServer(script) as server:
        job = get(server.url)
        assert job.content.tobytes() == LARGE
        assert job.verified_by == "crc64nvme"
        resumed = [r for r in server.requests[1:] if r.range[1] == PART - 1]
        assert [r.range[0] for r in resumed] == [stop]
        assert all(r.headers["if-match"] == '"e1"' for r in server.requests[1:])


@pytest.mark.fault(54)
def test_parts_are_asked_for_by_their_range_never_by_their_number() -> None:
    # Ceph answers ?partNumber= with the part's own ETag, which no If-Match with the object's can meet.
    stored = StoredObject(LARGE, '"d41d8cd98f00b204e9800998ecf8427e-3"')
    with ScriptedServer(stored.get) as server:
        assert get(server.url).content.tobytes() == LARGE
        assert all(received.query == {} for received in server.requests)
        assert {received.headers["if-match"] for received in server.requests[1:]} == {stored.etag}


@pytest.mark.fault(7)
def test_a_ranged_part_cut_short_twice_goes_on_twice() -> None:
    stored = StoredObject(LARGE, headers=checksum(LARGE))
    stops = {PART: 1000, PART + 1000: 2000}

    def script(received: Received) -> Reply:
        reply = stored.get(received)
        if "range" in received.headers and received.range[0] in stops:
            return replace(reply, stop_after=stops[received.range[0]])
        return reply

    with ScriptedServer(script) as server:
        assert get(server.url).content.tobytes() == LARGE
        firsts = [r.range[0] for r in server.requests[1:] if r.range[1] == 2 * PART - 1]
        assert firsts == [PART, PART + 1000, PART + 3000]


@pytest.mark.fault(8)
def test_more_bytes_than_announced_are_never_taken() -> None:
    stored = StoredObject(LARGE, headers=checksum(LARGE))

    def script(received: Received) -> Reply:
        reply = stored.get(received)
        if received.number != 1:
            return reply
        head = f"HTTP/1.1 206 P\r\ncontent-length: {len(reply.body)}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in reply.headers.items()
        )
        return Reply(raw=head.encode() + b"\r\n" + reply.body + b"more", close=True)

    with ScriptedServer(script) as server:
        assert get(server.url).content.tobytes() == LARGE


@pytest.mark.fault(9)
def test_a_stalled_server_is_given_up_and_asked_again() -> None:
    with ScriptedServer(at_first(Reply(hang=True), StoredObject(b"x").get)) as server:
        assert get(server.url, stall_timeout=1).content.tobytes() == b"x"


# ---- objects and servers that are not what they seem ----


@pytest.mark.fault(37)
def test_an_object_replaced_meanwhile_is_modified_never_a_mixture() -> None:
    old, new = StoredObject(LARGE), StoredObject(LARGE[::-1], '"e2"')
    with (
        ScriptedServer(lambda r: (old if r.number == 0 else new).get(r)) as server,
        pytest.raises(errors.Modified, match=r'its ETag was "e1", now it is "e2".*What to do: read it again'),
    ):
        get(server.url)


@pytest.mark.fault(37, 57)
def test_an_object_deleted_in_the_middle_is_modified_too() -> None:
    old = StoredObject(LARGE)

    def script(received: Received) -> Reply:
        if received.method == "HEAD":
            return Reply(404)
        return old.get(received) if received.number == 0 else error_reply(412, "PreconditionFailed")

    with ScriptedServer(script) as server, pytest.raises(errors.Modified, match=r'its ETag was "e1", it is gone now'):
        get(server.url)


@pytest.mark.fault(26)
def test_a_part_of_the_wrong_range_is_an_error() -> None:
    stored = StoredObject(LARGE)

    def script(received: Received) -> Reply:
        reply = stored.get(received)
        if "content-range" in reply.headers:
            reply.headers["content-range"] = f"bytes 0-{len(reply.body) - 1}/{len(LARGE)}"
        return reply

    with ScriptedServer(script) as server, pytest.raises(errors.ProtocolError, match="asked for"):
        get(server.url)


@pytest.mark.fault(25)
def test_a_part_answered_by_the_whole_object_is_an_error() -> None:
    whole = Reply(200, LARGE, {"etag": '"e1"'})
    with ScriptedServer(in_turn(whole)) as server, pytest.raises(errors.ProtocolError, match="HTTP 200"):
        get(server.url)


@pytest.mark.fault(25)
@pytest.mark.parametrize("byte_range", [ByteRange(5, 10), ByteRange(0, 10), ByteRange(suffix=3), ByteRange(5)])
def test_a_range_that_the_server_ignores_is_an_error(byte_range: ByteRange) -> None:
    with (
        ScriptedServer(in_turn(Reply(200, b"0123456789abcdef"))) as server,
        pytest.raises(errors.ProtocolError, match="asked for bytes="),
    ):
        get(server.url, byte_range)


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    "content_range", ["bytes 0-9/100", "bytes 5-20/100", "bytes 5-14/10", "bytes 6-15/100", "nonsense", "bytes */100"]
)
def test_a_range_that_is_not_the_one_asked_for_is_an_error(content_range: str) -> None:
    reply = Reply(206, b"0123456789", {"content-range": content_range})
    with ScriptedServer(in_turn(reply)) as server, pytest.raises(errors.ProtocolError):
        get(server.url, ByteRange(5, 10))


@pytest.mark.fault(25)
def test_a_range_from_the_start_may_come_as_the_whole_object() -> None:
    with ScriptedServer(in_turn(Reply(200, b"0123456789"))) as server:
        assert get(server.url, ByteRange(0, 10)).content.tobytes() == b"0123456789"


@pytest.mark.fault(56)
@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_corrupted_bytes_are_an_integrity_error_and_no_result(content: bytes) -> None:
    stored = StoredObject(content[:-1] + b"?", headers=checksum(content))
    with ScriptedServer(stored.get) as server:
        client = client_at(server.url)
        job = client.get("bucket", "key")
        with pytest.raises(errors.IntegrityError, match="thrown away"):
            client.run_one(job)
        assert job.content.tobytes() == b""
        assert not job.done


def test_an_empty_reply_to_head_is_looked_into() -> None:
    replies = {"HEAD": Reply(403), "GET": error_reply(403, "SignatureDoesNotMatch")}
    with ScriptedServer(lambda r: replies[r.method]) as server:
        client = client_at(server.url)
        with pytest.raises(errors.BadCredentials, match="HeadObject s3://bucket/key"):
            client.run_one(HeadJob("bucket", "key"))


def test_another_region_is_signed_for_once_and_remembered() -> None:
    moved = replace(error_reply(301, "PermanentRedirect"), headers={"x-amz-bucket-region": "eu-west-7"})
    with ScriptedServer(in_turn(moved, Reply(200, b"x"), Reply(200, b"y"))) as server:
        client = client_at(server.url)
        assert client.run_one(client.get("bucket", "key")).content.tobytes() == b"x"
        assert client.run_one(client.get("bucket", "key")).content.tobytes() == b"y"
        scopes = [r.headers["authorization"].split("/")[2] for r in server.requests]
    assert scopes == ["us-east-1", "eu-west-7", "eu-west-7"]


def _region_of(received: Received) -> str:
    return received.headers["authorization"].split("/")[2]


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    "moved",
    [
        replace(error_reply(301, "PermanentRedirect"), headers={"x-amz-bucket-region": "eu-west-7"}),
        replace(error_reply(307, "TemporaryRedirect"), headers={"x-amz-bucket-region": "eu-west-7"}),
        Reply(400, b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-7</Region></Error>"),
    ],
    ids=["301", "307", "AuthorizationHeaderMalformed"],
)
def test_all_requests_that_went_to_the_wrong_region_go_to_the_right_one(moved: Reply) -> None:
    first = threading.Barrier(4)

    def script(received: Received) -> Reply:
        if _region_of(received) == "eu-west-7":
            return STORED
        first.wait(10)  # all are on their way when the first is refused
        return moved

    with ScriptedServer(script) as server:
        client = client_at(server.url)
        jobs = client.run_all([client.put("bucket", str(n), b"x") for n in range(4)])
        assert [job.attempts for job in jobs] == [2] * 4
        assert client.run_one(client.put("bucket", "later", b"x")).attempts == 1
        assert len(server.requests) == 9


@pytest.mark.fault(28)
@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_a_conditional_write_finds_its_region_by_a_HEAD_whose_refusal_is_empty(content: bytes) -> None:
    uploads = Uploads()
    elsewhere = {"x-amz-bucket-region": "eu-west-7"}

    def script(received: Received) -> Reply:
        if received.method == "HEAD":
            return Reply(404) if _region_of(received) == "eu-west-7" else Reply(400, headers=elsewhere)
        return uploads(received)

    with ScriptedServer(script) as server:
        client = client_at(server.url)
        client.run_one(client.put("bucket", "key", content, condition=Condition()))
        assert [r.method for r in server.requests].count("HEAD") == 2


@pytest.mark.fault(28)
def test_a_region_that_leads_nowhere_is_named() -> None:
    reply = replace(error_reply(301, "PermanentRedirect"), headers={"x-amz-bucket-region": "eu-west-7"})
    with ScriptedServer(in_turn(reply)) as server, pytest.raises(errors.InvalidRequest, match=r"eu-west-7.*AWS_REGION"):
        get(server.url)


def test_a_wrong_clock_is_set_by_the_servers_date() -> None:
    skewed = replace(error_reply(403, "RequestTimeTooSkewed"), headers={"date": "Tue, 01 Jan 2030 12:30:00 GMT"})
    with ScriptedServer(in_turn(skewed, Reply(200, b"x"), Reply(200, b"y"))) as server:
        client = client_at(server.url)
        assert client.run_one(client.get("bucket", "key")).content.tobytes() == b"x"
        assert client.run_one(client.get("bucket", "key")).content.tobytes() == b"y"
        dates = [r.headers["x-amz-date"] for r in server.requests]
    assert not dates[0].startswith("20300101")
    assert [date[:11] for date in dates[1:]] == ["20300101T12", "20300101T12"]


@pytest.mark.fault(31)
def test_all_requests_with_a_wrong_clock_are_signed_again_by_the_servers() -> None:
    skewed = replace(error_reply(403, "RequestTimeTooSkewed"), headers={"date": "Tue, 01 Jan 2030 12:30:00 GMT"})
    first = threading.Barrier(4)

    def script(received: Received) -> Reply:
        if received.headers["x-amz-date"].startswith("20300101"):
            return STORED
        first.wait(10)
        return skewed

    with ScriptedServer(script) as server:
        client = client_at(server.url)
        jobs = client.run_all([client.put("bucket", str(n), b"x") for n in range(4)])
        assert [job.attempts for job in jobs] == [2] * 4
        assert len(server.requests) == 8


@pytest.mark.fault(31)
def test_a_clock_that_was_set_right_meanwhile_is_believed_again() -> None:
    year = "2030"

    def script(received: Received) -> Reply:
        now = time.strftime("%Y%m%d", time.gmtime()) if year == "now" else f"{year}0101"
        if received.headers["x-amz-date"].startswith(now):
            return Reply(200, b"x")
        date = formatdate() if year == "now" else "Tue, 01 Jan 2030 12:30:00 GMT"
        return replace(error_reply(403, "RequestTimeTooSkewed"), headers={"date": date})

    with ScriptedServer(script) as server:
        client = client_at(server.url)
        client.run_one(client.get("bucket", "key"))
        year = "now"
        assert bytes(client.run_one(client.get("bucket", "key")).content) == b"x"
        assert len(server.requests) == 4


# ---- signatures that do not match ----


def _mismatch(canonical: str = "", headers: dict[str, str] | None = None) -> Reply:
    body = f"<Error><Code>SignatureDoesNotMatch</Code><CanonicalRequest>{escape(canonical)}</CanonicalRequest></Error>"
    return Reply(403, body.encode(), headers or {})


@pytest.mark.fault(30)
@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        (_mismatch(), r"check AWS_SECRET_ACCESS_KEY.*nothing between here and the server rewrites"),
        (_mismatch(headers={"date": "Tue, 01 Jan 2030 12:30:00 GMT"}), r"clock: it is [\d,]+ minutes behind"),
        (_mismatch(headers={"via": "1.1 squid"}), r"came through a proxy \(1\.1 squid\)"),
        (_mismatch("GET\n/bucket/key\n\nhost:inside:80\n\nhost\nHASH"), r"reached the server with 'inside:80'.*Host"),
        (_mismatch("GET\n/v1/bucket/key\n\nhost:{host}\n\nhost\nHASH"), r"the path '/bucket/key'.*'/v1/bucket/key'"),
    ],
    ids=["secret", "clock", "via", "host", "path"],
)
def test_a_signature_that_does_not_match_is_diagnosed(reply: Reply, hint: str) -> None:
    def script(received: Received) -> Reply:
        return replace(reply, body=reply.body.replace(b"{host}", received.headers["host"].encode()))

    with ScriptedServer(script) as server:
        with pytest.raises(errors.BadCredentials, match=hint) as caught:
            get(server.url)
        assert caught.value.attempts == len(server.requests) == 1


@pytest.mark.fault(30)
def test_a_bucket_in_a_host_name_that_is_not_found_is_one_of_the_suspects() -> None:
    with ScriptedServer(in_turn(_mismatch())) as server:
        endpoint = EndpointConfig(server.url.replace("127.0.0.1", "localhost"), "us-east-1", "", "virtual")
        client = Client(endpoint, FixedCredentials("key", "secret"), Settings(connect_timeout=2.0))
        with pytest.raises(errors.S3Error, match="addressing_style = path"):
            client.run_one(client.get("bucket", "key"))


# ---- bodies that something on the way has recoded ----

GZIPPED = gzip.compress(b"the object, as it is stored")


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    "headers",
    [
        {"content-encoding": "gzip", "etag": 'W/"e1"'},
        {"content-encoding": "gzip", "etag": '"e1-gzip"'},
        {"content-encoding": "br", "transfer-encoding": "chunked", "content-length": ""},
        {"x-goog-stored-content-encoding": "gzip"},
        {"warning": '214 proxy "Transformation Applied"'},
    ],
    ids=["weak ETag", "derived ETag", "no length", "Google", "Warning"],
)
@pytest.mark.parametrize("byte_range", [None, ByteRange(0, len(GZIPPED))], ids=["whole", "range"])
def test_a_body_that_was_recoded_on_the_way_is_an_error(headers: dict[str, str], byte_range: ByteRange | None) -> None:
    said = {"etag": '"e1"', "content-length": str(len(GZIPPED))} | headers
    body = GZIPPED
    if "transfer-encoding" in said:
        del said["content-length"]
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GZIPPED), GZIPPED)
    head = "HTTP/1.1 200 OK\r\n" + "".join(f"{name}: {value}\r\n" for name, value in said.items())
    with ScriptedServer(in_turn(Reply(raw=head.encode() + b"\r\n" + body))) as server:
        with pytest.raises(errors.ProtocolError, match=r"not the bytes that are stored.*compression") as caught:
            get(server.url, byte_range)
        assert caught.value.attempts == 1


@pytest.mark.fault(27)
@pytest.mark.parametrize("etag", ['"e1"', 'W/"e1"'])
def test_a_recoded_body_never_passes_for_the_object_that_has_a_checksum(etag: str) -> None:
    recoded = Reply(200, GZIPPED, {"content-encoding": "gzip", "etag": etag} | checksum(b"the object"))
    with ScriptedServer(in_turn(recoded)) as server, pytest.raises(errors.IntegrityError):
        get(server.url)


@pytest.mark.fault(27)
@pytest.mark.parametrize("said", [{}, checksum(GZIPPED)], ids=["no checksum", "checksum"])
def test_an_object_that_is_stored_compressed_comes_as_it_is(said: dict[str, str]) -> None:
    stored = Reply(200, GZIPPED, {"content-encoding": "gzip", "etag": '"e1"'} | said)
    with ScriptedServer(in_turn(stored)) as server:
        assert bytes(get(server.url).content) == GZIPPED


# ---- connections ----


@pytest.mark.fault(13)
def test_a_connection_that_idled_too_long_costs_no_attempt() -> None:
    with ScriptedServer(in_turn(Reply(200, b"x", close=True))) as server:
        client = client_at(server.url, attempts=1)
        for _ in range(5):  # the server closes after each reply without a word
            assert client.run_one(client.get("bucket", "key")).content.tobytes() == b"x"


def test_connections_are_used_again() -> None:
    with ScriptedServer(in_turn(Reply(200, b"x"))) as server:
        client = client_at(server.url)
        for _ in range(20):
            client.run_one(client.get("bucket", "key"))
        assert len({r.connection for r in server.requests}) <= 2  # one a loop


# ---- uploads ----


class Uploads:
    """A script that takes multipart uploads and keeps account of them."""

    def __init__(self) -> None:
        self.faults: dict[str, list[Reply]] = {}
        self.calls: Counter[str] = Counter()
        self.parts: dict[int, bytes] = {}
        self.survives = 0  # so many aborts
        self._lock = threading.Lock()

    def __call__(self, received: Received) -> Reply:
        with self._lock:
            name = self._name(received)
            self.calls[name] += 1
            if faults := self.faults.get(name):
                return faults.pop(0)
            if name == "part":
                self.parts[int(received.query["partNumber"])] = received.body
            return self._answer(name, received)

    def _name(self, received: Received) -> str:
        if received.method == "DELETE":
            return "abort"
        if received.method == "GET":
            return "parts"
        if received.method == "PUT":
            return "part" if "partNumber" in received.query else "put"
        return "create" if "uploads" in received.query else "complete"

    def _answer(self, name: str, received: Received) -> Reply:
        sent = {k: v for k, v in received.headers.items() if k.startswith("x-amz-checksum-")}
        match name:
            case "create":
                body = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
                return Reply(200, body, sent)
            case "complete":
                return Reply(200, b"<R><ETag>&quot;whole-3&quot;</ETag></R>")
            case "abort":
                return Reply(204)
            case "parts":
                there = self.calls["abort"] <= self.survives
                return Reply(200, b"<ListPartsResult/>") if there else error_reply(404, "NoSuchUpload")
            case _:
                return Reply(200, b"", {"etag": '"part"'} | sent)

    @property
    def content(self) -> bytes:
        return b"".join(self.parts[number] for number in sorted(self.parts))


CREATED_NOTHING = Reply(200, b"<InitiateMultipartUploadResult/>")


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("create", error_reply(503, "SlowDown")),
        ("create", CREATED_NOTHING),
        ("create", Reply(200, b"not XML")),
        ("part", error_reply(500, "InternalError")),
        ("part", Reply(reset=True)),
        ("part", Reply(200)),
        ("part", error_reply(400, "BadDigest")),
        ("part", Reply(200, b"", {"etag": '"p"'} | checksum(b"something else"))),
        ("complete", error_reply(503, "SlowDown")),
        ("complete", replace(error_reply(200, "InternalError"), status=200)),
        ("complete", Reply(200, b"   ")),
        ("complete", Reply(reset=True)),
    ],
    ids=[
        "create throttled",
        "create without UploadId",
        "create that is not XML",
        "part 500",
        "part reset",
        "part without ETag",
        "part with BadDigest",
        "part stored differently",
        "complete throttled",
        "complete: 200 with an error in it",
        "complete: empty",
        "complete reset",
    ],
)
def test_a_fault_in_an_upload_is_retried(call: str, fault: Reply) -> None:
    uploads = Uploads()
    uploads.faults[call] = [fault]
    with ScriptedServer(uploads) as server:
        job = put(server.url, LARGE)
        assert job.etag == '"whole-3"'
        assert job.verified_by == "crc64nvme"
        assert uploads.content == LARGE
        assert uploads.calls[call] == {"part": 4}.get(call, 2)
        assert uploads.calls["abort"] == 0


@pytest.mark.parametrize(
    ("call", "fault", "error"),
    [
        ("create", error_reply(403, "AccessDenied"), errors.AccessDenied),
        ("part", error_reply(403, "AccessDenied"), errors.AccessDenied),
        ("part", Reply(200), errors.ProtocolError),
        ("complete", error_reply(200, "InternalError"), errors.ServerError),
        ("complete", error_reply(400, "EntityTooSmall"), errors.InvalidRequest),
    ],
    ids=["create denied", "part denied", "never an ETag", "error in a 200", "refused"],
)
def test_an_upload_that_fails_is_aborted(call: str, fault: Reply, error: type[errors.S3Error]) -> None:
    uploads = Uploads()
    uploads.faults[call] = [fault] * 20
    with ScriptedServer(uploads) as server:
        with pytest.raises(error):
            put(server.url, LARGE, attempts=2)
        assert uploads.calls["abort"] == (0 if call == "create" else 1)


@pytest.mark.fault(51)
def test_an_abort_is_repeated_until_the_upload_is_gone() -> None:
    uploads = Uploads()
    uploads.faults["part"] = [error_reply(403, "AccessDenied")] * 20
    uploads.survives = 2
    with ScriptedServer(uploads) as server:
        with pytest.raises(errors.AccessDenied):
            put(server.url, LARGE)
        assert (uploads.calls["abort"], uploads.calls["parts"]) == (3, 3)


@pytest.mark.fault(51)
def test_an_abort_that_fails_is_tried_again_and_does_not_hide_the_failure() -> None:
    uploads = Uploads()
    uploads.faults["part"] = [error_reply(403, "AccessDenied")] * 20
    uploads.faults["abort"] = [Reply(500)]
    with ScriptedServer(uploads) as server:
        with pytest.raises(errors.AccessDenied):
            put(server.url, LARGE)
        assert uploads.calls["abort"] == 2


def test_a_complete_whose_reply_was_lost_succeeds_if_the_object_is_there() -> None:
    uploads = Uploads()
    uploads.faults["complete"] = [Reply(reset=True), error_reply(404, "NoSuchUpload")]

    def script(received: Received) -> Reply:
        if received.method == "HEAD":
            return Reply(200, b"", {"content-length": str(len(LARGE)), "etag": '"whole-3"'} | checksum(LARGE))
        return uploads(received)

    with ScriptedServer(script) as server:
        job = put(server.url, LARGE)
        assert job.etag == '"whole-3"'
        assert job.verified_by == "crc64nvme"


@pytest.mark.fault(47)
@pytest.mark.parametrize("there", [checksum(b"another object"), {}], ids=["another object", "no checksum"])
def test_a_complete_whose_reply_was_lost_fails_if_the_object_is_another(there: dict[str, str]) -> None:
    uploads = Uploads()
    uploads.faults["complete"] = [Reply(reset=True)] + [error_reply(404, "NoSuchUpload")] * 5

    def script(received: Received) -> Reply:
        if received.method == "HEAD":
            return Reply(200, b"", {"content-length": str(len(LARGE)), "etag": '"x"'} | there)
        return uploads(received)

    with ScriptedServer(script) as server, pytest.raises(errors.S3Error, match="CompleteMultipartUpload"):
        put(server.url, LARGE)


# What a server without checksums has of the parts.
PART_ETAGS = [f'"{n:032x}"' for n in (1, 2, 3)]
NO_SUCH_UPLOAD = error_reply(404, "NoSuchUpload")


class Conditional:
    """A server without checksums, and what it says to each HEAD and each Complete in turn.

    A HEAD's reply with the status 200 is of an object that an upload has left, with its metadata.
    """

    def __init__(self, looks: list[Reply], completes: list[Reply]) -> None:
        self.uploads = Uploads()
        self.uploads.faults["complete"] = completes
        self._looks = looks
        self._metadata: dict[str, str] = {}

    def __call__(self, received: Received) -> Reply:
        if received.method == "HEAD":
            look = self._looks.pop(0)
            return replace(look, headers=self._metadata | look.headers)
        if "uploads" in received.query:
            self._metadata = {k: v for k, v in received.headers.items() if k.startswith("x-amz-meta-")}
        reply = self.uploads(received)
        if "partNumber" in received.query and reply.status == 200:
            return replace(reply, headers={"etag": PART_ETAGS[int(received.query["partNumber"]) - 1]})
        return replace(reply, headers={k: v for k, v in reply.headers.items() if "checksum" not in k})


def put_stream(script: Script, condition: Condition | None) -> PutStreamJob:
    with ScriptedServer(script) as server:
        client = client_at(server.url)
        return client.run_one(client.put_stream("bucket", "key", iter([LARGE]), condition=condition))


def there(etag: str, **headers: str) -> Reply:
    return Reply(200, b"", {"content-length": str(len(LARGE)), "etag": etag} | headers)


ANOTHERS = {"x-amz-meta-fds-write": "another"}


@pytest.mark.fault(47)
@pytest.mark.parametrize("code", ["NoSuchUpload", "NoSuchKey"])
def test_a_stream_whose_complete_had_its_reply_lost_is_known_by_its_mark(code: str) -> None:
    server = Conditional([Reply(404), there('"x-3"')], [Reply(reset=True), error_reply(404, code)])
    assert put_stream(server, Condition()).etag == '"x-3"'
    assert server.uploads.calls["abort"] == 0


@pytest.mark.fault(47)
def test_a_stream_whose_complete_had_its_reply_lost_is_known_by_the_etag_of_its_parts() -> None:
    whole = f'"{integrity.multipart_etag(PART_ETAGS)}"'
    assert put_stream(Conditional([there(whole)], [Reply(reset=True), NO_SUCH_UPLOAD]), None).etag == whole
    for found in (there('"another-3"'), replace(there(whole), headers={"etag": whole, "content-length": "5"})):
        with pytest.raises(errors.InvalidRequest, match="NoSuchUpload"):
            put_stream(Conditional([found], [Reply(reset=True), NO_SUCH_UPLOAD]), None)


@pytest.mark.fault(47)
@pytest.mark.fault(52)
@pytest.mark.parametrize(
    ("first", "error"), [(Reply(reset=True), errors.InvalidRequest), (CONFLICT, errors.Modified)], ids=["lost", "409"]
)
def test_the_same_bytes_of_another_writer_are_not_taken_for_ours(first: Reply, error: type[errors.S3Error]) -> None:
    same = there(f'"{integrity.multipart_etag(PART_ETAGS)}"', **ANOTHERS, **checksum(LARGE))
    with pytest.raises(error):
        put_stream(Conditional([Reply(404), same], [first, NO_SUCH_UPLOAD]), Condition())


@pytest.mark.fault(52)
@pytest.mark.parametrize(
    ("found", "error"),
    [
        (Reply(404), errors.Modified),
        (Reply(403), errors.Modified),  # of who may not list, for what is not there
        (there('"new"', **ANOTHERS), errors.Modified),
        (there('"old"', **ANOTHERS), errors.NotFound),  # it is the upload that Ceph means
    ],
    ids=["gone", "perhaps gone", "another", "as it was"],
)
def test_an_object_that_is_deleted_before_complete_overwrites_it_is_a_condition_that_does_not_hold(
    found: Reply, error: type[errors.S3Error]
) -> None:
    server = Conditional([there('"old"', **ANOTHERS), found], [error_reply(404, "NoSuchKey")])
    with pytest.raises(error, match="CompleteMultipartUpload"):
        put_stream(server, Condition('"old"'))
    assert server.uploads.calls["complete"] == 1
    assert server.uploads.calls["abort"] == 1


@pytest.mark.fault(52)
@pytest.mark.parametrize(
    ("found", "error"), [(Reply(404), errors.NotFound), (there('"new"', **ANOTHERS), errors.Modified)]
)
def test_an_upload_that_Ceph_has_lost_is_no_condition_that_does_not_hold(
    found: Reply, error: type[errors.S3Error]
) -> None:
    with pytest.raises(error, match="CompleteMultipartUpload"):
        put_stream(Conditional([Reply(404), found], [error_reply(404, "NoSuchKey")]), Condition())


@dataclass
class SettledLate:
    """Of part 2 another attempt has come to rest after the one that was answered, so that its ETag is another one."""

    uploads: Uploads
    there: Callable[[bytes], dict[str, str]]
    completed: list[str] = field(default_factory=list)

    def __call__(self, received: Received) -> Reply:
        reply = self.uploads(received)
        if received.method == "GET":
            rows = "".join(self._row(number, body) for number, body in sorted(self.uploads.parts.items()))
            return Reply(200, f"<ListPartsResult>{rows}</ListPartsResult>".encode())
        if received.method == "POST" and "uploadId" in received.query:
            self.completed.append(received.body.decode())
        return reply

    def _row(self, number: int, body: bytes) -> str:
        checksums = "".join(f"<ChecksumCRC64NVME>{value}</ChecksumCRC64NVME>" for value in self.there(body).values())
        etag = "late" if number == 2 else "part"
        return (
            f"<Part><PartNumber>{number}</PartNumber><Size>{len(body)}</Size><ETag>&quot;{etag}&quot;</ETag>{checksums}"
            "</Part>"
        )


def test_a_part_whose_other_attempt_came_to_rest_later_is_taken_by_the_etag_that_it_has() -> None:
    uploads = Uploads()
    uploads.faults["complete"] = [error_reply(400, "InvalidPart")]
    script = SettledLate(uploads, checksum)
    with ScriptedServer(script) as server:
        assert put(server.url, LARGE).verified_by == "crc64nvme"
    assert ["late" in body for body in script.completed] == [False, True]
    assert uploads.calls["abort"] == 0


@pytest.mark.parametrize(
    "there", [lambda _: checksum(b"other bytes"), lambda _: {}], ids=["other bytes", "no checksum"]
)
def test_a_part_that_cannot_be_shown_to_be_the_one_that_was_sent_fails_the_upload(
    there: Callable[[bytes], dict[str, str]],
) -> None:
    uploads = Uploads()
    uploads.faults["complete"] = [error_reply(400, "InvalidPart")]
    script = SettledLate(uploads, there)
    with ScriptedServer(script) as server, pytest.raises(errors.InvalidRequest, match="InvalidPart"):
        put(server.url, LARGE)
    assert len(script.completed) == 1
    assert uploads.calls["abort"] >= 1


@pytest.mark.fault(59)
def test_a_server_without_checksums_gets_the_crc_as_metadata() -> None:
    uploads = Uploads()

    def script(received: Received) -> Reply:
        reply = uploads(received)
        return replace(reply, headers={k: v for k, v in reply.headers.items() if "checksum" not in k})

    with ScriptedServer(script) as server:
        job = put(server.url, LARGE)
        assert job.verified_by == "sha256"
        creates = [r for r in server.requests if "uploads" in r.query]
        assert len(creates) == 2  # it could not be known before
        wanted = checksum(LARGE)["x-amz-checksum-crc64nvme"]
        assert creates[1].headers["x-amz-meta-fds-crc64nvme"] == wanted
        assert uploads.calls["abort"] == 1


def test_a_put_that_the_server_stored_differently_is_sent_again() -> None:
    uploads = Uploads()
    uploads.faults["put"] = [Reply(200, b"", {"etag": '"x"'} | checksum(b"else"))]
    with ScriptedServer(uploads) as server:
        assert put(server.url, b"content").retries == 1


# ---- listings ----


def _page(keys: list[str], token: str = "") -> Reply:
    rows = "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys)
    next_page = f"<NextContinuationToken>{escape(token)}</NextContinuationToken>"
    more = f"<IsTruncated>true</IsTruncated>{next_page}" if token else ""
    return Reply(200, f"<ListBucketResult>{rows}{more}</ListBucketResult>".encode())


def _list(url: str) -> list[str]:
    client = client_at(url, attempts=2)
    return [entry.key for entry in client.run_one(ListJob("bucket", "", recursive=True)).entries]


def test_pages_follow_their_tokens() -> None:
    pages = {None: _page(["a"], "t+/=&1"), "t+/=&1": _page(["b"], "t2"), "t2": _page(["c"])}
    with ScriptedServer(lambda r: pages[r.query.get("continuation-token")]) as server:
        assert _list(server.url) == ["a", "b", "c"]


@pytest.mark.fault(44)
@pytest.mark.parametrize(
    "pages",
    [
        [_page(["a"], "again")],
        [_page(["a"], "one"), _page(["b"], "two"), _page(["c"], "one")],
        [Reply(200, b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>")],
        [Reply(200, b'<!DOCTYPE l [<!ENTITY a "aaaa">]><ListBucketResult><Name>&a;</Name></ListBucketResult>')],
        [Reply(200, b"<ListBucketResult>" + b" " * (17 * MIB) + b"</ListBucketResult>")],
        [Reply(200, b"<html>Welcome</html>")],
        [Reply(200, b"<ListBucketResult><Contents><Key>a</Key><Size>x</Size></Contents></ListBucketResult>")],
        [Reply(200, b"")],
    ],
    ids=["same token", "circle", "no token", "entities", "17 MiB", "HTML", "size", "empty"],
)
def test_a_listing_that_makes_no_sense_is_an_error(pages: list[Reply]) -> None:
    with (
        ScriptedServer(in_turn(*pages)) as server,
        pytest.raises(errors.ProtocolError, match="ListObjectsV2 s3://bucket"),
    ):
        _list(server.url)


# ---- credentials ----


class Renewable(CredentialProvider):
    """Gives old credentials until it is asked for newer ones."""

    def __init__(self, newer: bool = True) -> None:
        super().__init__()
        self.renewals = 0
        self._newer = newer
        self._current = Credentials("OLDKEY", "old-secret", "old-token")

    def snapshot(self) -> Credentials:
        return self._current

    def renew(self, rejected: Credentials) -> Credentials:
        self.renewals += 1
        if self._newer:
            self._current = Credentials("NEWKEY", "new-secret", "new-token")
        return self._current


def _wants_new(then: Script) -> Script:
    expired = error_reply(400, "ExpiredToken", "The provided token has expired.")
    return lambda r: then(r) if r.headers.get("x-amz-security-token") == "new-token" else expired


@pytest.mark.fault(32)
def test_many_requests_whose_token_has_expired_renew_it_once() -> None:
    provider = Renewable()
    first = threading.Barrier(4)
    wants_new = _wants_new(lambda received: STORED)

    def script(received: Received) -> Reply:
        if received.headers.get("x-amz-security-token") == "old-token":
            first.wait(10)
        return wants_new(received)

    with ScriptedServer(script) as server:
        client = client_at(server.url, provider, attempts=1)
        client.run_all([client.put("bucket", str(n), b"x") for n in range(4)])
        assert len(server.requests) == 8
        assert provider.renewals == 1


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_an_expired_token_is_renewed_once_and_the_transfer_goes_on(content: bytes) -> None:
    provider = Renewable()
    with ScriptedServer(_wants_new(StoredObject(content).get)) as server:
        client = client_at(server.url, provider, attempts=1)
        assert client.run_one(client.get("bucket", "key")).content.tobytes() == content
        assert provider.renewals == 1
        assert re.search("Credential=NEWKEY/", server.requests[-1].headers["authorization"])


def test_a_token_that_expires_in_the_middle_of_an_upload_is_renewed() -> None:
    provider, uploads = Renewable(), Uploads()

    def script(received: Received) -> Reply:
        if "uploads" in received.query:
            return uploads(received)
        return _wants_new(uploads)(received)

    with ScriptedServer(script) as server:
        client = client_at(server.url, provider)
        client.run_one(client.put("bucket", "key", LARGE))
        assert uploads.content == LARGE


@pytest.mark.fault(32)
@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken", "InvalidTokenId", "InvalidAccessKeyId"])
def test_temporary_credentials_that_have_ended_are_renewed_whatever_the_server_calls_it(code: str) -> None:
    provider = Renewable()
    ended, stored = error_reply(403, code), StoredObject(b"x")
    with ScriptedServer(lambda r: stored.get(r) if "NEWKEY" in r.headers["authorization"] else ended) as server:
        client = client_at(server.url, provider)
        assert bytes(client.run_one(client.get("bucket", "key")).content) == b"x"
        assert provider.renewals == 1


@pytest.mark.fault(32)
@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_a_conditional_write_renews_a_token_that_HEAD_does_not_name(content: bytes) -> None:
    provider, uploads = Renewable(), Uploads()
    wants_new = _wants_new(lambda r: Reply(404) if r.method == "HEAD" else uploads(r))
    # The token ends when the parts are stored: it is the look before Complete that is refused.
    stores = {"uploads", "partNumber"}
    with ScriptedServer(lambda r: uploads(r) if stores & set(r.query) else wants_new(r)) as server:
        client = client_at(server.url, provider, attempts=1)
        client.run_one(client.put("bucket", "key", content, condition=Condition()))
        assert provider.renewals == 1


def test_a_token_that_HEAD_does_not_name_and_that_cannot_be_renewed_is_said_to_be_the_likely_cause() -> None:
    with ScriptedServer(in_turn(Reply(400))) as server:
        client = client_at(server.url, Renewable(newer=False))
        with pytest.raises(errors.InvalidRequest, match="session token has expired"):
            client.run_one(client.put("bucket", "key", b"x", condition=Condition()))
        assert len(server.requests) == 1


def test_a_token_that_cannot_be_renewed_is_an_error_at_once() -> None:
    provider = Renewable(newer=False)
    with ScriptedServer(_wants_new(StoredObject(b"x").get)) as server:
        client = client_at(server.url, provider)
        with pytest.raises(errors.ExpiredCredentials, match="sign in again"):
            client.run_one(client.get("bucket", "key"))
        assert len(server.requests) == provider.renewals == 1


class Vanishing(Renewable):
    """Has credentials for a few requests, then none."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._left = times

    def snapshot(self) -> Credentials:
        self._left -= 1
        if self._left < 0:
            raise errors.NoCredentials("they are gone")
        return super().snapshot()


@pytest.mark.parametrize("times", [0, 1])
def test_credentials_that_vanish_in_the_middle_are_an_error_and_no_hang(times: int) -> None:
    with ScriptedServer(StoredObject(LARGE).get) as server:
        client: Client = client_at(server.url, Vanishing(times))
        with pytest.raises(errors.NoCredentials):
            client.run_one(client.get("bucket", "key"))
        with pytest.raises(errors.NoCredentials):
            client.run_one(client.put("bucket", "key", LARGE))
