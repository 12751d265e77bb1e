"""copy: the same bytes and what describes them, or what was given instead; of one object, whole and right, or not."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import S3, AsyncS3
from fastdatastore.auth.credentials import CredentialProvider, Credentials
from fastdatastore.config import MIB
from fastdatastore.engine.client import Client
from fastdatastore.engine.copy import CopyJob, copy_source
from fastdatastore.engine.integrity import multipart_etag
from fastdatastore.engine.request import Pairs
from fastdatastore.engine.uploads import ListUploadsJob
from fastdatastore.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    IntegrityError,
    InvalidKey,
    InvalidRequest,
    Modified,
    NotFound,
    S3Error,
    ServerError,
)
from fastdatastore.testing.faults import Bandwidth, FaultProxy
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_at, client_of
from tests.support.scripted_server import Received, Reply, Script, ScriptedServer, error_reply

LARGE = secrets.token_bytes(17 * MIB + 3)
STRANGE = ["a b/c+d", "é🌍?x=1&y#z", "100%/%41", "~-_.!*'()", "trail ing."]


# ---- on real servers ----


@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "large"])
def test_a_copy_has_the_bytes_and_what_describes_them(s3: S3, bucket: str, content: bytes) -> None:
    s3.put("source", content, content_type="text/x-test", metadata={"epoch": 7})
    url = s3.copy("source", "below/target")
    assert url == f"s3://{bucket}/below/target"
    assert url.etag
    got = s3.get("below/target")
    assert (got.blob, got.content_type, got.metadata) == (content, "text/x-test", {"epoch": 7})
    assert got.verified_by.startswith("crc64nvme")
    assert s3.get("source").blob == content


def test_what_is_given_replaces_what_the_source_has_and_the_rest_is_kept(s3: S3) -> None:
    s3.put("source", LARGE, content_type="text/x-test", metadata={"epoch": 7})
    wanted: dict[str, tuple[dict[str, Any], str, Any]] = {
        "type": ({"content_type": "text/new"}, "text/new", {"epoch": 7}),
        "metadata": ({"metadata": {"epoch": 8}}, "text/x-test", {"epoch": 8}),
        "no metadata": ({"metadata": {}}, "text/x-test", None),
        "both": ({"metadata": {"a": "é"}, "content_type": "text/new"}, "text/new", {"a": "é"}),
    }
    for target, (arguments, content_type, metadata) in wanted.items():
        s3.copy("source", target, **arguments)
        got = s3.get(target)
        assert (got.content_type, got.metadata) == (content_type, metadata), target
        assert got.blob == LARGE
        assert got.verified_by.startswith("crc64nvme"), target


def test_an_object_can_be_described_anew_in_its_place(s3: S3) -> None:
    s3.put("key", b"content", metadata={"epoch": 7})
    s3.copy("key", "key", metadata={"epoch": 8})
    got = s3.get("key")
    assert (got.blob, got.metadata) == (b"content", {"epoch": 8})


@pytest.mark.parametrize("name", STRANGE)
def test_any_key_can_be_a_source(s3: S3, name: str) -> None:
    s3.put(name, b"content")
    s3.copy(name, f"copy of {name}")
    assert s3.get(f"copy of {name}").blob == b"content"


def test_the_source_may_be_in_another_bucket(s3: S3, s3_server: RunningServer) -> None:
    other = f"test-{secrets.token_hex(8)}"
    s3_server.create_bucket(other)
    with S3(s3root=f"s3://{other}/deep", client=s3._client) as elsewhere:
        elsewhere.put("source", b"content")
        s3.copy(f"s3://{other}/deep/source", "target")
        elsewhere.delete("source")
    assert s3.get("target").blob == b"content"


def test_a_missing_source_is_named(s3: S3, bucket: str) -> None:
    with pytest.raises(NotFound) as caught:
        s3.copy("missing", "target")
    assert caught.value.key == "missing"
    assert not s3.info("target", return_missing=True).exists


def test_a_missing_bucket_is_an_error(s3: S3, bucket: str, client: Client, s3_server: RunningServer) -> None:
    with pytest.raises(S3Error) as caught:
        s3.copy("s3://no-such-bucket-here/key", "target")
    assert isinstance(caught.value, (NotFound, BucketNotFound))
    s3.put("source", b"x")
    if s3_server.name != "seaweedfs":  # which makes buckets as they are named
        with S3(client=client) as anywhere, pytest.raises(BucketNotFound):
            anywhere.copy(f"s3://{bucket}/source", "s3://no-such-bucket-here/key")


def _copy_in_parts(client: Client, bucket: str, source: str, target: str, **arguments: Any) -> CopyJob:
    job = CopyJob((bucket, source, ""), bucket, target, most_at_once=5 * MIB, part_size=5 * MIB, **arguments)
    return client.run_one(job)


def test_what_is_too_large_for_one_request_is_copied_in_parts(
    s3: S3, client: Client, bucket: str, s3_server: RunningServer
) -> None:
    if s3_server.name == "null":
        pytest.skip("null does not copy parts")
    s3.put("source", LARGE, content_type="text/x-test", metadata={"epoch": 7})
    job = _copy_in_parts(client, bucket, "source", "target")
    assert (job.size, job.moved, job.attempts - job.retries) == (len(LARGE), len(LARGE), 8)
    got = s3.get("target")
    assert (got.blob, got.content_type, got.metadata) == (LARGE, "text/x-test", {"epoch": 7})
    _copy_in_parts(client, bucket, "source", "anew", described=(("content-type", "text/new"),), new_metadata=True)
    got = s3.get("anew")
    assert (got.blob, got.content_type, got.metadata) == (LARGE, "text/new", None)
    assert client.run_one(ListUploadsJob(bucket)).uploads == []


@pytest.mark.parametrize("most_at_once", [5 * MIB, 50 * MIB], ids=["in parts", "at once"])
def test_tags_are_kept(
    s3: S3, client: Client, bucket: str, control: Any, s3_server: RunningServer, most_at_once: int
) -> None:
    if s3_server.name == "null":
        pytest.skip("null keeps no tags")
    if s3_server.name == "ceph" and most_at_once < len(LARGE):
        pytest.skip("Ceph 16 forgets the tags that a multipart upload is begun with")
    tags = [{"Key": "a b", "Value": "c+d=e/1 @:"}, {"Key": "empty", "Value": ""}]
    s3.put("source", LARGE)
    control.put_object_tagging(Bucket=bucket, Key="source", Tagging={"TagSet": tags})
    client.run_one(CopyJob((bucket, "source", ""), bucket, "target", most_at_once=most_at_once, part_size=5 * MIB))
    found = control.get_object_tagging(Bucket=bucket, Key="target")["TagSet"]
    assert sorted(found, key=lambda tag: str(tag["Key"])) == tags


def test_versions_are_copied_by_their_ids(s3: S3, bucket: str, control: Any, s3_server: RunningServer) -> None:
    if s3_server.name == "null":
        pytest.skip("null keeps no versions")
    control.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put("source", b"first")
    s3.put("source", b"second")
    copied = s3.copy("source", "target", version_id=first.version_id)
    assert s3.get("target").blob == b"first"
    if s3_server.name != "ceph":  # Ceph 16 does not tell
        assert copied.version_id == s3.info("target").version_id


def test_customer_keys_hold_for_source_and_target(s3_server_tls: RunningServer, tmp_path: Path) -> None:
    without = {"null": "encrypts nothing", "moto": "encrypts nothing", "ceph": "does not copy what is encrypted"}
    if (why := without.get(s3_server_tls.name)) is not None:
        pytest.skip(f"{s3_server_tls.name} {why}")
    bucket = f"test-{secrets.token_hex(8)}"
    s3_server_tls.create_bucket(bucket)
    client = client_of(s3_server_tls)
    with S3(str(tmp_path), s3root=f"s3://{bucket}", customer_key=bytes(32), client=client) as s3:
        s3.put("source", LARGE)
        s3.copy("source", "target")
        assert s3.get("target").blob == LARGE
        if s3_server_tls.name != "seaweedfs":  # which has not implemented it for parts
            _copy_in_parts(s3._client, bucket, "source", "parts")
            assert s3.get("parts").blob == LARGE
    with S3(str(tmp_path), s3root=f"s3://{bucket}", client=client) as keyless:
        with pytest.raises(S3Error):
            keyless.get("target")
        with pytest.raises(S3Error):
            keyless.copy("source", "keyless", content_type="text/new")


def test_AsyncS3_copies_the_same(s3: S3, client: Client, bucket: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncS3(str(tmp_path), s3root=f"s3://{bucket}", client=client) as store:
            await store.put("source", b"content")
            assert (await store.copy("source", "target")).etag

    asyncio.run(main())
    assert s3.get("target").blob == b"content"


# ---- arguments ----


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"source": ""}, InvalidKey),
        ({"source": None}, InvalidKey),
        ({"source": "https://x/y"}, None),
        ({"source": "s3://"}, InvalidKey),
        ({"target": "s3://other/key"}, InvalidKey),
        ({"metadata": {"a": {1}}}, ConfigurationError),
        ({"content_type": "a\r\nb: c"}, ConfigurationError),
        ({"version_id": ""}, ConfigurationError),
    ],
)
def test_arguments_are_checked_before_anything_is_sent(
    tmp_path: Path, arguments: dict[str, Any], error: type[Exception] | None
) -> None:
    with ScriptedServer(lambda received: error_reply(403, "AccessDenied")) as server:
        s3 = S3(str(tmp_path), s3root="s3://bucket", client=client_at(server.url))
        with pytest.raises(error or AccessDenied):
            s3.copy(**({"source": "source", "target": "target"} | arguments))
    assert bool(server.requests) is (error is None)


def test_what_names_a_source() -> None:
    assert copy_source("bucket", "a b/ü+", "v/1") == "bucket/a%20b/%C3%BC%2B?versionId=v%2F1"
    arn = "arn:aws:s3:us-west-2:123456789012:accesspoint/point"
    assert copy_source(arn, "k", "").endswith("accesspoint/point/object/k")


# ---- what servers may answer ----

SIZE = 11 * MIB
ETAG = '"source"'
PARTS = [f'"{i:032x}"' for i in range(3)]


def _store(faults: Callable[[Received, int], Reply | None] = lambda received, nth: None, checksum: str = "") -> Script:
    """A store whose only object is `source`; `faults` says what goes wrong at the n-th request of a kind."""
    counts: dict[str, int] = {}
    sums = {"x-amz-checksum-crc64nvme": checksum} if checksum else {}

    def script(received: Received) -> Reply:
        kind = received.method + " " + ",".join(sorted(received.query))
        counts[kind] = counts.get(kind, -1) + 1
        wrong = faults(received, counts[kind])
        if wrong is not None:
            return wrong
        match received.method, received.query:
            case "HEAD", _:
                found = {
                    "etag": ETAG,
                    "content-length": str(SIZE),
                    "x-amz-meta-a": "b",
                    "content-encoding": "aws-chunked",
                }
                return Reply(headers=found | sums)
            case "POST", {"uploads": _}:
                return Reply(body=b"<R><UploadId>u</UploadId></R>")
            case "POST", _:
                return Reply(body=f"<R><ETag>{multipart_etag(PARTS)}</ETag></R>".encode())
            case "PUT", {"partNumber": number}:
                return Reply(body=f"<CopyPartResult><ETag>{PARTS[int(number) - 1]}</ETag></CopyPartResult>".encode())
            case "PUT", _:
                return Reply(body=b"<R><ETag>e</ETag><ChecksumCRC64NVME>AAAAAAAAAAE=</ChecksumCRC64NVME></R>")
            case "GET", _:
                return error_reply(404, "NoSuchUpload")
            case _:
                return Reply(204)

    return script


def _run(
    script: Script,
    most_at_once: int = 5 * MIB,
    attempts: int = 3,
    described: Pairs = (),
    provider: CredentialProvider | None = None,
) -> tuple[CopyJob, list[Received]]:
    job = CopyJob(
        ("other", "source", ""), "bucket", "target", described=described, most_at_once=most_at_once, part_size=4 * MIB
    )
    with ScriptedServer(script) as server:
        client_at(server.url, provider, attempts=attempts).run_one(job)
    return job, server.requests


def test_parts_cover_the_source_and_carry_its_ETag() -> None:
    job, requests = _run(_store())
    parts = [r.headers for r in requests if "partNumber" in r.query]
    assert sorted(p["x-amz-copy-source-range"] for p in parts) == [
        f"bytes=0-{4 * MIB - 1}",
        f"bytes={4 * MIB}-{8 * MIB - 1}",
        f"bytes={8 * MIB}-{SIZE - 1}",
    ]
    assert {(p["x-amz-copy-source"], p["x-amz-copy-source-if-match"]) for p in parts} == {("other/source", ETAG)}
    (begun,) = (r.headers for r in requests if "uploads" in r.query)
    assert begun["x-amz-meta-a"] == "b"
    assert "content-encoding" not in begun
    assert job.etag == multipart_etag(PARTS)


TAGS = Reply(body=b"<Tagging><TagSet><Tag><Key>a b</Key><Value>c/d</Value></Tag></TagSet></Tagging>")


@pytest.mark.parametrize("refusal", [error_reply(403, "AccessDenied"), error_reply(501, "NotImplemented")])
@pytest.mark.parametrize("where", ["tags are read", "tags are given"])
def test_a_copy_whose_tags_are_refused_is_made_without(refusal: Reply, where: str) -> None:
    def refuse(received: Received, nth: int) -> Reply | None:
        if "tagging" in received.query:
            return refusal if where == "tags are read" else TAGS
        return refusal if "x-amz-tagging" in received.headers else None

    job, requests = _run(_store(refuse))
    assert job.etag == multipart_etag(PARTS)
    assert job.retries == 0
    given = [r.headers.get("x-amz-tagging") for r in requests if "uploads" in r.query]
    assert given == ([None] if where == "tags are read" else ["a%20b=c%2Fd", None])


def test_a_copy_that_is_refused_with_and_without_tags_is_refused() -> None:
    def refuse(received: Received, nth: int) -> Reply | None:
        if "tagging" in received.query:
            return TAGS
        return error_reply(403, "AccessDenied") if received.method == "POST" else None

    with pytest.raises(AccessDenied, match="CreateMultipartUpload"):
        _run(_store(refuse))


@pytest.mark.fault(42)
@pytest.mark.parametrize("most_at_once", [5 * MIB, 50 * MIB], ids=["in parts", "at once"])
def test_a_copy_that_fails_by_200_is_tried_again(most_at_once: int) -> None:
    wrong = Reply(body=b"<Error><Code>InternalError</Code><Message>We encountered an error</Message></Error>")
    copies = lambda received, nth: wrong if received.method == "PUT" and nth < 1 else None  # noqa: E731
    job, _ = _run(_store(copies), most_at_once)
    assert job.retries == 1
    with pytest.raises(ServerError, match="We encountered an error"):
        _run(_store(lambda received, nth: wrong if received.method == "PUT" else None), most_at_once, attempts=2)


@pytest.mark.parametrize("most_at_once", [5 * MIB, 50 * MIB], ids=["in parts", "at once"])
def test_a_server_that_sends_blanks_while_it_copies_is_waited_for(most_at_once: int) -> None:
    job = CopyJob(("other", "source", ""), "bucket", "target", most_at_once=most_at_once, part_size=4 * MIB)
    with ScriptedServer(_store()) as server, FaultProxy(server.url) as proxy:
        proxy.add(Bandwidth(60, method="PUT"))  # of which a reply has about 100 bytes
        client_at(proxy.url, stall_timeout=0.4).run_one(job)
    assert job.retries == 0


def test_a_copy_that_fails_leaves_no_upload_behind() -> None:
    refuse = lambda received, nth: error_reply(412, "PreconditionFailed") if "partNumber" in received.query else None  # noqa: E731
    job = CopyJob(("other", "source", ""), "bucket", "target", most_at_once=5 * MIB, part_size=4 * MIB)
    with ScriptedServer(_store(refuse)) as server, pytest.raises(Modified):
        client_at(server.url).run_one(job)
    assert "DELETE" in {received.method for received in server.requests}


def test_a_copy_with_another_checksum_than_its_source_is_an_error() -> None:
    job, _ = _run(_store(checksum="AAAAAAAAAAE="), 50 * MIB)
    assert job.verified_by == "crc64nvme"
    with pytest.raises(IntegrityError, match="the copy has the crc64nvme 1, its source 2"):
        _run(_store(checksum="AAAAAAAAAAI="), 50 * MIB)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_lost_reply_to_Complete_is_settled_by_what_is_stored(is_there: bool) -> None:
    etag = f'"{multipart_etag(PARTS)}"' if is_there else '"another"'

    def lose(received: Received, nth: int) -> Reply | None:
        if received.method == "POST" and "uploadId" in received.query:
            return Reply(reset=True) if nth == 0 else error_reply(404, "NoSuchUpload")
        if received.method == "HEAD" and received.path.endswith("target"):
            return Reply(headers={"etag": etag})
        return None

    if is_there:
        assert _run(_store(lose))[0].etag == etag
    else:
        with pytest.raises(S3Error, match="NoSuchUpload"):
            _run(_store(lose))


def test_where_HEAD_is_refused_the_copy_says_why_or_goes_well() -> None:
    no_head = lambda received, nth: Reply(403) if received.method == "HEAD" else None  # noqa: E731
    job, requests = _run(_store(no_head))
    assert (job.size, job.etag) == (0, "e")
    assert "x-amz-copy-source-if-match" not in requests[-1].headers
    with pytest.raises(AccessDenied, match="CopyObject s3://bucket/target"):
        _run(lambda received: Reply(403) if received.method == "HEAD" else error_reply(403, "AccessDenied"))


class _Renewed(CredentialProvider):
    """Gives credentials that have ended until it is asked for newer ones."""

    def __init__(self) -> None:
        super().__init__()
        self._current = Credentials("OLDKEY", "secret", "old")

    def snapshot(self) -> Credentials:
        return self._current

    def renew(self, rejected: Credentials) -> Credentials:
        self._current = Credentials("NEWKEY", "secret", "new")
        return self._current


def _expired(received: Received, nth: int) -> Reply | None:
    if received.headers.get("x-amz-security-token") == "new":
        return Reply(206, b"x") if "range" in received.headers else None
    return error_reply(400, "ExpiredToken")  # HEAD has it without the code


def _elsewhere(received: Received, nth: int) -> Reply | None:
    if not received.path.startswith("/other") or "/eu-west-7/" in received.headers["authorization"]:
        # The source is empty: there is no first byte.
        return error_reply(416, "InvalidRange") if "range" in received.headers else None
    return Reply(400, b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-7</Region></Error>")


@pytest.mark.fault(28)
@pytest.mark.fault(32)
@pytest.mark.parametrize("refuse", [_expired, _elsewhere], ids=["expired token", "another region"])
@pytest.mark.parametrize("most_at_once", [5 * MIB, 50 * MIB], ids=["in parts", "at once"])
def test_a_HEAD_whose_refusal_can_be_put_right_loses_nothing(
    refuse: Callable[[Received, int], Reply | None], most_at_once: int
) -> None:
    described = (("content-type", "text/new"),)
    job, requests = _run(_store(refuse), most_at_once, described=described, provider=_Renewed())
    assert job.size == SIZE
    (begun,) = (
        r.headers
        for r in requests
        if r.path.endswith("target") and ("uploads" in r.query if most_at_once < SIZE else r.method == "PUT")
    )
    assert (begun["content-type"], begun["x-amz-meta-a"]) == ("text/new", "b")
    copied = [r.headers for r in requests if "x-amz-copy-source" in r.headers]
    assert {headers["x-amz-copy-source-if-match"] for headers in copied} == {ETAG}


@pytest.mark.parametrize(
    ("get", "error"),
    [
        (Reply(206, b"x"), S3Error),
        (error_reply(403, "AccessDenied"), AccessDenied),
        (error_reply(404, "NoSuchKey"), NotFound),
        (error_reply(400, "InvalidRequest", "The correct parameters must be provided"), InvalidRequest),
    ],
    ids=["HEAD alone", "not to be read", "missing", "of a customer's key"],
)
@pytest.mark.parametrize("head", [400, 403, 405])
def test_what_describes_a_source_that_may_not_be_looked_at_is_not_lost(
    head: int, get: Reply, error: type[S3Error]
) -> None:
    refuse = lambda received, nth: {"HEAD": Reply(head), "GET": get}.get(received.method)  # noqa: E731
    methods: list[str] = []

    def script(received: Received) -> Reply:
        methods.append(received.method)
        return _store(refuse)(received)

    with pytest.raises(error, match="s3://other/source"):
        _run(script, described=(("content-type", "text/new"),))
    assert "PUT" not in methods


def test_a_source_with_a_customers_key_that_is_not_given_is_an_error_that_says_so() -> None:
    wanted = error_reply(400, "InvalidRequest", "The object was stored using a form of Server Side Encryption.")
    with pytest.raises(InvalidRequest, match="form of Server Side Encryption"):
        _run(lambda received: wanted)
