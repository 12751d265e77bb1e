"""Bodies in aws-chunked and chunked transfer coding."""

from __future__ import annotations

import os

import pytest

from tests.servers.nullserver_fixture import AUTHORIZED, BUCKET, Server, crc32, crc64, text


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
