"""A request of a job: what to send and where the answer goes; the driver makes attempts of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from fastdatastore.engine.bytesview import size_of
from fastdatastore.engine.planes.local import local as _native

if TYPE_CHECKING:
    from fastdatastore.auth.credentials import Credentials
    from fastdatastore.engine.bytesview import Buffers
    from fastdatastore.engine.job import Job
    from fastdatastore.engine.retry import Mend

Pairs: TypeAlias = tuple[tuple[str, str], ...]

XML_MAX = 16 << 20


def version_query(version_id: str) -> Pairs:
    """What names a version of an object; "" is the current one."""
    return (("versionId", version_id),) if version_id else ()


# A longer body occupies its connection for the time of its bytes, not of a round trip.
LARGE = 256 << 10


@dataclass(frozen=True)
class Terms:
    """How an attempt was addressed and signed: what a server that refuses it may complain of.

    Attributes:
        region, clock_offset: That it was signed for; the offset in seconds, to this machine's clock.
        tls: It went by https. host: Its Host header. prefix: Of its path, before the key.
        proxy: The variable that names the proxy which it went through; "" without one.
    """

    credentials: Credentials
    region: str
    clock_offset: int
    tls: bool
    host: str
    prefix: str
    proxy: str


class Request:
    """One request; mutable, because each attempt adds to its history.

    Attributes:
        operation: S3's name, such as "UploadPart".
        query, headers: Pairs, not encoded.
        body: What is sent, from one buffer or from several. target: where a 2xx body lands, in one or several; without
            one it is kept, up to content_max bytes.
        upload_crc, download_crc: CRC algorithm (integrity.ALGORITHMS) or NO_CRC.
        pause_above: A longer 2xx body waits for the job to say where it goes.
        part: The job's own number for it.
        patience: Seconds without a byte before the attempt is given up; 0.0 takes the endpoint's.
        is_large: Its bytes take the time, not its round trip.
        expected: Statuses that are answers to the job, not errors. expected_codes: S3's error codes that are.
        attempts, started: How many were made, and when the first (time.monotonic()).
        signed_payload: The last attempt's signature covers the body's hash.
        given_up: Why the driver has called the last attempt off; "" if it has not. trickled: How often it has.
        sent_at: When the last attempt was handed over. charged: Bytes of it that the bandwidth cap has counted so far.
        cost: Tokens of the retry budget that it has taken.
        mended: What has been put right for it already, once each.
        twin: A second attempt of the same part that is on the way beside it: the first to be answered wins.
        terms: Of the last attempt.
    """

    __slots__ = (
        "attempts",
        "body",
        "bucket",
        "charged",
        "content_max",
        "cost",
        "download_crc",
        "expected",
        "expected_codes",
        "given_up",
        "headers",
        "is_large",
        "job",
        "key",
        "mended",
        "method",
        "operation",
        "part",
        "patience",
        "pause_above",
        "query",
        "sent_at",
        "signed_payload",
        "stale",
        "started",
        "target",
        "terms",
        "trickled",
        "twin",
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
        body: Buffers | None = None,
        target: Buffers | None = None,
        upload_crc: int = _native.NO_CRC,
        download_crc: int = _native.NO_CRC,
        pause_above: int = 0,
        content_max: int = XML_MAX,
        part: int = 0,
        patience: float = 0.0,
        expected: tuple[int, ...] = (),
        expected_codes: tuple[str, ...] = (),
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
        self.expected_codes = expected_codes
        self.attempts = 0
        self.started = 0.0
        self.sent_at = 0.0
        self.signed_payload = False
        self.charged = 0
        self.cost = 0
        self.twin: Request | None = None
        self.terms: Terms | None = None
        self.is_large = target is not None or part > 0 or (body is not None and size_of(body) > LARGE)
        self.mended: frozenset[Mend] = frozenset()
        self.stale = 0
        self.given_up = ""
        self.trickled = 0

    def double(self) -> Request:
        """A second attempt of the same, to go out while this one is on its way."""
        twin = Request(
            self.job,
            self.operation,
            self.method,
            self.bucket,
            self.key,
            query=self.query,
            headers=self.headers,
            body=self.body,
            upload_crc=self.upload_crc,
            part=self.part,
            patience=self.patience,
            expected=self.expected,
        )
        twin.attempts, twin.started = self.attempts, self.started
        twin.twin, self.twin = self, twin
        return twin

    @property
    def is_upload(self) -> bool:
        """It is its body that takes the time."""
        return self.upload_crc != _native.NO_CRC

    @property
    def weight(self) -> int:
        """Payload bytes that are known before it goes out; 0 when only the reply tells."""
        payload = self.body if self.is_upload else self.target
        return 0 if payload is None else size_of(payload)

    def __repr__(self) -> str:
        return f"<{self.operation} s3://{self.bucket}/{self.key} part={self.part} attempts={self.attempts}>"
