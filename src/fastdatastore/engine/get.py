"""GetObject: one unranged request tells size, ETag and checksum; a large body is shared out among ranged ones.

The first stream goes on as the first part, and is cut where the others begin. Every later range carries If-Match, so
the result is one object or an error, never a mixture. A large body whose head does not tell its length (a proxy has put
it into chunks) is given up: the Content-Range of a range of one byte tells the size, then all comes by ranges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdatastore import errors
from fastdatastore.engine import integrity, plan
from fastdatastore.engine.bytesview import cut, pieces_of, size_of
from fastdatastore.engine.concurrency import Controller
from fastdatastore.engine.job import Job, RetryRequest
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.ranges import ByteRange, span_of
from fastdatastore.engine.request import Pairs, Request, version_query
from fastdatastore.engine.retry import make_error, refusal
from fastdatastore.engine.sinks import Sink
from fastdatastore.engine.verification import Verification

if TYPE_CHECKING:
    from fastdatastore._native import Report
    from fastdatastore.engine.bytesview import Buffers

# A body up to this size comes back with its head, without another turn through Python.
INLINE_MAX = 256 << 10

# Parts of the largest object that one stream fetches alone: at the end of many, others would wait for it.
ALONE_MAX = 4

_RECODED_HINT = (
    "switch off compression for this path in what stands in between (proxy, CDN, gateway), or store the object anew by "
    "fastdatastore, with a checksum"
)


class GetJob(Job):
    """Downloads one object, or a range of it, into its sink.

    Args:
        checked: Compare the bytes with the object's checksum; who knows a digest of them does that better.

    Attributes, when it is done:
        headers: Of the reply: ETag, Content-Type, user metadata, …
        total_size: Bytes of the whole object. offset, size: of what was asked for.
        content: The bytes, when they are in memory: a read-only view.
    """

    operation = "GetObject"
    size_comes_late = True

    def __init__(
        self,
        bucket: str,
        key: str,
        sink: Sink,
        *,
        part_size: int,
        slots: Controller,
        byte_range: ByteRange | None = None,
        version_id: str = "",
        checked: bool = True,
    ) -> None:
        super().__init__(bucket, key)
        self.headers: dict[str, str] = {}
        self.total_size = 0
        self.offset = 0
        self.content = memoryview(b"")
        self._sink = sink
        self._part_size = part_size
        self._slots = slots
        self._range = byte_range
        self._query = version_query(version_id)
        self._asked = False
        self._unsized: Report | None = None  # the first reply, when only a range can tell how long its body is
        self._sizing: Request | None = None  # that range
        self._stream: Request | None = None  # the first, unranged request, while it is that
        self._todo: list[tuple[int, int]] = []  # (offset, length) within what was asked for, last first
        self._verification = Verification(checked)
        self._replaced: errors.S3Error | None = None  # the object, in the middle
        self._look: Request | None = None  # at what it is now

    # ---- requests ----

    def next_request(self) -> Request | None:
        if self._replaced is not None:
            look, self._look = self._look, None
            return look
        if not self._asked:
            self._asked = True
            # Also where the bytes are not compared: the reply tells whether the server keeps checksums.
            headers: Pairs = (("x-amz-checksum-mode", "ENABLED"),)
            if self._range is not None:
                headers += (("range", self._range.header()),)
            expected = (416,) if self._range is not None else ()
            self._stream = self._get(headers=headers, pause_above=INLINE_MAX, content_max=INLINE_MAX, expected=expected)
            return self._stream
        if self._unsized is not None and self._sizing is None:
            self._sizing = self._range_of_one_byte()
            return self._sizing
        if not self._todo:
            return None
        offset, length = self._todo.pop()
        return self._ranged(offset, length)

    def need(self) -> int:
        return self._sink.need(self.size, self._todo[-1][1]) if self._todo and self._replaced is None else 0

    def need_when_paused(self, report: Report) -> int:
        size = report.content_length or 0
        return self._sink.need(size, min(size, self._first_part_size(size)))

    def _first_part_size(self, size: int) -> int:
        return plan.part_size_for(size, plan.in_whole_rounds(size, self._part_size, self._slots.limit))

    def _range_of_one_byte(self) -> Request:
        """A server that knows no ranges would send all again: then it pauses, or is cut."""
        request = self._get(pause_above=1, content_max=1)
        self._aim(request, 0, 1)
        return request

    def _ranged(self, offset: int, length: int) -> Request:
        target = self._sink.target(offset, length)
        request = self._get(target=target, download_crc=self._verification.crc, part=offset + 1)
        self._aim(request, offset, length)
        return request

    def _get(self, **options: Any) -> Request:
        return Request(self, "GetObject", "GET", self.bucket, self.key, query=self._query, **options)

    def _aim(self, request: Request, offset: int, length: int) -> None:
        first = self.offset + offset
        headers = [("range", f"bytes={first}-{first + length - 1}")]
        if etag := self.headers.get("etag"):
            headers.append(("if-match", etag))
        request.headers = tuple(headers)
        request.expected = (412,)

    # ---- answers ----

    def _learn(self, request: Request, report: Report, length: int) -> None:
        """Reads the first reply's head; its body has `length` bytes."""
        self.headers = report.headers
        self.offset, self.total_size = 0, length
        if report.status == 206:
            span = span_of(report)
            if span is None or span[1] != length:
                raise make_error(
                    errors.ProtocolError,
                    f"the reply's Content-Range {report.headers.get('content-range')!r} does not fit its "
                    f"{length:,} bytes",
                    request,
                    report,
                )
            self.offset, _, self.total_size = span
        if self._range is not None and (self.offset, length) != self._range.within(self.total_size):
            raise make_error(
                errors.ProtocolError,
                f"asked for {self._range.header()}, the server sent {length:,} bytes from {self.offset:,} of "
                f"{self.total_size:,}",
                request,
                report,
            )
        if self._range is None:
            self._verification.expect(report.headers)
        sign = integrity.recoded(report.headers, report.content_length is not None)
        if sign and self._verification.expected is None:
            message = f"these are not the bytes that are stored: {sign}"
            raise make_error(errors.ProtocolError, message, request, report, hint=_RECODED_HINT)
        self.size = length

    def on_paused(self, request: Request, report: Report) -> tuple[Buffers, int]:
        if request is self._sizing:
            raise self._no_size(request, report)
        size = report.content_length or 0
        self._learn(request, report, size)
        self._sink.open(size)
        part_size = self._first_part_size(size)
        first = size if self._takes_all(size) else min(size, part_size)
        self._todo = plan.parts(first, size, part_size)[::-1]
        request.part = 1
        return self._sink.target(0, first), self._verification.crc

    def _takes_all(self, size: int) -> bool:
        """Whether the first stream goes on to the end; else it is one part of many, and its connection is cut off.

        A longer share than a part would not spare the connection, and the others might end up waiting for it. But
        where there is no slot for others, to cut would only cost. (Into a file all goes by parts, through recycled
        memory.)
        """
        others = self._slots.room() - 1
        return self._sink.in_place and size <= ALONE_MAX * self._part_size and others <= 0

    def on_answer(self, request: Request, report: Report) -> None:
        if request.operation == "HeadObject":
            self._say_modified(report)
        if report.status == 412:
            self._on_replaced(request, report)
            return
        if report.status == 416:
            self._refuse_range(request, report)
            return
        if request.target is None:
            if request is self._sizing:
                self._take_size(request, report)
            elif report.outcome == _native.CUT:
                self._give_up_stream(request, report)
            else:
                self._take_inline(request, report)
            return
        offset, length = self._place(request)
        if request is not self._stream:
            self._check_part(request, report, length)
        if report.landed != length:
            message = f"{report.landed:,} bytes came where {length:,} belong"
            raise RetryRequest(make_error(errors.ConnectionLost, message, request, report))
        self._keep(request, offset, report.landed, report.crc)
        request.target = None  # who still has the request does not keep the memory
        if self.moved == self.size:
            self._verify(request, report)

    def _take_inline(self, request: Request, report: Report) -> None:
        """The object came whole, with its head."""
        length = len(report.content) if report.content_length is None else report.content_length
        self._learn(request, report, length)
        if length != len(report.content):
            message = f"{len(report.content):,} bytes came where {length:,} were announced"
            raise RetryRequest(make_error(errors.ConnectionLost, message, request, report))
        framed = report.content_length is not None or "transfer-encoding" in report.headers
        if not framed and self._verification.expected is None:
            message = "the reply tells neither its length nor a checksum: that it is whole cannot be known"
            raise make_error(errors.ProtocolError, message, request, report)
        self._verification.take(report.content)
        damage = self._verification.damage(request, report)
        if damage is not None:
            raise RetryRequest(damage) if self._verification.begins_anew() else damage
        self._sink.take(report.content)
        self.moved = length
        self._end()

    def _give_up_stream(self, request: Request, report: Report) -> None:
        """The body is longer than what comes with its head, and nobody has said how long."""
        self._stream = None
        self.headers = report.headers
        span = span_of(report)
        if span is None:
            self._unsized = report
        else:
            self._plan(request, report, span[1])

    def _take_size(self, request: Request, report: Report) -> None:
        span = span_of(report)
        if span is None or span[:2] != (0, 1) or self._unsized is None:
            raise self._no_size(request, report)
        self._plan(request, self._unsized, span[2])

    def _plan(self, request: Request, first: Report, size: int) -> None:
        """All of it comes by ranges; what the first reply has brought is not kept."""
        self._learn(request, first, size)
        self._sink.open(size)
        self._todo = plan.parts(0, size, plan.part_size_for(size, self._part_size))[::-1]

    def _no_size(self, request: Request, report: Report) -> errors.S3Error:
        message = (
            f"the object came without a Content-Length, and a request for its first byte was answered by HTTP "
            f"{report.status} with the Content-Range {report.headers.get('content-range', '')!r}: its size cannot be "
            "known; let no proxy on the way to the store take away Content-Length or ranges"
        )
        return make_error(errors.ProtocolError, message, request, report)

    def _on_replaced(self, request: Request, report: Report) -> None:
        """Looks at what it is now, for the error."""
        if self._replaced is None:
            self._replaced = refusal(request, report, errors.Modified)
            unknown = (400, 401, 403, 404)
            self._look = Request(self, "HeadObject", "HEAD", self.bucket, self.key, expected=unknown)

    def _say_modified(self, report: Report) -> None:
        assert self._replaced is not None
        error, before, now = self._replaced, self.headers.get("etag", ""), report.headers.get("etag", "unknown")
        became = "it is gone now" if report.status == 404 else f"now it is {now}"
        error.reason = f"the object was replaced while it was read: its ETag was {before}, {became} ({error.reason})"
        raise error

    def _refuse_range(self, request: Request, report: Report) -> None:
        asked = self._range.header() if self._range else ""
        total = report.headers.get("content-range", "").rpartition("/")[2]
        raise make_error(
            errors.InvalidRange,
            f"the range {asked} lies outside of the object" + (f" of {total} bytes" if total.isdigit() else ""),
            request,
            report,
            "InvalidRange",
        )

    def _check_part(self, request: Request, report: Report, length: int) -> None:
        offset = self.offset + self._place(request)[0]
        wanted = f"bytes {offset}-{offset + length - 1}/{self.total_size}"
        got = report.headers.get("content-range", "")
        if report.status != 206 or got != wanted:
            message = f"asked for {wanted!r}, the server sent {got!r} (HTTP {report.status})"
            raise make_error(errors.ProtocolError, message, request, report)

    def _place(self, request: Request) -> tuple[int, int]:
        assert request.target is not None
        return request.part - 1, size_of(request.target)

    def _keep(self, request: Request, offset: int, length: int, crc: int) -> None:
        assert request.target is not None
        self._sink.landed(offset, request.target, length)
        self._verification.add(offset, length, crc)
        self.moved += length

    def before_retry(self, request: Request, report: Report) -> None:
        """Resumes at the byte where the body stopped, of the same object."""
        if request.target is None:
            return
        offset, length = self._place(request)
        # All of it and yet a failure: the body went on where it should end, so none of it is trusted.
        landed = report.landed if report.status in (200, 206) and report.landed < length else 0
        if landed:
            if request is not self._stream:
                self._check_part(request, report, length)
            self._keep(request, offset, landed, report.crc)
        if request is self._stream:
            self._stream = None  # from here on it is a ranged one like the others
            request.pause_above = 0
            request.download_crc = self._verification.crc
        request.target = cut(pieces_of(request.target), landed, length - landed)
        request.part = offset + landed + 1
        self._aim(request, offset + landed, length - landed)

    # ---- the end ----

    def _verify(self, request: Request, report: Report) -> None:
        damage = self._verification.damage(request, report)
        if damage is None:
            self._end()
            return
        if not self._verification.begins_anew():
            raise damage
        self.retries += 1
        self.moved = 0
        self._todo = plan.parts(0, self.size, plan.part_size_for(self.size, self._part_size))[::-1]

    def _end(self) -> None:
        self.verified_by = self._verification.verified_by
        self.content = self._sink.close(ok=True)
        self.finish()

    def release(self) -> None:
        # No cycle keeps the memory longer than its last user.
        self._stream = self._sizing = self._unsized = self._look = None
        if not self.done:
            self._sink.close(ok=False)
