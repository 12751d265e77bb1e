"""Who takes part, and with which settings. Versions are pinned in requirements/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .work import Work

PART = 16 << 20
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Makes glibc ask for huge pages: what an informed user of a one-stream client would set."""


@dataclass(frozen=True)
class Setting:
    """One way to set up a client. Of the settings of one client, the cheaper is what is reported.

    Attributes:
        one_stream: Downloads one object over one connection. Cheap here, but 90 MB/s on S3 itself: it has a row of its
            own, so that it does not stand for how the client works in parallel.
    """

    name: str = "default"
    options: Mapping[str, Any] = field(default_factory=dict)
    one_stream: bool = False


@dataclass(frozen=True)
class Client:
    """A row of the comparison.

    Attributes:
        name: What the row is called.
        adapter: Module of bench.peers.adapters; "" is the loop in C of bench/limit.
        environment: Name of its file in requirements/, and so of its virtual environment; "" is ours.
        settings: Of which the cheaper is reported.
        variables: Of the environment, beside the server's.
        only: Which work it does: "" all transfers, "get", or "get-large" (one object).
        lists: It takes part in listings.
        fresh: Recycled memory is given back to the system before the timed section.
    """

    name: str
    adapter: str
    environment: str = ""
    settings: tuple[Setting, ...] = (Setting(),)
    variables: Mapping[str, str] = field(default_factory=dict)
    only: str = ""
    lists: bool = False
    fresh: bool = False

    @property
    def is_limit(self) -> bool:
        return not self.adapter

    def does(self, work: Work, server: str, tls: bool) -> bool:
        """Whether it takes part."""
        if self.is_limit and (server != "null" or tls):
            return False
        if work.verb == "list":
            return self.lists
        return {"": True, "get": work.verb == "get", "get-large": work.verb == "get" and work.count == 1}[self.only]

    def row_name(self, setting: Setting, work: Work) -> str:
        """What its row is called."""
        alone = setting.one_stream and work.verb == "get" and work.count == 1
        return f"{self.name}, one stream" if alone else self.name


def _tuned(**options: Any) -> tuple[Setting, ...]:
    return Setting(), Setting("tuned", options)


def _tuned_to_parallel(**options: Any) -> tuple[Setting, ...]:
    return Setting(one_stream=True), Setting("tuned", options)


_ONE_STREAM = (Setting("stream", {"stream": True}, one_stream=True),)
_MINIO_TUNED = Setting("tuned", {"part": PART, "uploads": 16}, one_stream=True)
_AWSCRT_CHECKED = (
    Setting(options={"checksum": True}),
    Setting("tuned", {"checksum": True, "part": PART, "connections": 16}),
)
_FRESH_CRC = (Setting("fresh", {"fresh": True, "crc": True}),)
_RCLONE_PARTS = (
    "--multi-thread-streams=16",
    "--multi-thread-chunk-size=16M",
    "--s3-chunk-size=16M",
    "--s3-upload-concurrency=16",
)

CLIENTS = (
    Client("limit", "", settings=(Setting("recycled"),)),
    Client("limit, CRC-64/NVME", "", settings=(Setting("recycled", {"crc": True}),)),
    Client("limit, fresh memory", "", settings=(Setting("fresh", {"fresh": True}),), only="get"),
    Client("limit, fresh memory, CRC-64/NVME", "", settings=_FRESH_CRC, only="get"),
    Client("fastdatastore", "fastdatastore_client", lists=True),
    Client("fastdatastore, fresh memory", "fastdatastore_client", only="get", fresh=True),
    Client("boto3", "boto3_client", "boto3", _tuned(part=PART, threads=16), lists=True),
    Client("boto3", "boto3_client", "boto3", _ONE_STREAM, only="get-large"),
    Client("boto3, huge pages", "boto3_client", "boto3", _ONE_STREAM, HUGE_PAGES, only="get-large"),
    Client("boto3[crt]", "boto3_crt", "boto3", _tuned(part=PART)),
    Client("awscrt", "awscrt_client", "boto3", _tuned(part=PART, connections=16)),
    Client("awscrt, CRC-64/NVME", "awscrt_client", "boto3", _AWSCRT_CHECKED),
    Client("aiobotocore", "aiobotocore_client", "aiobotocore", _tuned_to_parallel(part=PART, in_flight=16)),
    Client("s3fs", "s3fs_client", "aiobotocore", _tuned(part=PART, in_flight=16)),
    Client("obstore", "obstore_client", "obstore", _tuned_to_parallel(part=PART, in_flight=32), lists=True),
    Client("s3torchconnector", "s3torchconnector_client", "s3torchconnector", _tuned(part=PART, gbps=25.0)),
    Client("minio", "minio_client", "minio", (Setting(one_stream=True), _MINIO_TUNED)),
    Client("minio, huge pages", "minio_client", "minio", (Setting(one_stream=True), _MINIO_TUNED), HUGE_PAGES),
    Client("pyarrow", "pyarrow_client", "pyarrow", _tuned_to_parallel(part=PART, threads=16)),
    Client("tensorstore", "tensorstore_client", "tensorstore", _tuned_to_parallel(part=PART, in_flight=32)),
    Client("s5cmd", "s5cmd_client", "programs", _tuned(part=16, concurrency=16, workers=32), lists=True),
    Client(
        "rclone",
        "rclone_client",
        "programs",
        _tuned(
            flags=_RCLONE_PARTS,
            many_flags=("--transfers=32", "--checkers=32"),
        ),
    ),
    Client("fastdatastore.S3", "metaflow_client", settings=(Setting(options={"module": "fastdatastore"}),), lists=True),
    Client("metaflow.S3", "metaflow_client", "metaflow", _tuned(workers=16), lists=True),
)
