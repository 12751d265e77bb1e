"""What the null server answers, seen through boto3 (http and https) and through raw sockets."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import http.client
import importlib
import os
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import trustme
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


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    return folder / "ca.pem", ["--cert", str(folder / "cert.pem"), "--key", str(folder / "key.pem")]


def start(request: pytest.FixtureRequest, mode: str, *arguments: str) -> contextlib.AbstractContextManager[Server]:
    if request.param == "http":
        return running(mode, *arguments)
    ca, options = request.getfixturevalue("tls")
    return running(mode, *arguments, *options, ca=ca)


both = pytest.fixture(params=["http", "https"], scope="module")


@both
def fixed(request: pytest.FixtureRequest) -> Iterator[Server]:
    with start(request, "fixed", "--object-size", "3000000") as server:
        yield server


@both
def sink(request: pytest.FixtureRequest) -> Iterator[Server]:
    with start(request, "sink") as server:
        yield server


@both
def store(request: pytest.FixtureRequest) -> Iterator[Server]:
    with start(request, "store") as server:
        server.client().create_bucket(Bucket=BUCKET)
        yield server


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


# --- mode fixed


def test_fixed_serves_the_documented_pattern_with_its_checksum(fixed: Server) -> None:
    s3 = fixed.client()
    reply = s3.get_object(Bucket="any", Key="k/obj-17.2500001", ChecksumMode="ENABLED")
    body = reply["Body"].read()
    assert body == pattern(2_500_001)
    assert reply["ChecksumCRC64NVME"] == crc64(body)
    assert reply["ChecksumType"] == "FULL_OBJECT"
    assert reply["ContentType"] == "binary/octet-stream"
    assert reply["AcceptRanges"] == "bytes"
    head = s3.head_object(Bucket="any", Key="k/obj-17.2500001", ChecksumMode="ENABLED")
    assert (head["ContentLength"], head["ETag"]) == (2_500_001, reply["ETag"])
    assert head["ChecksumCRC64NVME"] == reply["ChecksumCRC64NVME"]
    assert "ChecksumCRC64NVME" not in s3.head_object(Bucket="any", Key="k/obj-17.2500001", ChecksumMode="DISABLED")


def test_fixed_takes_the_size_from_the_key_else_from_its_option(fixed: Server) -> None:
    s3 = fixed.client()
    sizes = {"a.0": 0, "a.1": 1, "a.b.77": 77, "a": 3000000, "a.7x": 3000000, "a.": 3000000, "12": 3000000}
    for key, size in sizes.items():
        assert s3.head_object(Bucket="any", Key=key)["ContentLength"] == size, key
    assert s3.get_object(Bucket="any", Key="a.0")["Body"].read() == b""


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=5-9", 5, 9),
        ("bytes=1048570-1048590", 1048570, 1048590),
        ("bytes=-3", 1999997, 1999999),
        ("bytes=1999990-", 1999990, 1999999),
        ("bytes=1999990-9999999", 1999990, 1999999),
        ("bytes=-9999999", 0, 1999999),
    ],
)
def test_a_range_is_206_without_a_checksum(fixed: Server, header: str, first: int, last: int) -> None:
    reply = fixed.client().get_object(Bucket="any", Key="k.2000000", Range=header, ChecksumMode="ENABLED")
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert reply["ContentRange"] == f"bytes {first}-{last}/2000000"
    assert reply["Body"].read() == pattern(2000000)[first : last + 1]
    assert not [name for name in reply if name.startswith("Checksum")]


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_outside_the_object_is_416(fixed: Server, header: str) -> None:
    with pytest.raises(ClientError) as error:
        fixed.client().get_object(Bucket="any", Key="k.100", Range=header)
    assert (code(error), status(error)) == ("InvalidRange", 416)


@pytest.mark.parametrize("header", ["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=-"])
def test_a_range_that_cannot_be_used_is_ignored(fixed: Server, header: str) -> None:
    answer, headers, body = fixed.request("GET", "/any/k.100", headers={"Range": header})
    assert (answer, len(body)) == (200, 100)
    assert "content-range" not in headers


def test_conditions_on_get(fixed: Server) -> None:
    s3 = fixed.client()
    etag = s3.head_object(Bucket="any", Key="k.100")["ETag"]
    for good in (etag, etag.strip('"'), "*", f'"other", {etag}'):
        assert fixed.request("GET", "/any/k.100", headers={"If-Match": good})[0] == 200
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="any", Key="k.100", IfMatch='"other"')
    assert (code(error), status(error)) == ("PreconditionFailed", 412)
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="any", Key="k.100", IfNoneMatch=etag)
    assert status(error) == 304


def test_fixed_refuses_to_write(fixed: Server) -> None:
    s3 = fixed.client()
    calls: list[Callable[[], Any]] = [
        lambda: s3.put_object(Bucket="any", Key="k", Body=b"x" * 100000),
        lambda: s3.delete_object(Bucket="any", Key="k"),
        lambda: s3.create_multipart_upload(Bucket="any", Key="k"),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert (code(error), status(error)) == ("MethodNotAllowed", 405)


def test_a_request_without_a_signature_is_denied(fixed: Server) -> None:
    with fixed.connect() as connection:
        connection.sendall(b"GET /b/k.1 HTTP/1.1\r\nHost: x\r\n\r\n")
        reply = connection.recv(65536)
    assert b" 403 " in reply
    assert b"<Code>AccessDenied</Code>" in reply
    url = fixed.client().generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k.10"})
    path = url.split(f":{fixed.port}", 1)[1]
    with fixed.connect() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 200 " in connection.recv(65536)


def test_errors_name_resource_and_request_and_a_head_error_has_no_body(fixed: Server) -> None:
    answer, headers, body = fixed.request("DELETE", "/b/some%26key")
    assert answer == 405
    assert f"<RequestId>{headers['x-amz-request-id']}</RequestId>".encode() in body
    assert b"<Resource>/b/some&amp;key</Resource>" in body
    answer, headers, body = fixed.request("HEAD", "/b/k.1", headers={"If-Match": "x"})
    assert (answer, body, headers["content-length"]) == (412, b"", "0")


# --- mode sink


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC64NVME", "CRC32C"])
def test_sink_verifies_and_echoes_checksums(sink: Server, algorithm: str) -> None:
    data = os.urandom(300_001)
    values = {"CRC32": crc32(data), "CRC32C": crc(data, 4), "CRC64NVME": crc(data, 8)}
    s3 = sink.client()
    reply = s3.put_object(Bucket="any", Key="k", Body=data, **{f"Checksum{algorithm}": text(values[algorithm])})
    assert reply[f"Checksum{algorithm}"] == text(values[algorithm])
    assert reply["ETag"].startswith('"')
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="any", Key="k", Body=data + b"x", **{f"Checksum{algorithm}": text(values[algorithm])})
    assert (code(error), status(error)) == ("BadDigest", 400)


def test_sink_verifies_md5_when_it_is_sent(sink: Server) -> None:
    digest = text(hashlib.md5(b"abc").digest())
    assert sink.request("PUT", "/b/k", b"abc", {"Content-MD5": digest})[0] == 200
    answer, _, body = sink.request("PUT", "/b/k", b"abd", {"Content-MD5": digest})
    assert (answer, b"<Code>BadDigest</Code>" in body) == (400, True)
    assert b"<Code>InvalidDigest</Code>" in sink.request("PUT", "/b/k", b"abc", {"Content-MD5": "no"})[2]


def test_sink_combines_the_parts_checksum(sink: Server) -> None:
    s3 = sink.client()
    parts = [os.urandom(5 * MIB), os.urandom(12345)]
    upload = s3.create_multipart_upload(
        Bucket="any", Key="k", ChecksumAlgorithm="CRC64NVME", ChecksumType="FULL_OBJECT"
    )
    assert (upload["ChecksumAlgorithm"], upload["ChecksumType"]) == ("CRC64NVME", "FULL_OBJECT")
    listed = []
    for number, part in enumerate(parts, 1):
        reply = s3.upload_part(
            Bucket="any",
            Key="k",
            UploadId=upload["UploadId"],
            PartNumber=number,
            Body=part,
            ChecksumCRC64NVME=crc64(part),
        )
        listed.append({"PartNumber": number, "ETag": reply["ETag"], "ChecksumCRC64NVME": crc64(part)})
    done = s3.complete_multipart_upload(
        Bucket="any", Key="k", UploadId=upload["UploadId"], MultipartUpload={"Parts": listed}
    )
    assert done["ChecksumCRC64NVME"] == crc64(b"".join(parts))
    with pytest.raises(ClientError) as error:
        s3.list_parts(Bucket="any", Key="k", UploadId=upload["UploadId"])
    assert code(error) == "NoSuchUpload"


def test_sink_aborts_finds_nothing_and_deletes_everything(sink: Server) -> None:
    s3 = sink.client()
    upload = s3.create_multipart_upload(Bucket="any", Key="k")["UploadId"]
    s3.abort_multipart_upload(Bucket="any", Key="k", UploadId=upload)
    calls: list[Callable[[], Any]] = [
        lambda: s3.upload_part(Bucket="any", Key="k", UploadId=upload, PartNumber=1, Body=b"x"),
        lambda: s3.get_object(Bucket="any", Key="k"),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) in ("NoSuchUpload", "NoSuchKey")
        assert status(error) == 404
    s3.delete_object(Bucket="any", Key="k")
    assert s3.delete_objects(Bucket="any", Delete={"Objects": [{"Key": "a"}]})["Deleted"] == [{"Key": "a"}]


# --- mode store


def test_an_object_comes_back_with_its_metadata(store: Server) -> None:
    s3 = store.client()
    data = os.urandom(100_000)
    put = s3.put_object(
        Bucket=BUCKET,
        Key="meta",
        Body=data,
        Metadata={"color": "blue", "x": "1"},
        ContentType="text/plain",
        ContentEncoding="gzip",
        CacheControl="no-store",
    )
    assert put["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    got = s3.get_object(Bucket=BUCKET, Key="meta")
    assert got["Body"].read() == data
    assert got["Metadata"] == {"color": "blue", "x": "1"}
    assert (got["ContentType"], got["ContentEncoding"], got["CacheControl"]) == (
        "text/plain",
        "gzip",
        "no-store",
    )
    assert abs(got["LastModified"] - datetime.datetime.now(datetime.UTC)).total_seconds() < 60
    assert got["ChecksumCRC32"] == text(crc32(data))
    ranged = s3.get_object(Bucket=BUCKET, Key="meta", Range="bytes=10-19")
    assert ranged["Body"].read() == data[10:20]
    assert not [name for name in ranged if name.startswith("Checksum")]


def test_an_object_without_a_checksum_gets_crc64nvme(store: Server) -> None:
    s3 = store.client(request_checksum_calculation="when_required")
    put = s3.put_object(Bucket=BUCKET, Key="plain", Body=b"hello")
    head = s3.head_object(Bucket=BUCKET, Key="plain", ChecksumMode="ENABLED")
    assert put["ChecksumCRC64NVME"] == head["ChecksumCRC64NVME"] == crc64(b"hello")
    assert head["ChecksumType"] == "FULL_OBJECT"


@pytest.mark.parametrize("size", [0, 1, 65536, 3_000_000])
def test_streams_with_a_trailer_are_decoded(store: Server, size: int) -> None:
    """boto3 sends a stream aws-chunked over https, with the checksum behind it."""
    data = os.urandom(size)
    path_client = store.client()
    path_client.put_object(Bucket=BUCKET, Key="stream", Body=data, ContentEncoding="br", ChecksumAlgorithm="CRC32")
    got = path_client.get_object(Bucket=BUCKET, Key="stream")
    assert got["Body"].read() == data
    assert got["ContentEncoding"] == "br"
    assert got["ChecksumCRC32"] == text(crc32(data))


def chunked(chunks: list[bytes], trailer: bytes, signed: bool) -> bytes:
    signature = b";chunk-signature=" + b"0" * 64 if signed else b""
    body = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), signature, chunk) for chunk in chunks)
    return body + b"0" + signature + b"\r\n" + trailer + b"\r\n"


@pytest.mark.parametrize(
    "kind",
    [
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    ],
)
def test_aws_chunked_bodies_of_each_kind(store: Server, kind: str) -> None:
    chunks = [os.urandom(70_000), b"x", os.urandom(5000)]
    data = b"".join(chunks)
    has_trailer, signed = kind.endswith("TRAILER"), "HMAC" in kind
    headers = {
        "x-amz-content-sha256": kind,
        "x-amz-decoded-content-length": str(len(data)),
        "Content-Encoding": "aws-chunked",
    }
    if has_trailer:
        headers["x-amz-trailer"] = "x-amz-checksum-crc64nvme"

    def put(checksum: str, decoded: int = len(data)) -> tuple[int, bytes]:
        trailer = f"x-amz-checksum-crc64nvme:{checksum}\r\n".encode() if has_trailer else b""
        body = chunked(chunks, trailer + (b"x-amz-trailer-signature:0\r\n" if has_trailer and signed else b""), signed)
        sent = {**headers, "x-amz-decoded-content-length": str(decoded)}
        answer, _, reply = store.request("PUT", f"/{BUCKET}/chunked", body, sent)
        return answer, reply

    assert put(crc64(data))[0] == 200
    got = store.client().get_object(Bucket=BUCKET, Key="chunked")
    assert got["Body"].read() == data
    assert "ContentEncoding" not in got
    if has_trailer:
        answer, reply = put(crc64(b"other"))
        assert (answer, b"BadDigest" in reply) == (400, True)
    assert b"IncompleteBody" in put(crc64(data), len(data) - 1)[1]
    assert b"IncompleteBody" in put(crc64(data), len(data) + 1)[1]


def test_a_broken_aws_chunked_body_is_refused_and_the_connection_lives(store: Server) -> None:
    for body in (
        b"zz\r\nab\r\n0\r\n\r\n",
        b"2\r\nabX\r\n0\r\n\r\n",
        b"2\r\nab\r\n",
        b"0\r\n\r\nmore",
        b"a" * 2000,
    ):
        answer, headers, _ = store.request(
            "PUT",
            f"/{BUCKET}/broken",
            body,
            {
                "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                "x-amz-decoded-content-length": "2",
            },
        )
        assert (answer, headers.get("connection")) == (400, None), body


def transfer_chunked(data: bytes, size: int) -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_transfer_encoding_around_aws_chunked_with_a_request_right_behind_it(store: Server) -> None:
    data = os.urandom(100_000)
    inner = chunked([data], f"x-amz-checksum-crc64nvme:{crc64(data)}\r\n".encode(), signed=False)
    head = (
        f"PUT /{BUCKET}/transfer HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}Transfer-Encoding: chunked\r\n"
        f"x-amz-decoded-content-length: {len(data)}\r\nx-amz-trailer: x-amz-checksum-crc64nvme\r\n"
        "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n\r\n"
    ).encode()
    behind = f"HEAD /{BUCKET}/transfer HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}Pad: {'p' * 20000}\r\n\r\n".encode()
    for size in (7000, 200_000):
        with store.connect() as connection:
            connection.sendall((head + transfer_chunked(inner, size) + behind) * 3)
            replies = b""
            while replies.count(b"HTTP/1.1 200 OK") < 6 or not replies.endswith(b"\r\n\r\n"):
                piece = connection.recv(65536)
                assert piece, replies
                replies += piece
    assert store.client().get_object(Bucket=BUCKET, Key="transfer")["Body"].read() == data
    with store.connect() as connection:
        connection.sendall(head + b"5\r\nabcdeX\r\n")
        reply = connection.recv(65536)
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in reply


def test_a_chunked_body_of_unknown_length_is_refused(store: Server) -> None:
    with store.connect() as connection:
        head = f"PUT /{BUCKET}/k HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}Transfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode() + transfer_chunked(b"x" * 1000, 100))
        assert connection.recv(65536).startswith(b"HTTP/1.1 411 ")


def test_conditional_writes(store: Server) -> None:
    s3 = store.client()
    etag = s3.put_object(Bucket=BUCKET, Key="cas", Body=b"1", IfNoneMatch="*")["ETag"]
    for conditions in ({"IfNoneMatch": "*"}, {"IfMatch": '"other"'}):
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=BUCKET, Key="cas", Body=b"2", **conditions)
        assert (code(error), status(error)) == ("PreconditionFailed", 412)
    s3.put_object(Bucket=BUCKET, Key="cas", Body=b"3", IfMatch=etag)
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=BUCKET, Key="cas-none", Body=b"2", IfMatch=etag)
    assert code(error) == "NoSuchKey"
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="cas")
    part = s3.upload_part(Bucket=BUCKET, Key="cas", UploadId=upload["UploadId"], PartNumber=1, Body=b"4")
    listed = {"PartNumber": 1, "ETag": part["ETag"], "ChecksumCRC32": text(crc32(b"4"))}
    finish = {
        "Bucket": BUCKET,
        "Key": "cas",
        "UploadId": upload["UploadId"],
        "MultipartUpload": {"Parts": [listed]},
    }
    with pytest.raises(ClientError) as error:
        s3.complete_multipart_upload(**finish, IfNoneMatch="*")
    assert code(error) == "PreconditionFailed"
    s3.complete_multipart_upload(**finish, IfMatch=f'"{hashlib.md5(b"3").hexdigest()}"')
    assert s3.get_object(Bucket=BUCKET, Key="cas")["Body"].read() == b"4"


@dataclass(frozen=True)
class Upload:
    """A multipart upload under test."""

    s3: Any
    key: str
    id: str

    @classmethod
    def create(cls, s3: Any, key: str, **options: Any) -> Upload:
        return cls(s3, key, s3.create_multipart_upload(Bucket=BUCKET, Key=key, **options)["UploadId"])

    def part(self, number: int, data: bytes, **options: Any) -> dict[str, Any]:
        reply = self.s3.upload_part(
            Bucket=BUCKET, Key=self.key, UploadId=self.id, PartNumber=number, Body=data, **options
        )
        kept = {name: value for name, value in reply.items() if name.startswith("Checksum") or name == "ETag"}
        return {"PartNumber": number, **kept}

    def complete(self, *parts: dict[str, Any], **options: Any) -> Any:
        return self.s3.complete_multipart_upload(
            Bucket=BUCKET, Key=self.key, UploadId=self.id, MultipartUpload={"Parts": list(parts)}, **options
        )


@pytest.mark.parametrize(
    ("algorithm", "kind"), [("CRC64NVME", None), ("CRC32", None), ("CRC32C", None), ("CRC32", "FULL_OBJECT")]
)
def test_multipart_checksums_of_each_type(store: Server, algorithm: str, kind: str | None) -> None:
    functions: dict[str, Callable[[bytes], bytes]] = {
        "CRC64NVME": crc64nvme,
        "CRC32": crc32,
        "CRC32C": crc32c,
    }
    function = functions[algorithm]
    data = [os.urandom(5 * MIB), os.urandom(1000)]
    s3 = store.client()
    options = {"ChecksumAlgorithm": algorithm, **({"ChecksumType": kind} if kind else {})}
    upload = Upload.create(s3, "multi", **options)
    parts = [upload.part(n, d, **{f"Checksum{algorithm}": text(function(d))}) for n, d in enumerate(data, 1)]
    done = upload.complete(*parts)
    full = kind == "FULL_OBJECT" or algorithm == "CRC64NVME"
    whole = b"".join(data)
    expected = text(function(whole)) if full else text(function(b"".join(map(function, data)))) + "-2"
    md5s = b"".join(hashlib.md5(d).digest() for d in data)
    assert done["ETag"] == f'"{hashlib.md5(md5s).hexdigest()}-2"'
    assert done[f"Checksum{algorithm}"] == expected
    head = s3.head_object(Bucket=BUCKET, Key="multi", ChecksumMode="ENABLED")
    assert (head[f"Checksum{algorithm}"], head["ChecksumType"]) == (
        expected,
        "FULL_OBJECT" if full else "COMPOSITE",
    )
    assert s3.get_object(Bucket=BUCKET, Key="multi")["Body"].read() == whole
    edge = s3.get_object(Bucket=BUCKET, Key="multi", Range=f"bytes={5 * MIB - 5}-{5 * MIB + 4}")
    assert edge["Body"].read() == whole[5 * MIB - 5 : 5 * MIB + 5]


def test_complete_refuses_what_does_not_fit(store: Server) -> None:
    s3 = store.client()
    upload = Upload.create(s3, "bad", ChecksumAlgorithm="CRC64NVME")
    big, small = os.urandom(5 * MIB), b"small"
    one = upload.part(1, big, ChecksumCRC64NVME=crc64(big))
    two = upload.part(2, small, ChecksumCRC64NVME=crc64(small))
    three = upload.part(3, small, ChecksumCRC64NVME=crc64(small))
    refusals: list[tuple[str, list[dict[str, Any]], dict[str, Any]]] = [
        ("InvalidPartOrder", [two, one], {}),
        ("InvalidPart", [one, {**two, "PartNumber": 9}], {}),
        ("InvalidPart", [one, {**two, "ETag": '"0"'}], {}),
        ("InvalidPart", [one, {**two, "ChecksumCRC64NVME": crc64(b"x")}], {}),
        ("EntityTooSmall", [one, two, three], {}),
        ("BadDigest", [one, two], {"ChecksumCRC64NVME": crc64(b"x")}),
        ("InvalidRequest", [one, two], {"ChecksumType": "COMPOSITE"}),
        ("InvalidRequest", [one, two], {"MpuObjectSize": 1}),
        ("MalformedXML", [], {}),
    ]
    for expected, parts, options in refusals:
        with pytest.raises(ClientError) as error:
            upload.complete(*parts, **options)
        assert code(error) == expected, (parts, options)
    with pytest.raises(ClientError) as error:
        upload.part(4, small, ChecksumCRC32=text(crc32(small)))
    assert code(error) == "InvalidRequest"
    upload.complete(one, two, ChecksumCRC64NVME=crc64(big + small), MpuObjectSize=len(big) + 5)
    with pytest.raises(ClientError) as error:
        upload.complete(one, two)
    assert (code(error), status(error)) == ("NoSuchUpload", 404)


def test_parts_and_uploads_are_listed_in_pages(store: Server) -> None:
    s3 = store.client()
    uploads = [Upload.create(s3, f"paged/{name}") for name in ("b", "a", "a", "é")]
    for number in (7, 2, 5):
        uploads[0].part(number, b"x" * number)
    pages = list(
        s3.get_paginator("list_parts").paginate(
            Bucket=BUCKET, Key="paged/b", UploadId=uploads[0].id, PaginationConfig={"PageSize": 2}
        )
    )
    assert [[part["PartNumber"] for part in page["Parts"]] for page in pages] == [[2, 5], [7]]
    assert pages[0]["Parts"][0]["Size"] == 2
    listed = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=BUCKET, Prefix="paged/", PaginationConfig={"PageSize": 1}
    )
    assert [u["Key"] for page in listed for u in page.get("Uploads", [])] == [
        "paged/a",
        "paged/a",
        "paged/b",
        "paged/é",
    ]
    for upload in uploads:
        s3.abort_multipart_upload(Bucket=BUCKET, Key=upload.key, UploadId=upload.id)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET, Prefix="paged/")


def test_listings_roll_up_page_and_start_after(store: Server) -> None:
    s3 = store.client()
    names = ["a", "a/1", "a/2", "a/b/3", "b", "c//d", "é", "z/", "\U0001f600", "\uffee"]
    s3.create_bucket(Bucket="listing")
    for name in names:
        s3.put_object(Bucket="listing", Key=name, Body=b"x")
    ordered = sorted(names, key=lambda name: name.encode())

    def listing(**options: Any) -> tuple[list[str], list[str]]:
        keys, prefixes = [], []
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="listing", **options):
            assert page["KeyCount"] == len(page.get("Contents", [])) + len(page.get("CommonPrefixes", []))
            keys += [entry["Key"] for entry in page.get("Contents", [])]
            prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        return keys, prefixes

    for size in (1, 2, 1000):
        page = {"PageSize": size}
        assert listing(PaginationConfig=page) == (ordered, [])
        assert listing(Delimiter="/", PaginationConfig=page) == (
            [name for name in ordered if "/" not in name],
            ["a/", "c/", "z/"],
        )
        assert listing(Prefix="a/", Delimiter="/", PaginationConfig=page) == (["a/1", "a/2"], ["a/b/"])
        assert listing(StartAfter="b", PaginationConfig=page)[0] == ordered[ordered.index("b") + 1 :]
        assert listing(Prefix="nothing", PaginationConfig=page) == ([], [])
    nothing = s3.list_objects_v2(Bucket="listing", MaxKeys=0)
    assert (nothing["KeyCount"], nothing["IsTruncated"]) == (0, False)
    with pytest.raises(ClientError) as error:
        s3.list_objects_v2(Bucket="listing", ContinuationToken="zz")
    assert code(error) == "InvalidArgument"
    with pytest.raises(ClientError) as error:
        s3.delete_bucket(Bucket="listing")
    assert code(error) == "BucketNotEmpty"
    gone = s3.delete_objects(Bucket="listing", Delete={"Objects": [{"Key": name} for name in names]})
    assert [entry["Key"] for entry in gone["Deleted"]] == names
    s3.delete_bucket(Bucket="listing")


ODD_KEYS = [
    "a//b",
    "./x",
    "../x",
    "a/../b",
    "dir/",
    " blank ",
    "100%",
    "a+b",
    "?#&=",
    "\U0001f600",
    "k" * 1024,
    "<&>\"'",
    "tab\tline\n",
]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_are_kept_verbatim(store: Server, key: str) -> None:
    s3 = store.client()
    s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == key.encode()
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix=key)["Contents"]] == [key]
    s3.delete_object(Bucket=BUCKET, Key=key)
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=BUCKET, Key=key)
    assert code(error) == "NoSuchKey"


def test_a_key_over_1024_bytes_is_refused(store: Server) -> None:
    with pytest.raises(ClientError) as error:
        store.client().put_object(Bucket=BUCKET, Key="k" * 1025, Body=b"")
    assert (code(error), status(error)) == ("KeyTooLongError", 400)


def test_buckets(store: Server) -> None:
    s3 = store.client()
    s3.create_bucket(Bucket="another")
    s3.head_bucket(Bucket="another")
    assert s3.get_bucket_location(Bucket="another")["LocationConstraint"] is None
    assert {"another", BUCKET} <= {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    with pytest.raises(ClientError) as error:
        s3.create_bucket(Bucket="another")
    assert code(error) == "BucketAlreadyOwnedByYou"
    s3.delete_bucket(Bucket="another")
    calls: list[Callable[[], Any]] = [
        lambda: s3.head_bucket(Bucket="another"),
        lambda: s3.list_objects_v2(Bucket="another"),
        lambda: s3.put_object(Bucket="another", Key="k", Body=b""),
        lambda: s3.create_multipart_upload(Bucket="another", Key="k"),
        lambda: s3.get_object(Bucket="another", Key="k"),
        lambda: s3.delete_bucket(Bucket="another"),
        lambda: s3.delete_objects(Bucket="another", Delete={"Objects": [{"Key": "k"}]}),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert status(error) == 404
    assert b"InvalidBucketName" in store.request("PUT", "/B_")[2]


def test_copies_share_bytes_and_keep_or_replace_metadata(store: Server) -> None:
    s3 = store.client()
    s3.put_object(Bucket=BUCKET, Key="from é", Body=b"data", Metadata={"a": "1"})
    source = {"Bucket": BUCKET, "Key": "from é"}
    s3.copy_object(Bucket=BUCKET, Key="to", CopySource=source)
    s3.delete_object(Bucket=BUCKET, Key="from é")
    got = s3.get_object(Bucket=BUCKET, Key="to")
    assert (got["Body"].read(), got["Metadata"]) == (b"data", {"a": "1"})
    itself = {"Bucket": BUCKET, "Key": "to"}
    s3.copy_object(Bucket=BUCKET, Key="to", CopySource=itself, MetadataDirective="REPLACE", Metadata={"b": "2"})
    assert s3.head_object(Bucket=BUCKET, Key="to")["Metadata"] == {"b": "2"}
    for source, expected in ((itself, "InvalidRequest"), ({"Bucket": BUCKET, "Key": "none"}, "NoSuchKey")):
        with pytest.raises(ClientError) as error:
            s3.copy_object(Bucket=BUCKET, Key="to", CopySource=source)
        assert code(error) == expected


def test_unknown_requests_are_not_implemented(store: Server) -> None:
    s3 = store.client()
    calls: list[Callable[[], Any]] = [
        lambda: s3.get_bucket_acl(Bucket=BUCKET),
        lambda: s3.list_objects(Bucket=BUCKET),
        lambda: s3.get_object_tagging(Bucket=BUCKET, Key="k"),
        lambda: s3.put_object(Bucket=BUCKET, Key="k", Body=b"", ChecksumAlgorithm="SHA256"),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert (code(error), status(error)) == ("NotImplemented", 501)


def test_the_memory_limit_holds_and_memory_comes_back() -> None:
    with running("store", "--memory-limit", str(3 * MIB)) as server:
        s3 = server.client()
        s3.create_bucket(Bucket=BUCKET)
        for _ in range(5):
            s3.put_object(Bucket=BUCKET, Key="k", Body=bytes(MIB))
        s3.put_object(Bucket=BUCKET, Key="l", Body=bytes(MIB))
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=BUCKET, Key="m", Body=bytes(MIB))
        assert (code(error), status(error)) == ("InsufficientStorage", 507)
        s3.delete_object(Bucket=BUCKET, Key="l")
        s3.put_object(Bucket=BUCKET, Key="m", Body=bytes(MIB))


# --- on the wire


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


# --- the process


def test_several_threads_share_one_store() -> None:
    with running("store", "--threads", "3") as server:
        server.client().create_bucket(Bucket=BUCKET)
        failures: list[str] = []

        def work(name: int) -> None:
            s3 = server.client()
            for turn in range(15):
                key, shared = f"{name}/{turn}", f"shared/{turn}"
                body = os.urandom(20_000)
                for target in (key, shared):
                    s3.put_object(Bucket=BUCKET, Key=target, Body=body)
                if s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() != body:
                    failures.append(key)
                s3.get_object(Bucket=BUCKET, Key=shared)["Body"].read()  # verified against its checksum
                s3.list_objects_v2(Bucket=BUCKET)
                s3.delete_object(Bucket=BUCKET, Key=key)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert server.client().list_objects_v2(Bucket=BUCKET)["KeyCount"] == 15


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_clients_connected(number: signal.Signals) -> None:
    with running("fixed") as server, server.connect() as connection:
        connection.sendall(f"GET /b/k HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}\r\n".encode())
        connection.recv(10)
        server.process.send_signal(number)
        assert server.process.wait(5) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "--mode other",
        "--mode",
        "--mode fixed --port 70000",
        "--mode fixed --host 0.0.0.0",
        "--mode fixed --cert x",
        "--mode fixed --host example.org",
        "--mode fixed --what 1",
        "--mode fixed --threads 0",
        "--mode fixed --object-size -1",
        "--mode fixed --cert /nonexistent --key /nonexistent",
    ],
)
def test_bad_options_are_one_sentence_and_status_2(arguments: str) -> None:
    done = subprocess.run([executable(), *arguments.split()], capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("fds-nullserver: ")


def test_help_says_that_signatures_are_not_verified() -> None:
    done = subprocess.run([executable(), "--help"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0
    assert "SIGNATURES ARE NOT VERIFIED" in done.stdout
