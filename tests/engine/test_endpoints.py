"""What endpoints can do: the table of what no reply tells, fault 55, and what is learnt of each bucket."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from fastdatastore import errors
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.config import MIB
from fastdatastore.engine import endpoints
from fastdatastore.engine.client import Client
from fastdatastore.engine.endpoints import Limits, limits_of
from tests.support.clients import FAKE, FixedCredentials, client_at
from tests.support.scripted_server import Received, Reply, ScriptedServer

CONTENT = random.Random(9).randbytes(26 * MIB + 5)


@pytest.mark.fault(55)
@pytest.mark.parametrize(
    ("host", "limits"),
    [
        ("s3.us-east-1.amazonaws.com", Limits()),
        ("127.0.0.1", Limits()),
        ("0123abc.r2.cloudflarestorage.com", Limits(equal_parts=True)),
        ("0123abc.eu.r2.cloudflarestorage.com", Limits(equal_parts=True)),
        ("r2.cloudflarestorage.com.example", Limits()),
        ("s3.fr-par.scw.cloud", Limits(max_parts=1000)),
        ("S3.NL-AMS.SCW.CLOUD", Limits(max_parts=1000)),
        ("gateway.storjshare.io", Limits(part_size=64 * MIB)),
        ("gateway.eu1.storjshare.io", Limits(part_size=64 * MIB)),
    ],
)
def test_what_an_endpoint_takes_is_known_by_its_host(host: str, limits: Limits) -> None:
    assert limits_of(host) == limits


class Uploads:
    """Takes uploads; `parts`: sizes by number. Keeps checksums, but for a bucket named "plain"."""

    def __init__(self) -> None:
        self.parts: dict[int, int] = {}
        self.operations: list[str] = []

    def __call__(self, received: Received) -> Reply:
        sent = {k: v for k, v in received.headers.items() if k.startswith("x-amz-checksum-")}
        if received.path.startswith("/plain/"):
            sent = {}
        if received.method == "POST" and "uploads" in received.query:
            body = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
            return Reply(200, body, sent)
        if received.method == "POST":
            return Reply(200, b"<R><ETag>&quot;whole&quot;</ETag></R>")
        if received.method == "DELETE":
            self.operations.append("abort")
            return Reply(204)
        if received.method == "GET":
            return Reply(404)
        if "partNumber" in received.query:
            self.parts[int(received.query["partNumber"])] = len(received.body)
        else:
            self.operations.append("put")
        return Reply(200, b"", {"etag": '"e"'} | sent)


@pytest.fixture
def uploads() -> Uploads:
    return Uploads()


@pytest.fixture
def url(uploads: Uploads) -> Iterator[str]:
    with ScriptedServer(uploads) as server:
        yield server.url


def here(monkeypatch: pytest.MonkeyPatch, limits: Limits) -> None:
    """From now on the scripted server is known to have these."""
    monkeypatch.setattr(endpoints, "_BY_HOST", ((r"^127\.0\.0\.1$", limits),))


def chunks() -> Iterator[bytes]:
    for at in range(0, len(CONTENT), MIB):
        yield CONTENT[at : at + MIB]


def test_an_object_is_cut_into_as_many_parts_as_the_endpoint_takes(
    monkeypatch: pytest.MonkeyPatch, url: str, uploads: Uploads
) -> None:
    here(monkeypatch, Limits(max_parts=3))
    client = client_at(url)
    client.run_one(client.put("bucket", "key", CONTENT))
    assert uploads.parts == {1: 9 * MIB, 2: 9 * MIB, 3: 8 * MIB + 5}


@pytest.mark.fault(55)
def test_parts_are_as_large_as_the_endpoint_wants_them(
    monkeypatch: pytest.MonkeyPatch, url: str, uploads: Uploads
) -> None:
    here(monkeypatch, Limits(part_size=12 * MIB))
    client = client_at(url)
    client.run_one(client.put("bucket", "key", CONTENT))
    assert uploads.parts == {1: 12 * MIB, 2: 12 * MIB, 3: 2 * MIB + 5}


def test_a_stream_that_does_not_fit_is_an_error_and_aborted(
    monkeypatch: pytest.MonkeyPatch, url: str, uploads: Uploads
) -> None:
    here(monkeypatch, Limits(max_parts=3, equal_parts=True))
    client = client_at(url)
    with pytest.raises(errors.ConfigurationError, match=r"the stream is longer.*FDS_PART_SIZE"):
        client.run_one(client.put_stream("bucket", "key", chunks()))
    assert uploads.operations == ["abort"]


def test_the_parts_of_a_stream_are_equal_where_they_must_be(
    monkeypatch: pytest.MonkeyPatch, url: str, uploads: Uploads
) -> None:
    here(monkeypatch, Limits(equal_parts=True))
    monkeypatch.setattr("fastdatastore.engine.plan.STREAM_STEPS", 10_000)
    client = client_at(url)
    client.run_one(client.put_stream("bucket", "key", chunks()))
    assert list(uploads.parts.values()).count(5 * MIB) == 5


@pytest.mark.fault(48)
def test_the_parts_of_a_stream_grow(monkeypatch: pytest.MonkeyPatch, url: str, uploads: Uploads) -> None:
    monkeypatch.setattr("fastdatastore.engine.plan.STREAM_STEPS", 10_000)  # a step for each part
    client = client_at(url)
    client.run_one(client.put_stream("bucket", "key", chunks()))
    assert [uploads.parts[number] for number in (1, 2, 3, 4, 5)] == [5 * MIB, 5 * MIB, 5 * MIB, 6 * MIB, 5 * MIB + 5]


def test_a_directory_bucket_is_refused_before_anything_is_sent() -> None:
    client = Client(EndpointConfig("", "us-east-1"), FixedCredentials(FAKE.access_key, FAKE.secret_key))
    with pytest.raises(errors.ConfigurationError, match="directory bucket"):
        client.run_one(client.put("name--use1-az5--x-s3", "key", b"x"))


def test_what_is_learnt_of_one_bucket_does_not_hold_for_another(url: str) -> None:
    client = client_at(url)
    verified = [client.run_one(client.put(bucket, "key", b"x")).verified_by for bucket in ("plain", "other", "plain")]
    assert verified == ["sha256", "crc64nvme", "sha256"]
    assert repr(client.remote).endswith("checksums plain: not kept, other: kept>")
