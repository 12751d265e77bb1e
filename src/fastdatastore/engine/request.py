"""A request of a job: what to send and where the answer goes; the driver makes attempts of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from fastdatastore import _native

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from fastdatastore.auth.credentials import Credentials
    from fastdatastore.engine.job import Job

Pairs: TypeAlias = tuple[tuple[str, str], ...]

XML_MAX = 16 << 20


class Request:
    """One request; mutable, because each attempt adds to its history.

    Attributes:
        operation: S3's name, such as "UploadPart".
        query, headers: Pairs, not encoded.
        body: What is sent. target: where a 2xx body lands; without one it is kept, up to content_max bytes.
        upload_crc, download_crc: CRC algorithm (integrity.ALGORITHMS) or NO_CRC.
        pause_above: A longer 2xx body waits for the job to say where it goes.
        part: The job's own number for it.
        patience: Seconds without a byte before the attempt is given up; 0.0 takes the endpoint's.
        expected: Statuses that are answers to the job, not errors.
        attempts, started: How many were made, and when the first (time.monotonic()).
        signed_by: The snapshot that the last attempt was signed with.
    """

    __slots__ = (
        "attempts",
        "body",
        "bucket",
        "content_max",
        "download_crc",
        "expected",
        "headers",
        "job",
        "key",
        "method",
        "operation",
        "part",
        "patience",
        "pause_above",
        "query",
        "renewed",
        "signed_by",
        "stale",
        "started",
        "target",
        "upload_crc",
    )

    def __init__(
        self,
        job: Job,
        operation: str,
        method: str,
        bucket: str,
        key: str = "",
        *,
        query: Pairs = (),
        headers: Pairs = (),
        body: Buffer | None = None,
        target: Buffer | None = None,
        upload_crc: int = _native.NO_CRC,
        download_crc: int = _native.NO_CRC,
        pause_above: int = 0,
        content_max: int = XML_MAX,
        part: int = 0,
        patience: float = 0.0,
        expected: tuple[int, ...] = (),
    ) -> None:
        self.job = job
        self.operation = operation
        self.method = method
        self.bucket = bucket
        self.key = key
        self.query = query
        self.headers = headers
        self.body = body
        self.target = target
        self.upload_crc = upload_crc
        self.download_crc = download_crc
        self.pause_above = pause_above
        self.content_max = content_max
        self.part = part
        self.patience = patience
        self.expected = expected
        self.attempts = 0
        self.started = 0.0
        self.signed_by: Credentials | None = None
        self.renewed = False
        self.stale = 0

    @property
    def is_large(self) -> bool:
        """It occupies a connection for a while: a part, not a small object."""
        return self.target is not None or self.part > 0

    def __repr__(self) -> str:
        return f"<{self.operation} s3://{self.bucket}/{self.key} part={self.part} attempts={self.attempts}>"
