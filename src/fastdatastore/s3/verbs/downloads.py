"""What all downloads have in common: from a key to a job, and from a job that has ended to a result."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastdatastore import errors
from fastdatastore.engine.files import FileSink
from fastdatastore.engine.get import GetJob
from fastdatastore.engine.head import HeadJob
from fastdatastore.engine.job import Job
from fastdatastore.engine.ranges import ByteRange
from fastdatastore.engine.sinks import Sink, SpillSink
from fastdatastore.s3.context import Context
from fastdatastore.s3.files import SpilledFile
from fastdatastore.s3.objects import RangeInfo, S3Object
from fastdatastore.s3.roots import Place
from fastdatastore.s3.verbs.arguments import name_of


class Wanted(NamedTuple):
    """What of which object."""

    place: Place
    byte_range: ByteRange | None

    @property
    def identity(self) -> object:
        """Two that have the same want the same bytes."""
        return self.place.url if self.byte_range is None else (self.place.url, self.byte_range)


class Downloads:
    """Downloads under way.

    Args:
        return_info: Results carry metadata, content type, …
        version_id: Which version is fetched; "" is the current one.
    """

    def __init__(self, at: Context, return_info: bool, version_id: str = "") -> None:
        self._at = at
        self._return_info = return_info
        self._version_id = version_id
        self._spill_sink = at.client.spill_sinks(at.files.new_path)
        self._begun: dict[Job, tuple[Wanted, Sink]] = {}

    def begin(self, wanted: Wanted, sink: Sink | None = None) -> Job:
        """The job that fetches it, into memory while that lasts unless a sink is given."""
        place, byte_range = wanted
        sink = sink or self._spill_sink()
        job: GetJob | HeadJob
        if byte_range is not None and byte_range.length == 0:
            job = HeadJob(place.bucket, place.key, self._version_id)  # no bytes, but whether and what it is
        else:
            job = self._at.client.get(place.bucket, place.key, sink, byte_range, self._version_id)
        self._begun[job] = (wanted, sink)
        return job

    def end(self, job: Job) -> tuple[Wanted, S3Object]:
        """The result of a job that has ended. The job keeps nothing of it."""
        wanted, sink = self._begun.pop(job)
        place, byte_range = wanted
        if job.error is not None:
            return wanted, S3Object(place.prefix, place.url)
        if isinstance(job, GetJob):
            info = RangeInfo(job.total_size, job.offset, job.size)
            content, job.content = job.content, memoryview(b"")
        else:
            assert isinstance(job, HeadJob)
            info = _empty_range(job, byte_range)
            sink.take(b"")
            content = sink.close(ok=True)
        return wanted, S3Object(
            place.prefix,
            place.url,
            size=info.request_length,
            headers=job.headers if self._return_info else None,
            range_info=info if self._return_info else None,
            verified_by=job.verified_by,
            **self._home(sink, content),
        )

    def _home(self, sink: Sink, content: memoryview) -> dict[str, Any]:
        """Where a result's bytes are, as S3Object is told."""
        if isinstance(sink, FileSink):
            return {"path": sink.path}
        if not isinstance(sink, SpillSink):
            return {}  # in the caller's memory
        if sink.path is not None:
            return {"spilled": SpilledFile(sink.path), "files": self._at.files}
        held, sink.held = sink.held, None
        small = content.obj if isinstance(content.obj, bytes) else None  # it came with its head; no view is needed
        return {"content": content if small is None else small, "held": held, "files": self._at.files}


def _empty_range(job: HeadJob, byte_range: ByteRange | None) -> RangeInfo:
    offset = byte_range.offset if byte_range else 0
    if offset > job.size:
        raise errors.InvalidRange(
            f"the offset {offset:,} lies beyond its {job.size:,} bytes",
            operation="GetObject",
            bucket=job.bucket,
            key=job.key,
        )
    return RangeInfo(job.size, offset, 0)


def wanted_of(at: Context, item: Any) -> Wanted:
    """What a user's key or S3GetObject asks for."""
    place = at.root.place(name_of(item))
    if item is None or isinstance(item, str) or (item.offset is None and item.length is None):
        return Wanted(place, None)
    offset = item.offset or 0
    if item.length is not None and item.length < 0:
        return Wanted(place, ByteRange(suffix=-item.length))  # as metaflow.S3 has it, whatever the offset
    if offset < 0:
        raise errors.InvalidRange(
            f"the offset must not be negative, got {offset}",
            operation="GetObject",
            bucket=place.bucket,
            key=place.key,
        )
    return Wanted(place, ByteRange(offset, item.length))
