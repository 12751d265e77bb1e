"""Multipart uploads that were begun and not ended: which there are, and how to end them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from fastdatastore import errors
from fastdatastore.engine import integrity, xml
from fastdatastore.engine.job import Job, RetryRequest
from fastdatastore.engine.listing import timestamp
from fastdatastore.engine.request import Pairs, Request
from fastdatastore.engine.retry import make_error

if TYPE_CHECKING:
    from fastdatastore._native import Report


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that is under way, or was left behind. `initiated`: seconds since 1970 by the server."""

    key: str
    upload_id: str
    initiated: float | None


def _read(request: Request, report: Report, *tags: str) -> Element:
    try:
        root = xml.parse(report.content)
    except xml.BadXml as error:
        raise RetryRequest(make_error(errors.ProtocolError, f"not XML: {error}", request, report)) from None
    if root.tag not in tags:
        raise RetryRequest(make_error(errors.ProtocolError, f"a {root.tag} came for a {tags[0]}", request, report))
    return root


class UploadPages:
    """The requests and answers of ListMultipartUploads, page after page, for any job.

    Attributes:
        uploads: What has been found so far: of all keys that begin with `prefix`.
        is_done: That is all.
    """

    def __init__(self, job: Job, prefix: str) -> None:
        self.uploads: list[Upload] = []
        self.is_done = False
        self._job = job
        self._prefix = prefix
        self._next: Pairs | None = ()
        self._pages: set[Pairs] = set()

    def next_request(self) -> Request | None:
        if self._next is None:
            return None
        # Without encoding-type=url: Ceph would encode the keys, but not say so.
        query = (("uploads", ""), ("prefix", self._prefix), *self._next)
        self._next = None
        return Request(self._job, "ListMultipartUploads", "GET", self._job.bucket, query=query)

    def on_answer(self, request: Request, report: Report) -> None:
        root = _read(request, report, "ListMultipartUploadsResult")
        for item in root.iterfind("Upload"):
            key = xml.text(item, "Key")
            # MinIO takes the prefix for a whole key and others ignore it: what does not fit is left out here.
            if key.startswith(self._prefix):
                self.uploads.append(Upload(key, xml.text(item, "UploadId"), timestamp(xml.text(item, "Initiated"))))
        if xml.text(root, "IsTruncated") != "true":
            self.is_done = True
            return
        page = (
            ("key-marker", xml.text(root, "NextKeyMarker")),
            ("upload-id-marker", xml.text(root, "NextUploadIdMarker")),
        )
        if page in self._pages:
            raise make_error(errors.ProtocolError, "the listing goes on but names no new page", request, report)
        self._pages.add(page)
        self._next = page


class ListUploadsJob(Job):
    """Lists the uploads of all keys that begin with `prefix`: `uploads`."""

    operation = "ListMultipartUploads"

    def __init__(self, bucket: str, prefix: str = "") -> None:
        super().__init__(bucket)
        self._pages = UploadPages(self, prefix)

    @property
    def uploads(self) -> list[Upload]:
        return self._pages.uploads

    def next_request(self) -> Request | None:
        return self._pages.next_request()

    def on_answer(self, request: Request, report: Report) -> None:
        self._pages.on_answer(request, report)
        if self._pages.is_done:
            self.finish()


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that an upload has already. `crc`: its CRC-64/NVME where the server lists it."""

    number: int
    size: int
    etag: str
    crc: int | None


class PartPages:
    """The requests and answers of ListParts, page after page, for any job.

    Attributes:
        parts: What has been found so far, by number.
        algorithm: The checksum that the upload was begun with, as the server names it; "" where it does not.
        is_done: That is all. is_gone: There is no such upload.
    """

    def __init__(self, job: Job, upload_id: str) -> None:
        self.parts: dict[int, StoredPart] = {}
        self.algorithm = ""
        self.is_done = False
        self.is_gone = False
        self._job = job
        self._upload_id = upload_id
        self._next: Request | None = parts_request(job, upload_id)
        self._last = 0

    def next_request(self) -> Request | None:
        request, self._next = self._next, None
        return request

    def on_answer(self, request: Request, report: Report) -> None:
        if report.status == 404:
            self.is_done = self.is_gone = True
            return
        root = _read(request, report, "ListPartsResult", "ListPartsResponse")  # the latter is moto's
        try:
            for item in root.iterfind("Part"):
                crc = integrity.decode(integrity.PREFERRED, xml.text(item, "ChecksumCRC64NVME"))
                number = int(xml.text(item, "PartNumber"))
                self.parts[number] = StoredPart(number, int(xml.text(item, "Size")), xml.text(item, "ETag"), crc)
        except ValueError as error:
            raise RetryRequest(make_error(errors.ProtocolError, f"not a listing: {error}", request, report)) from None
        self.algorithm = xml.text(root, "ChecksumAlgorithm")
        if xml.text(root, "IsTruncated") != "true":
            self.is_done = True
            return
        marker = xml.text(root, "NextPartNumberMarker")
        if not marker.isdigit() or int(marker) <= self._last:
            raise make_error(errors.ProtocolError, "the listing goes on but names no new page", request, report)
        self._last = int(marker)
        self._next = parts_request(self._job, self._upload_id, marker)


def parts_request(job: Job, upload_id: str, after: str = "") -> Request:
    """Lists the parts of the upload `upload_id` of the job's key; a 404 says that it is gone."""
    query = (("uploadId", upload_id),) + ((("part-number-marker", after),) if after else ())
    return Request(job, "ListParts", "GET", job.bucket, job.key, query=query, expected=(404,))


def abort_request(job: Job, upload_id: str, expected: tuple[int, ...] = (404,)) -> Request:
    """Ends the upload `upload_id` of the job's key; it is no error when it has ended already."""
    query = (("uploadId", upload_id),)
    return Request(job, "AbortMultipartUpload", "DELETE", job.bucket, job.key, query=query, expected=expected)


class AbortJob(Job):
    """Aborts an upload and sees that it is gone: a part that was on its way may come to rest after the first abort."""

    operation = "AbortMultipartUpload"
    ROUNDS = 5

    def __init__(self, bucket: str, key: str, upload_id: str) -> None:
        super().__init__(bucket, key)
        self.upload_id = upload_id
        self._rounds = 0
        self._todo = [abort_request(self, upload_id)]

    def next_request(self) -> Request | None:
        return self._todo.pop() if self._todo else None

    def on_answer(self, request: Request, report: Report) -> None:
        if request.method == "DELETE":
            self._todo.append(parts_request(self, self.upload_id))
        elif report.status == 404:
            self.finish()
        else:
            self._rounds += 1
            if self._rounds == self.ROUNDS:
                message = f"the upload is still there after {self.ROUNDS} aborts"
                raise make_error(errors.ServerError, message, request, report)
            self._todo.append(abort_request(self, self.upload_id))


def left_behind(abort: Job) -> str:
    """What to say of an upload that could not be aborted: `abort` has failed."""
    place = f"s3://{abort.bucket}/{abort.key}"
    return (
        f"What was uploaded to {place} was left behind and costs storage: its abort failed, too. Once it is a day old, "
        f"fds sweep {place} ends it. Why it failed: {abort.error}"
    )
