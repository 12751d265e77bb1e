"""The jobs that store one object: from a source that can be read again, or from a stream."""

from __future__ import annotations

from collections.abc import Callable

from fastdatastore import errors
from fastdatastore.engine import plan
from fastdatastore.engine.job import Job
from fastdatastore.engine.put.condition import Condition
from fastdatastore.engine.put.multipart import Multipart
from fastdatastore.engine.put.resume import Resume
from fastdatastore.engine.put.single import Single
from fastdatastore.engine.put.supply import SourceSupply, StreamSupply
from fastdatastore.engine.put.upload import Phase, Upload
from fastdatastore.engine.remote import Remote
from fastdatastore.engine.request import Pairs
from fastdatastore.engine.sources import MemorySource, Source
from fastdatastore.engine.streams import Stream

# After these another attempt may succeed as it is: what has been uploaded is worth keeping for it.
_PASSING = (
    errors.ConnectError,
    errors.ConnectionLost,
    errors.TlsError,
    errors.ProtocolError,
    errors.Throttled,
    errors.ServerError,
    errors.ExpiredCredentials,
    errors.NoCredentials,
)


class PutJob(Upload):
    """Uploads one object; an upload that fails is aborted, the object that was there stays.

    Args:
        headers: Content-Type, user metadata, encryption, …
        condition: On which it is stored; else the job fails with Modified.
        resume: Go on with an upload of the same that was left behind, if there is one. Should this one be
            interrupted, or fail by something that passes (no connection, throttled, …), it is left behind in turn.
        whole_up_to: Objects of at most so many bytes go by one request (default: two parts).
    """

    def __init__(
        self,
        remote: Remote,
        bucket: str,
        key: str,
        open_source: Callable[[], Source],
        *,
        headers: Pairs = (),
        condition: Condition | None = None,
        resume: bool = False,
        whole_up_to: int = 0,
    ) -> None:
        if resume and condition:  # the object would carry the mark of the write that was begun earlier
            raise errors.ConfigurationError("an upload cannot be resumed on a condition; put it without resume")
        super().__init__(remote, bucket, key, headers, condition)
        self._uploads = remote.concurrency.of(up=True, large=True)
        self._open_source = open_source
        self._resume = resume
        self._whole_up_to = whole_up_to or min(2 * self.part_size, plan.MAX_PART)

    def first_phase(self) -> Phase:
        self.source = source = self._open_source()
        if source.size > plan.MAX_OBJECT:
            raise errors.ConfigurationError(
                f"s3://{self.bucket}/{self.key}: an object is at most 5 TiB, this one has {source.size:,} bytes"
            )
        if source.size <= self._whole_up_to:
            return Single(self, source)
        preferred = plan.in_whole_rounds(source.size, self.part_size, self._uploads.limit)
        part_size = plan.part_size_for(source.size, preferred, self.limits.max_parts)
        if part_size > plan.MAX_PART:
            raise errors.ConfigurationError(
                f"s3://{self.bucket}/{self.key}: {source.size:,} bytes are too many for this server: it takes "
                f"{self.limits.max_parts:,} parts, of 5 GiB at most"
            )

        def anew() -> Phase:
            self.resumed = 0
            return Multipart(self, SourceSupply(source, part_size))

        return Resume(self, source, part_size, anew) if self._resume else anew()

    def cleanup(self) -> Job | None:
        if self._resume and (self.error is None or isinstance(self.error, _PASSING)):
            return None
        return super().cleanup()


class PutStreamJob(Upload):
    """Uploads what can be read but once; an upload that fails is aborted, the object that was there stays.

    Args:
        headers, condition: As for PutJob.
    """

    def __init__(
        self,
        remote: Remote,
        bucket: str,
        key: str,
        open_stream: Callable[[], Stream],
        *,
        headers: Pairs = (),
        condition: Condition | None = None,
    ) -> None:
        super().__init__(remote, bucket, key, headers, condition)
        self._open_stream = open_stream

    def first_need(self) -> int:
        return 2 * self.part_size

    def first_phase(self) -> Phase:
        self.source = stream = self._open_stream()
        head = stream.read(2 * self.part_size)
        if head.nbytes < 2 * self.part_size:
            return Single(self, MemorySource(head))
        return Multipart(self, StreamSupply(stream, head, self.part_size, self.limits))
