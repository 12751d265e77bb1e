"""The list's bad inputs that no other test has: each comes through whole, or is an error that says what is wrong."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import S3, S3GetObject, S3PutObject, errors
from fastdatastore.auth.endpoint import EndpointConfig, check_bucket
from fastdatastore.bench.measure import forget_peak, peak_rss_bytes
from fastdatastore.config import MIB
from fastdatastore.engine.client import Client
from fastdatastore.engine.get import GetJob
from fastdatastore.engine.head import HeadJob
from fastdatastore.engine.ranges import ByteRange
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_at, client_of, s3_of
from tests.support.faulty import Place
from tests.support.scripted_server import Reply, ScriptedServer, StoredObject, in_turn

TIB5 = 5 << 40

# ---- names ----


@pytest.mark.fault("bucket names")
@pytest.mark.parametrize(
    ("bucket", "host", "prefix"),
    [
        ("plain-bucket", "plain-bucket.s3.eu-west-1.amazonaws.com", "/"),
        # A certificate for *.s3.… does not cover a name with dots; a host name knows no capitals.
        ("with.dots", "s3.eu-west-1.amazonaws.com", "/with.dots/"),
        ("Uppercase", "s3.eu-west-1.amazonaws.com", "/Uppercase/"),
        ("under_score", "s3.eu-west-1.amazonaws.com", "/under_score/"),
        ("b" * 64, "s3.eu-west-1.amazonaws.com", f"/{'b' * 64}/"),
    ],
)
def test_a_bucket_whose_name_fits_no_host_name_goes_into_the_path(bucket: str, host: str, prefix: str) -> None:
    address = EndpointConfig("", "eu-west-1").address(bucket)
    assert (address.host_header, address.prefix) == (host, prefix)
    assert EndpointConfig("http://minio:9000", "eu-west-1").address(bucket).prefix == f"/{bucket}/"


@pytest.mark.fault("bucket names")
@pytest.mark.parametrize("bucket", ["", "a/b", "a b", "a\0b", "a\nb", "b" * 256])
def test_what_is_no_bucket_name_is_refused(bucket: str) -> None:
    with pytest.raises(errors.InvalidKey, match="not a bucket name"):
        check_bucket(bucket)


@pytest.mark.fault("bucket root")
def test_the_root_of_a_bucket_can_be_listed_but_is_no_object(s3_server: RunningServer, place: Place) -> None:
    with S3(s3root=f"s3://{place.bucket}", client=client_of(s3_server)) as s3:
        assert {"small", "large"} <= {found.key for found in s3.list_paths()}
        for call in (s3.get, s3.info, lambda: s3.put(None, b"x"), lambda: s3.put("", b"x"), lambda: s3.get("/")):
            with pytest.raises(errors.InvalidKey, match=r"1 to 1,024 bytes"):
                call()


@pytest.mark.fault("long local names")
@pytest.mark.parametrize("key", ["k" * 1024, "/".join(["n" * 300] * 3), "🌍" * 256])
def test_a_key_that_is_no_file_name_comes_as_a_file_all_the_same(tmp_path: Path, key: str) -> None:
    with ScriptedServer(StoredObject(b"content").get) as server:
        for ceiling in (1, 1 << 30):
            with s3_of(client_at(server.url, memory_ceiling=ceiling), "bucket", tmp_path) as s3:
                assert Path(s3.get(key).path or "").read_bytes() == b"content"


@pytest.mark.fault("long local names")
@pytest.mark.parametrize("name", ["n" * 255, "🌍" * 63], ids=["255 letters", "252 bytes of emoji"])
def test_a_file_may_have_the_longest_name_there_is(tmp_path: Path, name: str) -> None:
    with ScriptedServer(StoredObject(b"content").get) as server:
        client = client_at(server.url)
        client.run_one(client.get("bucket", "key", client.file_sink(tmp_path / name)))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.fault("long local names")
def test_a_file_name_that_is_too_long_is_an_error_of_the_file(tmp_path: Path) -> None:
    with ScriptedServer(StoredObject(b"content").get) as server:
        client = client_at(server.url)
        with pytest.raises(errors.LocalFileError, match="too long"):
            client.run_one(client.get("bucket", "key", client.file_sink(tmp_path / ("n" * 256))))
    assert list(tmp_path.iterdir()) == []


# ---- ranges and sizes ----


@pytest.mark.fault("5 TiB")
def test_sizes_up_to_5_tib_are_told_exactly() -> None:
    ranged = Reply(206, b"0123456789", {"content-range": f"bytes {TIB5 - 10}-{TIB5 - 1}/{TIB5}"})
    head = Reply(raw=f"HTTP/1.1 200 OK\r\ncontent-length: {TIB5}\r\n\r\n".encode())
    with ScriptedServer(lambda r: head if r.method == "HEAD" else ranged) as server:
        client = client_at(server.url)
        assert client.run_one(HeadJob("bucket", "key")).size == TIB5
        got: GetJob = client.run_one(client.get("bucket", "key", byte_range=ByteRange(TIB5 - 10, 10)))
        assert (got.total_size, got.offset, bytes(got.content)) == (TIB5, TIB5 - 10, b"0123456789")
        assert server.requests[1].headers["range"] == f"bytes={TIB5 - 10}-{TIB5 - 1}"


@pytest.mark.fault("5 TiB")
def test_a_length_that_no_number_holds_is_a_protocol_error() -> None:
    for length in (2**64, -1, "1e3", "0x10"):
        raw = f"HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n".encode()
        with ScriptedServer(in_turn(Reply(raw=raw, close=True))) as server:
            client = client_at(server.url)
            with pytest.raises(errors.ProtocolError):
                client.run_one(client.get("bucket", "key"))


@pytest.mark.fault(20, "5 TiB")
def test_an_object_that_no_memory_holds_is_an_error_and_not_the_end() -> None:
    head = Reply(raw=f"HTTP/1.1 200 OK\r\ncontent-length: {TIB5 * 1000}\r\n\r\n".encode() + b"x" * 10)
    with ScriptedServer(lambda r: head if r.path.endswith("huge") else Reply(200, b"x")) as server:
        client = client_at(server.url)
        with pytest.raises((errors.FastDatastoreError, MemoryError)):
            client.run_one(client.get("bucket", "huge"))
        assert bytes(client.run_one(client.get("bucket", "key")).content) == b"x"


@pytest.mark.fault("5 TiB")
def test_a_file_over_5_tib_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    try:
        os.truncate(path, TIB5 + 1)
    except OSError as error:
        pytest.skip(f"this file system has no files of 5 TiB: {error}")
    with ScriptedServer(in_turn(Reply(200))) as server:
        client = client_at(server.url)
        with pytest.raises(errors.ConfigurationError, match="at most 5 TiB"):
            client.run_one(client.put("bucket", "key", path))
        assert server.requests == []


@pytest.mark.fault("ranges")
@pytest.mark.parametrize(
    ("offset", "length", "wanted"),
    [(0, 2**63, b"0123456789"), (9, 2**62, b"9"), (3, -4, b"6789"), (0, -(2**62), b"0123456789")],
)
def test_a_range_that_is_longer_than_the_object_is_its_rest(
    s3_server: RunningServer, place: Place, tmp_path: Path, offset: int, length: int, wanted: bytes
) -> None:
    if s3_server.name == "moto" and abs(length) > 2**60:
        pytest.skip("moto takes no such numbers")
    with s3_of(client_of(s3_server), place.bucket, tmp_path) as s3:
        s3.put("digits", b"0123456789")
        assert s3.get(S3GetObject("digits", offset, length)).blob == wanted


# ---- buffers and files ----


@pytest.mark.fault("buffers")
def test_a_sub_interpreter_is_served_or_refused_but_nothing_breaks() -> None:
    program = (
        "import sys\n"
        "try:\n    import _xxsubinterpreters as sub\n"
        "except ImportError:\n    import _interpreters as sub\n"
        "code = '''try:\\n    from fastdatastore import _native\\n"
        '    assert _native.crc(_native.CRC32, memoryview(b"123456789")) == 0xcbf43926\\n'
        "except ImportError:\\n    pass'''\n"
        "one = sub.create()\n"
        "failed = sub.run_string(one, code)\n"
        "assert failed is None, failed\n"
        "sub.destroy(one)\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False)
    if "No module named" in done.stderr:
        pytest.skip("this Python has no module for sub-interpreters")
    assert done.returncode == 0, done.stderr


@pytest.mark.fault("FIFO")
def test_a_file_that_became_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with ScriptedServer(in_turn(Reply(200))) as server, s3_of(client_at(server.url), "bucket", tmp_path) as s3:
        with pytest.raises(errors.LocalFileError, match="not a regular file"):
            s3.put_many([S3PutObject("key", path=str(path))])
        assert server.requests == []


@pytest.mark.fault("non-seekable")
def test_a_stream_that_cannot_be_rewound_is_refused_with_a_reason(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    s3 = s3_of(client_at("http://127.0.0.1:1"), "bucket", tmp_path)
    with os.fdopen(reading, "rb") as stream, pytest.raises(errors.ConfigurationError, match="seekable"):
        s3.put("key", stream)


@pytest.mark.fault("non-seekable")
@pytest.mark.parametrize(
    ("open_file", "what"),
    [
        (lambda path: path.open("w"), "binary"),
        (lambda path: path.open("wb"), "readable"),
        (lambda path: io.StringIO("text"), "binary"),
    ],
    ids=["text", "write-only", "StringIO"],
)
def test_a_file_object_of_another_kind_is_refused_with_a_reason(
    tmp_path: Path, open_file: Callable[[Path], Any], what: str
) -> None:
    s3 = s3_of(client_at("http://127.0.0.1:1"), "bucket", tmp_path)
    with open_file(tmp_path / "file") as file, pytest.raises(errors.ConfigurationError, match=what):
        s3.put("key", file)


# ---- many keys ----


def _most_at_once(client: Client, bucket: str, count: int) -> int:
    """Downloads "small" so often; returns how many jobs were drawn and not ended at most."""
    drawn, ended, most = 0, 0, 0

    def jobs() -> Iterator[GetJob]:
        nonlocal drawn, most
        for _ in range(count):
            drawn += 1
            most = max(most, drawn - ended)
            yield client.get(bucket, "small")

    for job in client.run(jobs()):
        assert job.error is None, job.error
        ended += 1
    assert ended == count
    return most


@pytest.mark.fault("10⁶ keys")
def test_a_long_list_of_keys_is_drawn_as_there_is_room(null_place: Place) -> None:
    assert _most_at_once(client_of(null_place.server), null_place.bucket, 5_000) < 2_000


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.fault("10⁶ keys")
def test_a_million_keys_need_no_more_memory_than_ten_thousand(null_place: Place) -> None:
    client = client_of(null_place.server)
    _most_at_once(client, null_place.bucket, 10_000)
    forget_peak()
    before = peak_rss_bytes()
    _most_at_once(client, null_place.bucket, 1_000_000)
    assert peak_rss_bytes() - before < 50 * MIB


# ---- metadata ----


@pytest.mark.fault("metadata")
@pytest.mark.parametrize("value", ["grüße 🌍", "日本語", "\u202e", "a" * 1500])
def test_metadata_beyond_ascii_comes_back(s3_server: RunningServer, place: Place, tmp_path: Path, value: str) -> None:
    with s3_of(client_of(s3_server), place.bucket, tmp_path) as s3:
        s3.put("described", b"x", metadata={value[:20]: value})
        assert s3.info("described").metadata == {value[:20]: value}
        assert s3.get("described").metadata == {value[:20]: value}


@pytest.mark.fault("metadata")
@pytest.mark.parametrize("value", ["text/größe", "text/🌍"])
def test_a_content_type_beyond_ascii_is_refused(tmp_path: Path, value: str) -> None:
    with ScriptedServer(in_turn(Reply(200))) as server:
        with s3_of(client_at(server.url), "bucket", tmp_path) as s3, pytest.raises(errors.ConfigurationError):
            s3.put("key", b"x", content_type=value)
        assert server.requests == []


@pytest.mark.fault("metadata")
@pytest.mark.parametrize("value", [b"gr\xfc\xdfe", b"\xff\xfe", "🌍".encode()])
def test_a_header_of_the_server_may_hold_any_bytes(value: bytes) -> None:
    raw = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nx-amz-meta-odd: " + value + b"\r\n\r\nx"
    with ScriptedServer(in_turn(Reply(raw=raw))) as server:
        client = client_at(server.url)
        job = client.run_one(client.get("bucket", "key"))
        assert bytes(job.content) == b"x"
        assert job.headers["x-amz-meta-odd"]
