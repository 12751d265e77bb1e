"""PutObject: the whole object in one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdatastore.engine import integrity
from fastdatastore.engine.integrity import PREFERRED
from fastdatastore.engine.put.guard import Guard
from fastdatastore.engine.put.upload import CRC, Upload, check_body, crc_metadata, look_request
from fastdatastore.engine.request import Request
from fastdatastore.engine.sources import Source, crc_of

if TYPE_CHECKING:
    from fastdatastore._native import Report


class Single:
    """The phase of an object that is small."""

    __slots__ = ("_crc", "_guard", "_is_due", "_look", "_looks_after", "_source", "_upload")

    def __init__(self, upload: Upload, source: Source) -> None:
        upload.size = source.size
        self._upload = upload
        self._source = source
        self._guard = Guard(upload, "PutObject")
        self._crc: int | None = None  # that went with it as metadata
        self._looks_after = False
        self._look: Request | None = look_request(upload) if self._guard.wants_look else None
        self._is_due = self._look is None  # to be put

    def need(self) -> int:
        return self._source.size if self._is_due and not self._source.in_place else 0

    def next_request(self) -> Request | None:
        if self._is_due:
            self._is_due = False
            return self._put()
        request, self._look = self._look, None
        return request

    def _put(self) -> Request:
        upload = self._upload
        body = self._source.part(0, self._source.size)
        self._source.check_unchanged()
        headers = upload.headers + self._guard.headers
        if upload.learnt.checksums is not True or upload.condition:
            self._crc = crc_of(CRC, body)
            headers += crc_metadata(self._crc)
        return Request(
            upload,
            "PutObject",
            "PUT",
            upload.bucket,
            upload.key,
            headers=headers,
            body=body,
            upload_crc=CRC,
            expected=self._guard.refusals,
        )

    def on_answer(self, request: Request, report: Report) -> None:
        if request.method == "HEAD":
            self._looked(request, report)
        elif report.status in self._guard.refusals:
            self._guard.on_refusal(request, report)
            self._looks_after = True
            self._look = look_request(self._upload)
        else:
            self._stored(request, report)

    def _looked(self, request: Request, report: Report) -> None:
        if not self._looks_after:
            self._guard.before(request, report)
            self._is_due = True
        elif self._guard.after(report):
            found = integrity.expected_of(report.headers)
            self._upload.stored(
                report.headers.get("etag", ""),
                by_checksum=found == integrity.Expected(PREFERRED, self._crc or 0, PREFERRED),
                signed=request.signed_payload,
            )
        else:
            self._is_due = True

    def _stored(self, request: Request, report: Report) -> None:
        kept = check_body(request, report)
        if self._upload.size:
            self._upload.learnt.checksums = kept
            if not kept and self._crc is None:
                # The server was known to keep checksums, and has not: once more, with what protects it all the same.
                self._is_due = True
                return
        request.body = None
        self._upload.stored(report.headers.get("etag", ""), by_checksum=kept, signed=request.signed_payload)
