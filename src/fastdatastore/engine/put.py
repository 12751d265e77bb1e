"""PutObject, and the multipart upload of what is larger than a part or two.

Every body carries its CRC-64/NVME in the head, and Complete the whole object's. A server that keeps no checksums
(learnt from its replies) gets the CRC as user metadata instead, so that a download can still be verified.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from fastdatastore import errors
from fastdatastore.engine import integrity, plan, xml
from fastdatastore.engine.integrity import CHECKSUM_PREFIX, METADATA_PREFIX, PREFERRED
from fastdatastore.engine.job import Job, RetryRequest
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.remote import Remote
from fastdatastore.engine.request import Pairs, Request
from fastdatastore.engine.retry import make_error, refusal
from fastdatastore.engine.sources import Source
from fastdatastore.engine.uploads import AbortJob, abort_request
from fastdatastore.errors import FastDatastoreError

if TYPE_CHECKING:
    from fastdatastore._native import Report

_CRC = integrity.ALGORITHMS[PREFERRED]
_PREPASS_STEP = 16 << 20
# A server may take its time to put 10,000 parts together; AWS says "several minutes".
COMPLETE_PATIENCE = 300.0


class PutJob(Job):
    """Uploads one object from its source; an upload that fails is aborted, the object that was there stays.

    Args:
        open_source: Makes the source when the job's turn has come, so that a long queue holds no files open.
        headers: Content-Type, user metadata, encryption, …

    Attributes, when it is done:
        etag: As the server gave it, quoted; "" where it gave none.
        version_id: In a bucket that keeps versions; else "".
    """

    operation = "PutObject"

    def __init__(
        self,
        remote: Remote,
        bucket: str,
        key: str,
        open_source: Callable[[], Source],
        *,
        headers: Pairs = (),
        part_size: int,
    ) -> None:
        super().__init__(bucket, key)
        self.etag = ""
        self.version_id = ""
        self._remote = remote
        self._open_source = open_source
        self._headers = headers
        self._part_size = part_size
        self._source: Source | None = None
        self._crc_known: int | None = None
        self._asked = False
        self._control: list[Request] = []  # Create, Complete, an Abort: go out before parts
        self._upload_id = ""
        self._checksums = False  # of this upload: the server keeps them
        self._broken_promise = False  # or so it said
        self._signed = True  # every body's hash was part of its signature
        self._vanishing: FastDatastoreError | None = None  # what Complete was told before we looked
        self._todo: list[tuple[int, int, int]] = []  # (part number, offset, length), last first
        self._parts: dict[int, tuple[str, int, int]] = {}  # number → (ETag, length, CRC)
        self._part_count = 0

    # ---- requests ----

    @property
    def _source_now(self) -> Source:
        if self._source is None:
            self._source = self._open_source()
            self.size = self._source.size
            if self.size > plan.MAX_OBJECT:
                raise errors.ConfigurationError(
                    f"s3://{self.bucket}/{self.key}: an object is at most 5 TiB, this one has {self.size:,} bytes"
                )
        return self._source

    def next_request(self) -> Request | None:
        if not self._asked:
            self._asked = True
            source = self._source_now
            if source.size <= 2 * self._part_size:
                return self._put(source)
            return self._create()
        if self._control:
            return self._control.pop(0)
        if not self._todo:
            return None
        number, offset, length = self._todo.pop()
        return Request(
            self,
            "UploadPart",
            "PUT",
            self.bucket,
            self.key,
            query=(("partNumber", str(number)), ("uploadId", self._upload_id)),
            body=self._source_now.part(offset, length),
            upload_crc=_CRC,
            part=number,
        )

    def _put(self, source: Source) -> Request:
        body = source.part(0, source.size)
        headers = self._headers
        if self._remote.checksums is not True:
            headers += self._crc_metadata(_native.crc(_CRC, body))
        return Request(self, "PutObject", "PUT", self.bucket, self.key, headers=headers, body=body, upload_crc=_CRC)

    def _create(self) -> Request:
        headers = self._headers
        if self._remote.checksums is False:
            headers += self._crc_metadata(self._prepass())
        else:
            headers += (
                (CHECKSUM_PREFIX + "algorithm", PREFERRED.upper()),
                (CHECKSUM_PREFIX + "type", "FULL_OBJECT"),
            )
        return Request(
            self,
            "CreateMultipartUpload",
            "POST",
            self.bucket,
            self.key,
            query=(("uploads", ""),),
            headers=headers,
        )

    def _crc_metadata(self, crc: int) -> Pairs:
        self._crc_known = crc
        return ((METADATA_PREFIX + PREFERRED, integrity.encode(PREFERRED, crc)),)

    def _prepass(self) -> int:
        source, crc = self._source_now, 0
        for offset, length in plan.parts(0, source.size, _PREPASS_STEP):
            crc = _native.crc(_CRC, source.part(offset, length), crc)
        return crc

    def _complete(self) -> Request:
        rows = []
        for number, (etag, _, crc) in sorted(self._parts.items()):
            checksum = (
                f"<ChecksumCRC64NVME>{integrity.encode(PREFERRED, crc)}</ChecksumCRC64NVME>" if self._checksums else ""
            )
            rows.append(f"<Part><ETag>{escape(etag)}</ETag>{checksum}<PartNumber>{number}</PartNumber></Part>")
        body = (
            '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            + "".join(rows)
            + "</CompleteMultipartUpload>"
        ).encode()
        headers: Pairs = (("content-type", "application/xml"),)
        if self._checksums:
            headers += (
                (CHECKSUM_PREFIX + PREFERRED, integrity.encode(PREFERRED, self._whole_crc())),
                (CHECKSUM_PREFIX + "type", "FULL_OBJECT"),
                ("x-amz-mp-object-size", str(self.size)),
            )
        return Request(
            self,
            "CompleteMultipartUpload",
            "POST",
            self.bucket,
            self.key,
            query=(("uploadId", self._upload_id),),
            headers=headers,
            body=body,
            patience=COMPLETE_PATIENCE,
            expected=(404,),
        )

    def _look(self) -> Request:
        return Request(
            self,
            "HeadObject",
            "HEAD",
            self.bucket,
            self.key,
            headers=(("x-amz-checksum-mode", "ENABLED"),),
            expected=(404,),
        )

    def _whole_crc(self) -> int:
        pieces = [(number, length, crc) for number, (_, length, crc) in self._parts.items()]
        return integrity.combine(PREFERRED, pieces)

    # ---- answers ----

    def on_answer(self, request: Request, report: Report) -> None:
        self.version_id = report.headers.get("x-amz-version-id", "")
        match request.operation:
            case "PutObject":
                self._stored(request, report)
            case "CreateMultipartUpload":
                self._created(request, report)
            case "UploadPart":
                self._uploaded(request, report)
            case "CompleteMultipartUpload" if report.status == 404:
                self._vanished(request, report)
            case "CompleteMultipartUpload":
                self._completed(request, report)
            case "HeadObject":
                self._looked(report)
            case "AbortMultipartUpload":  # of the one that was begun before we knew: now as the server wants it
                self._upload_id = ""
                self._control.append(self._create())

    def _stored(self, request: Request, report: Report) -> None:
        stored = report.headers.get(CHECKSUM_PREFIX + PREFERRED, "")
        self._check_stored(request, report, stored)
        self._checksums = bool(stored)
        if self.size:
            self._remote.checksums = self._checksums
        if not stored and self.size and self._crc_known is None:
            # The server was known to keep checksums, and has not: once more, with what protects it all the same.
            self._control.append(self._put(self._source_now))
            return
        self._crc_known = report.crc
        self._signed = request.signed_payload
        self._finish(report.headers.get("etag", ""))

    def _created(self, request: Request, report: Report) -> None:
        try:
            self._upload_id = xml.text(xml.parse(report.content), "UploadId")
        except xml.BadXml:
            self._upload_id = ""
        if not self._upload_id:
            raise RetryRequest(make_error(errors.ProtocolError, "the reply names no upload", request, report))
        if self._crc_known is None:  # this Create asked for checksums, whatever has been learnt since
            self._checksums = CHECKSUM_PREFIX + "algorithm" in report.headers
            self._remote.checksums = self._checksums
            if not self._checksums:
                # Now we know. The CRC becomes metadata instead, which can only be given at the start.
                self._control = [abort_request(self, self._upload_id)]
                return
        part_size = plan.part_size_for(self.size, self._part_size)
        cuts = plan.parts(0, self.size, part_size)
        self._part_count = len(cuts)
        self._todo = [(i + 1, offset, length) for i, (offset, length) in enumerate(cuts)][::-1]

    def _uploaded(self, request: Request, report: Report) -> None:
        etag = report.headers.get("etag", "")
        if not etag:
            raise RetryRequest(make_error(errors.ProtocolError, "the reply has no ETag", request, report))
        stored = report.headers.get(CHECKSUM_PREFIX + PREFERRED, "")
        self._check_stored(request, report, stored)
        if self._checksums and not stored:  # moto promises checksums at Create and forgets them
            self._broken_promise = True
            self._remote.checksums = False
        self._parts[request.part] = (etag, report.sent, report.crc)
        self._signed &= request.signed_payload
        self.moved += report.sent
        request.body = None  # its memory serves the next part
        if len(self._parts) == self._part_count:
            self._all_uploaded()

    def _all_uploaded(self) -> None:
        self._source_now.check_unchanged()
        whole = self._whole_crc()
        if self._crc_known is not None and self._crc_known != whole:
            raise errors.SourceChanged(f"the source of s3://{self.bucket}/{self.key} changed while it was uploaded")
        self._crc_known = whole
        self._control.append(self._complete())

    def _check_stored(self, request: Request, report: Report, text: str) -> None:
        """All must have been sent, and what the server says it has stored must be that."""
        if request.body is not None and report.sent != memoryview(request.body).nbytes:
            message = f"the server answered after {report.sent:,} bytes of the body"
            raise RetryRequest(make_error(errors.ConnectionLost, message, request, report))
        stored = integrity.decode(PREFERRED, text) if text else None
        if stored is not None and stored != report.crc:
            message = f"the server stored bytes of {PREFERRED} {stored:x}, sent were {report.crc:x}"
            raise RetryRequest(make_error(errors.IntegrityError, message, request, report))

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
        if stored is not None and stored != self._crc_known:
            message = f"the server put together bytes of {PREFERRED} {stored:x}, sent were {self._crc_known or 0:x}"
            raise make_error(errors.IntegrityError, message, request, report)
        self._upload_id = ""
        self._finish(xml.text(root, "ETag"))

    def _vanished(self, request: Request, report: Report) -> None:
        """No such upload. If an earlier Complete had its reply lost, the object may well be there."""
        error = refusal(request, report)
        if request.attempts + request.stale < 2:
            raise error
        self._vanishing = error
        self._control.append(self._look())

    def _looked(self, report: Report) -> None:
        assert self._vanishing is not None
        found = integrity.expected_of(report.headers) if report.status // 100 == 2 else None
        if (
            found is None
            or (found.algorithm, found.value) != (PREFERRED, self._crc_known)
            or report.content_length != self.size
        ):
            raise self._vanishing
        self._upload_id = ""
        self._finish(report.headers.get("etag", ""))

    def _finish(self, etag: str) -> None:
        self.etag = etag
        self.moved = self.size
        if self._checksums:
            self.verified_by = "length" if self._broken_promise else PREFERRED
        elif self._remote.is_tls:
            self.verified_by = "tls"
        else:
            self.verified_by = "sha256" if self._signed else "length"
        self.finish()

    # ---- the end ----

    def cleanup(self) -> Job | None:
        return AbortJob(self.bucket, self.key, self._upload_id) if self._upload_id else None

    def release(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None
