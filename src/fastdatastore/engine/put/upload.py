"""What the phases of an upload have in common: what is uploaded where, on which condition, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fastdatastore import errors
from fastdatastore.engine import integrity
from fastdatastore.engine.bytesview import size_of
from fastdatastore.engine.integrity import CHECKSUM_PREFIX, METADATA_PREFIX, PREFERRED
from fastdatastore.engine.job import Job, RetryRequest
from fastdatastore.engine.put.condition import Condition
from fastdatastore.engine.remote import Remote
from fastdatastore.engine.request import Pairs, Request
from fastdatastore.engine.retry import make_error
from fastdatastore.engine.sources import Source
from fastdatastore.engine.streams import Stream
from fastdatastore.engine.uploads import AbortJob

if TYPE_CHECKING:
    from fastdatastore._native import Report

CRC = integrity.ALGORITHMS[PREFERRED]


class Phase(Protocol):
    """A part of an upload's life: it makes requests and takes their answers, as a Job does."""

    def need(self) -> int: ...

    def next_request(self) -> Request | None: ...

    def on_answer(self, request: Request, report: Report) -> None: ...


class Upload(Job):
    """The job that phases work for.

    Attributes:
        headers: Content-Type, user metadata, encryption, … of the object.
        condition: On which it may be stored; None: whatever is there.
        learnt, limits: What is known of its bucket, and of the endpoint.
        part_size: Bytes of a part, where nothing asks for larger ones.
        upload_id: Of the multipart upload that is under way; "" without one.
        source: What is closed at the end.
    Attributes, when it is done:
        etag: As the server gave it, quoted; "" where it gave none.
        version_id: In a bucket that keeps versions; else "".
        resumed: How many parts were there already.
    """

    operation = "PutObject"

    def __init__(self, remote: Remote, bucket: str, key: str, headers: Pairs, condition: Condition | None) -> None:
        super().__init__(bucket, key)
        self.headers = headers + (condition.mark if condition else ())
        self.condition = condition
        self.learnt = remote.learnt(bucket)
        self.limits = remote.limits
        self.part_size = max(remote.settings.part_size, remote.limits.part_size)
        self.upload_id = ""
        self.etag = ""
        self.version_id = ""
        self.resumed = 0
        self._is_tls = remote.is_tls
        self.source: Source | Stream | None = None
        self._phase: Phase | None = None

    def first_phase(self) -> Phase:
        """Opens the source, now that the job's turn has come: a long queue holds no files open."""
        raise NotImplementedError

    def first_need(self) -> int:
        """Bytes of the pool that first_phase() takes."""
        return 0

    def enter(self, phase: Phase) -> None:
        """From here on it is this phase's."""
        self._phase = phase

    def need(self) -> int:
        if self._phase is None:
            if need := self.first_need():
                return need
            self._phase = self.first_phase()
        return self._phase.need()

    def next_request(self) -> Request | None:
        if self._phase is None:
            self._phase = self.first_phase()
        return self._phase.next_request()

    def on_answer(self, request: Request, report: Report) -> None:
        assert self._phase is not None
        self.version_id = report.headers.get("x-amz-version-id", "")
        self._phase.on_answer(request, report)

    def cleanup(self) -> Job | None:
        return AbortJob(self.bucket, self.key, self.upload_id) if self.upload_id else None

    def release(self) -> None:
        self._phase = self.work = None  # they hold what is on its way
        if self.source is not None:
            self.source.close()
            self.source = None

    def stored(self, etag: str, *, by_checksum: bool, signed: bool) -> None:
        """The object is there: verified by its checksum, or else by what went with the requests."""
        self.etag = etag
        self.upload_id = ""
        self.moved = self.size
        if by_checksum:
            self.verified_by = PREFERRED
        elif self._is_tls:
            self.verified_by = "tls"
        else:
            self.verified_by = "sha256" if signed else "length"
        self.finish()


def crc_metadata(crc: int) -> Pairs:
    """For a server that keeps no checksums: the CRC as user metadata, so that a download can still be verified."""
    return ((METADATA_PREFIX + PREFERRED, integrity.encode(PREFERRED, crc)),)


def check_body(request: Request, report: Report) -> bool:
    """Whether the server keeps checksums.

    Raises:
        RetryRequest: Not all was sent, or what the server says it has stored is not that.
    """
    if request.body is not None and report.sent != size_of(request.body):
        message = f"the server answered after {report.sent:,} bytes of the body"
        raise RetryRequest(make_error(errors.ConnectionLost, message, request, report))
    text = report.headers.get(CHECKSUM_PREFIX + PREFERRED, "")
    stored = integrity.decode(PREFERRED, text) if text else None
    if stored is not None and stored != report.crc:
        message = f"the server stored bytes of {PREFERRED} {stored:x}, sent were {report.crc:x}"
        raise RetryRequest(make_error(errors.IntegrityError, message, request, report))
    return bool(text)


def look_request(job: Job) -> Request:
    """Asks what is stored under the job's key now."""
    headers = (("x-amz-checksum-mode", "ENABLED"),)
    return Request(job, "HeadObject", "HEAD", job.bucket, job.key, headers=headers, expected=(403, 404))
