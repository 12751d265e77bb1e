"""Resuming, as far as it hangs on what a server lists: pages, checksums, uploads of others. See also tests/faults."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable

import pytest

from fastdatastore import errors
from fastdatastore.config import MIB
from fastdatastore.engine import integrity
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.put import PutJob
from tests.support.clients import client_at
from tests.support.scripted_server import Received, Reply, ScriptedServer, error_reply

PART = 5 * MIB
CONTENT = random.Random(4).randbytes(6 * PART + 3)
PARTS = 7


def crc_of(content: bytes) -> str:
    return integrity.encode("crc64nvme", _native.crc(_native.CRC64NVME, content))


class LeftBehind:
    """A server with uploads that were left behind; lists them and their parts one a page.

    Attributes:
        uploads: (key, id, begun).
        listed: Part number → rows of ListParts.
        sent: Numbers of the parts that came, by upload.
    """

    def __init__(self) -> None:
        self.uploads = [
            ("key", "old", "2026-01-01T00:00:00Z"),
            ("key2", "other", "2026-03-01T00:00:00Z"),
            ("key", "new", "2026-02-01T00:00:00Z"),
        ]
        self.listed: dict[int, str] = {}
        self.algorithm = "CRC64NVME"
        self.gone = False
        self.asked: list[str] = []
        self.sent: Counter[tuple[str, int]] = Counter()
        self.completed = ""

    def has(self, number: int, content: bytes, row: Callable[[bytes], str]) -> None:
        piece = content[(number - 1) * PART : number * PART]
        size = f"<PartNumber>{number}</PartNumber><Size>{len(piece)}</Size>"
        self.listed[number] = f"<Part>{size}{row(piece)}</Part>"

    def __call__(self, received: Received) -> Reply:
        query = received.query
        sent = {k: v for k, v in received.headers.items() if k.startswith("x-amz-checksum-")}
        if received.method == "GET" and "uploads" in query:
            return self._uploads(query.get("upload-id-marker", ""))
        if received.method == "GET":
            self.asked.append(query["uploadId"])
            if self.gone:
                return error_reply(404, "NoSuchUpload")
            return self._parts(int(query.get("part-number-marker", "0")))
        if "partNumber" in query:
            self.sent[query["uploadId"], int(query["partNumber"])] += 1
            return Reply(200, b"", {"etag": '"e"'} | sent)
        if received.method == "POST" and "uploads" in query:
            body = b"<InitiateMultipartUploadResult><UploadId>fresh</UploadId></InitiateMultipartUploadResult>"
            return Reply(200, body, sent)
        assert received.method == "POST", received
        self.completed = query["uploadId"]
        assert received.headers["x-amz-checksum-crc64nvme"] == crc_of(CONTENT)
        return Reply(200, b"<R><ETag>&quot;whole&quot;</ETag></R>")

    def _uploads(self, after: str) -> Reply:
        ids = [upload[1] for upload in self.uploads]
        at = ids.index(after) + 1 if after else 0
        if at >= len(ids):
            return Reply(200, b"<ListMultipartUploadsResult/>")
        key, upload_id, begun = self.uploads[at]
        row = f"<Upload><Key>{key}</Key><UploadId>{upload_id}</UploadId><Initiated>{begun}</Initiated></Upload>"
        more = "<IsTruncated>true</IsTruncated>" if at + 1 < len(ids) else ""
        marker = f"<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{upload_id}</NextUploadIdMarker>"
        return Reply(200, f"<ListMultipartUploadsResult>{row}{more}{marker}</ListMultipartUploadsResult>".encode())

    def _parts(self, after: int) -> Reply:
        left = sorted(number for number in self.listed if number > after)
        row = self.listed[left[0]] if left else ""
        next_page = f"<NextPartNumberMarker>{left[0]}</NextPartNumberMarker>" if left else ""
        more = "<IsTruncated>true</IsTruncated>" if len(left) > 1 else ""
        algorithm = f"<ChecksumAlgorithm>{self.algorithm}</ChecksumAlgorithm>" if self.algorithm else ""
        return Reply(200, f"<ListPartsResult>{algorithm}{row}{next_page}{more}</ListPartsResult>".encode())


def by_crc(piece: bytes) -> str:
    """The ETag is no MD5, as with SSE-KMS."""
    return f'<ETag>"{"0" * 32}"</ETag><ChecksumCRC64NVME>{crc_of(piece)}</ChecksumCRC64NVME>'


def by_md5(piece: bytes) -> str:
    return f'<ETag>"{hashlib.md5(piece).hexdigest()}"</ETag>'


def by_nothing(piece: bytes) -> str:
    return f'<ETag>"opaque-{len(piece)}"</ETag>'


def resume(server: LeftBehind) -> PutJob:
    with ScriptedServer(server) as running:
        client = client_at(running.url)
        return client.run_one(client.put("bucket", "key", CONTENT, resume=True))


def sent_to(server: LeftBehind, upload_id: str) -> list[int]:
    assert set(server.sent.values()) == {1}
    return sorted(number for upload, number in server.sent if upload == upload_id)


@pytest.mark.parametrize("row", [by_crc, by_md5])
def test_the_newest_upload_of_the_key_is_resumed(row: Callable[[bytes], str]) -> None:
    server = LeftBehind()
    for number in (1, 3, 7):
        server.has(number, CONTENT, row)
    job = resume(server)
    assert set(server.asked) == {"new"}
    assert job.resumed == 3
    assert sent_to(server, "new") == [2, 4, 5, 6]
    assert server.completed == "new"
    assert job.verified_by == "crc64nvme"


@pytest.mark.parametrize("row", [by_crc, by_md5])
def test_a_part_that_is_not_the_sources_is_sent_again(row: Callable[[bytes], str]) -> None:
    server = LeftBehind()
    server.has(1, CONTENT, row)
    server.has(2, bytes(len(CONTENT)), row)
    resume(server)
    assert sent_to(server, "new") == [2, 3, 4, 5, 6, 7]


def test_a_part_that_cannot_be_compared_is_sent_again() -> None:
    server = LeftBehind()
    server.has(1, CONTENT, by_md5)
    server.has(2, CONTENT, by_nothing)
    resume(server)
    assert sent_to(server, "new") == [2, 3, 4, 5, 6, 7]


def test_an_upload_that_has_all_parts_is_completed() -> None:
    server = LeftBehind()
    for number in range(1, PARTS + 1):
        server.has(number, CONTENT, by_crc)
    resume(server)
    # One is sent: its reply tells whether this server keeps checksums.
    assert len(sent_to(server, "new")) == 1
    assert server.completed == "new"


@pytest.mark.parametrize("why", ["no parts", "other bytes", "another checksum", "gone", "another size", "opaque"])
def test_what_is_no_upload_of_this_source_is_left_alone(why: str) -> None:
    server = LeftBehind()
    content = bytes(len(CONTENT)) if why == "other bytes" else CONTENT
    if why != "no parts":
        server.has(1, content, by_nothing if why == "opaque" else by_md5)
    if why == "another size":
        server.has(9, CONTENT * 2, by_md5)
    server.algorithm = "SHA256" if why == "another checksum" else ""
    server.gone = why == "gone"
    job = resume(server)
    assert job.resumed == 0
    assert sent_to(server, "fresh") == list(range(1, PARTS + 1))
    assert server.completed == "fresh"


@pytest.mark.parametrize(
    "page",
    [
        b"<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>",
        b"<ListPartsResult><Part><PartNumber>x</PartNumber></Part></ListPartsResult>",
        b"<html/>",
        b"nonsense",
    ],
)
def test_a_listing_of_parts_that_makes_no_sense_is_an_error(page: bytes) -> None:
    server = LeftBehind()
    server._parts = lambda after: Reply(200, page)  # type: ignore[method-assign]
    with ScriptedServer(server) as running:
        client = client_at(running.url, attempts=2)
        with pytest.raises(errors.ProtocolError, match="ListParts s3://bucket/key"):
            client.run_one(client.put("bucket", "key", CONTENT, resume=True))
    assert server.completed == ""
