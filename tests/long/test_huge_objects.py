"""Objects of many gigabytes: beyond what 32 bits count, in parts and in one request, from and to memory and files."""

from __future__ import annotations

import mmap
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdatastore import S3GetObject, S3PutObject, _native
from fastdatastore.config import GIB, MIB
from fastdatastore.engine.ranges import ByteRange
from fastdatastore.testing.servers import null, seaweedfs
from tests.support.clients import client_of, s3_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

BUCKET = "huge"
IN_PARTS = 6 * GIB + 5
IN_ONE = 4 * GIB + 4097  # one request: its length has 33 bits
LARGEST_PUT = 5 * GIB  # so that nothing smaller is cut
BLOCK = random.Random(37).randbytes(MIB - 8)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A directory with room for three huge objects; what is in it goes with the test."""
    if shutil.disk_usage(tmp_path).free < 4 * IN_PARTS:
        pytest.skip(f"it needs {4 * IN_PARTS / GIB:.0f} GiB of disk under {tmp_path}; take another by --basetemp")
    yield tmp_path
    shutil.rmtree(tmp_path)


def zeros(size: int) -> memoryview:
    """Memory that is only read costs none: all its pages are one."""
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def write_file(path: Path, size: int) -> int:
    """Every mebibyte of it is another; returns its CRC-64."""
    crc = 0
    with path.open("wb") as file:
        for number in range(-(-size // MIB)):
            block = (number.to_bytes(8, "big") + BLOCK)[: size - number * MIB]
            file.write(block)
            crc = _native.crc(_native.CRC64NVME, block, crc)
    return crc


def crc_of(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(8 * MIB):
            crc = _native.crc(_native.CRC64NVME, block, crc)
    return crc


@pytest.fixture(params=[8 * MIB, LARGEST_PUT], ids=["in parts", "in one request"])
def part_size(request: pytest.FixtureRequest) -> int:
    """Of the client."""
    return int(request.param)


def test_more_than_four_gibibytes_come_into_memory_verified(part_size: int) -> None:
    with null.start(mode="fixed") as server:
        client = client_of(server, part_size=part_size)
        key = f"object.{IN_ONE}"
        whole = client.run_one(client.get(BUCKET, key))
        assert (whole.size, whole.content.nbytes, whole.verified_by) == (IN_ONE, IN_ONE, "crc64nvme")
        for byte_range in (ByteRange(4 * GIB - 2500, 5000), ByteRange(suffix=5000)):
            part = client.run_one(client.get(BUCKET, key, byte_range=byte_range))
            assert part.content == whole.content[part.offset :][: part.size]


def test_more_than_four_gibibytes_go_from_memory_verified(part_size: int) -> None:
    with null.start(mode="sink") as server:
        client = client_of(server, part_size=part_size)
        size = IN_PARTS if part_size < IN_ONE else IN_ONE
        job = client.run_one(client.put(BUCKET, "object", zeros(size)))
        assert (job.size, job.verified_by) == (size, "crc64nvme")


def test_more_than_five_gibibytes_go_from_a_file_and_come_back_as_one(disk: Path) -> None:
    source = disk / "source"
    crc = write_file(source, IN_PARTS)
    with seaweedfs.start(buckets=[BUCKET], workdir=disk) as server:
        client = client_of(server, memory_ceiling=256 * MIB)
        with s3_of(client, BUCKET, disk) as s3:
            s3.put_many([S3PutObject("object", path=str(source))])
            source.unlink()
            around = s3.get(S3GetObject("object", 4 * GIB - 4, 12))
            assert around.blob == BLOCK[-4:] + (4 * GIB // MIB).to_bytes(8, "big")
            got = s3.get("object")
            assert (got.size, got.verified_by) == (IN_PARTS, "crc64nvme")
            assert crc_of(Path(got.path or "")) == crc
