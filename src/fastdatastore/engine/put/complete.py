"""CompleteMultipartUpload: the parts become one object; and what is found when it was not as simple as that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from fastdatastore import errors
from fastdatastore.engine import integrity, xml
from fastdatastore.engine.integrity import CHECKSUM_PREFIX, PREFERRED
from fastdatastore.engine.job import RetryRequest
from fastdatastore.engine.put.guard import Guard
from fastdatastore.engine.put.upload import Phase, Upload, look_request
from fastdatastore.engine.request import Pairs, Request
from fastdatastore.engine.retry import CONFLICT, make_error, refusal
from fastdatastore.engine.uploads import PartPages, StoredPart

if TYPE_CHECKING:
    from fastdatastore._native import Report

# A server may take its time to put 10,000 parts together; AWS says "several minutes".
PATIENCE = 300.0

# A part has other ETags, or none, when it was sent twice: how often the server is asked which ones it has.
DISPUTES = 3
INVALID_PART = "InvalidPart"


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """What Complete says of a part that is stored."""

    etag: str
    length: int
    crc: int


@dataclass(frozen=True)
class Outcome:
    """What is known when all parts are stored.

    Attributes:
        parts: By number. crc: Of everything.
        checksums: The server keeps them for this upload. by_checksum: It has done so for each part.
        signed: Every body's hash was part of its signature.
    """

    parts: Mapping[int, UploadedPart]
    crc: int
    checksums: bool
    by_checksum: bool
    signed: bool


class Complete:
    """The phase that ends a multipart upload.

    Args:
        anew: Makes the phase that takes over should an upload that was resumed turn out to have been begun with
            metadata of other contents; None if it was not resumed.
    """

    def __init__(self, upload: Upload, outcome: Outcome, anew: Callable[[], Phase] | None) -> None:
        self._upload = upload
        self._outcome = outcome
        self._anew = anew
        self._guard = Guard(upload, "CompleteMultipartUpload")
        self._on_look: Callable[[Request, Report], None]
        self._next: Request | None
        self._listing: PartPages | None = None  # of the parts, while they are in dispute
        self._disputes = 0
        self._disputed: Exception | None = None
        self._conflict: errors.S3Error | None = None  # with another write or delete of the key
        if self._guard.wants_look:
            self._look(self._before)
        else:
            self._next = self._complete()

    def need(self) -> int:
        return 0

    def next_request(self) -> Request | None:
        if self._listing is not None:
            return self._listing.next_request()
        request, self._next = self._next, None
        return request

    def _complete(self) -> Request:
        upload, outcome = self._upload, self._outcome
        rows = []
        for number, part in sorted(outcome.parts.items()):
            checksum = (
                f"<ChecksumCRC64NVME>{integrity.encode(PREFERRED, part.crc)}</ChecksumCRC64NVME>"
                if outcome.checksums
                else ""
            )
            rows.append(f"<Part><ETag>{escape(part.etag)}</ETag>{checksum}<PartNumber>{number}</PartNumber></Part>")
        body = (
            '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            + "".join(rows)
            + "</CompleteMultipartUpload>"
        ).encode()
        headers: Pairs = (("content-type", "application/xml"), *self._guard.headers)
        if outcome.checksums:
            headers += (
                (CHECKSUM_PREFIX + PREFERRED, integrity.encode(PREFERRED, outcome.crc)),
                (CHECKSUM_PREFIX + "type", "FULL_OBJECT"),
                ("x-amz-mp-object-size", str(upload.size)),
            )
        return Request(
            upload,
            "CompleteMultipartUpload",
            "POST",
            upload.bucket,
            upload.key,
            query=(("uploadId", upload.upload_id),),
            headers=headers,
            body=body,
            patience=PATIENCE,
            expected=(404, *self._guard.refusals),
            expected_codes=(INVALID_PART, CONFLICT),
        )

    def _look(self, then: Callable[[Request, Report], None]) -> None:
        """Asks what is stored; `then` takes the answer."""
        self._on_look = then
        self._next = look_request(self._upload)

    # ---- answers ----

    def on_answer(self, request: Request, report: Report) -> None:
        if request.operation == "HeadObject":
            self._on_look(request, report)
        elif self._listing is not None:
            self._listing.on_answer(request, report)
            if self._listing.is_done:
                self._settle_dispute(self._listing.parts)
        elif report.status == 404:
            self._vanished(request, report)
        elif report.status == 412:
            self._guard.on_refusal(request, report)
            self._look(self._after)
        elif xml.error_of(report.content)[0] == CONFLICT:
            self._conflict = refusal(request, report)
            raise RetryRequest(self._conflict)
        elif report.status // 100 == 4:
            self._dispute(request, report)
        else:
            self._completed(request, report)

    def _dispute(self, request: Request, report: Report) -> None:
        """A part is not as we were told. Where ETags are not of the bytes (SSE-KMS) each attempt of a part has its own,
        and one that we gave up, or that another overtook, may have come to rest after the one that was answered."""
        self._disputed = refusal(request, report)
        if self._disputes == DISPUTES:
            raise self._disputed
        self._disputes += 1
        self._listing = PartPages(self._upload, self._upload.upload_id)

    def _settle_dispute(self, found: Mapping[int, StoredPart]) -> None:
        """Completes with the ETags that the server has now, if the parts are those that were sent all the same."""
        self._listing = None
        assert self._disputed is not None
        parts = {}
        for number, part in self._outcome.parts.items():
            there = found.get(number)
            if there is None or there.size != part.length or (there.etag != part.etag and there.crc != part.crc):
                raise self._disputed
            parts[number] = replace(part, etag=there.etag)
        self._outcome = replace(self._outcome, parts=parts)
        self._next = self._complete()

    def _completed(self, request: Request, report: Report) -> None:
        code, message, request_id = xml.error_of(report.content)
        if code:  # "a 200 OK response can contain an error": CompleteMultipartUpload, Amazon S3 API reference
            raise RetryRequest(make_error(errors.ServerError, message or code, request, report, code, request_id))
        try:
            root = xml.parse(report.content)
        except xml.BadXml as error:
            raise RetryRequest(
                make_error(errors.ProtocolError, f"the reply is not XML: {error}", request, report)
            ) from None
        stored = integrity.decode(PREFERRED, xml.text(root, "ChecksumCRC64NVME"))
        if stored is not None and stored != self._outcome.crc:
            message = f"the server put together bytes of {PREFERRED} {stored:x}, sent were {self._outcome.crc:x}"
            raise make_error(errors.IntegrityError, message, request, report)
        if self._anew is not None and not self._outcome.checksums:
            self._look(self._check_metadata)
            return
        self._finish(xml.text(root, "ETag"))

    def _check_metadata(self, request: Request, report: Report) -> None:
        """The CRC that an upload was begun with may be that of another state of its source."""
        found = integrity.expected_of(report.headers)
        if self._anew is None or found is None or self._is_crc(found):
            self._finish(report.headers.get("etag", ""))
            return
        self._upload.upload_id = ""
        self._upload.moved = 0
        self._upload.enter(self._anew())

    def _vanished(self, request: Request, report: Report) -> None:
        """No such upload, or none of the object that was to be overwritten. If an earlier Complete had its reply lost,
        what was uploaded may well be there."""
        gone = refusal(request, report)
        # Ceph says NoSuchKey of an upload, too.
        may_be_object = self._upload.condition is not None and gone.code not in ("NoSuchUpload", "NoSuchBucket")
        if not may_be_object and request.attempts + request.stale < 2:
            raise gone
        modified = refusal(request, report, errors.Modified)

        def settle(request: Request, report: Report) -> None:
            if self._is_stored(report):
                self._finish(report.headers.get("etag", ""))
            elif self._conflict is not None:  # which has ended the upload
                raise self._conflict
            elif may_be_object and self._guard.is_broken(report):
                raise modified
            else:
                raise gone

        self._look(settle)

    def _is_stored(self, report: Report) -> bool:
        """Whether a HEAD was answered by what was uploaded."""
        upload = self._upload
        if report.status // 100 != 2:
            return False
        if upload.condition is not None:  # another writer's object may have the same bytes
            return upload.condition.is_ours(report.headers)
        if report.content_length != upload.size:
            return False
        found = integrity.expected_of(report.headers)
        if found is not None:
            return self._is_crc(found)
        parts = [part.etag for _, part in sorted(self._outcome.parts.items())]
        return integrity.is_etag_of(report.headers.get("etag", ""), parts)

    def _is_crc(self, found: integrity.Expected) -> bool:
        return (found.algorithm, found.value) == (PREFERRED, self._outcome.crc)

    def _before(self, request: Request, report: Report) -> None:
        self._guard.before(request, report)
        self._next = self._complete()

    def _after(self, request: Request, report: Report) -> None:
        if self._guard.after(report):
            self._finish(report.headers.get("etag", ""))
        else:
            self._next = self._complete()

    def _finish(self, etag: str) -> None:
        self._upload.stored(etag, by_checksum=self._outcome.by_checksum, signed=self._outcome.signed)
