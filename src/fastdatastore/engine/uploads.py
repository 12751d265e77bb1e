"""Multipart uploads that were begun and not ended: which there are, and how to end them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from fastdatastore import errors
from fastdatastore.engine import xml
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


def _read(request: Request, report: Report, tag: str) -> Element:
    try:
        root = xml.parse(report.content)
    except xml.BadXml as error:
        raise RetryRequest(make_error(errors.ProtocolError, f"not XML: {error}", request, report)) from None
    if root.tag != tag:
        raise RetryRequest(make_error(errors.ProtocolError, f"a {root.tag} came for a {tag}", request, report))
    return root


class ListUploadsJob(Job):
    """Lists the uploads of all keys that begin with `prefix`: `uploads`."""

    operation = "ListMultipartUploads"

    def __init__(self, bucket: str, prefix: str = "") -> None:
        super().__init__(bucket)
        self.prefix = prefix
        self.uploads: list[Upload] = []
        self._next: Pairs | None = ()
        self._pages: set[Pairs] = set()

    def next_request(self) -> Request | None:
        if self._next is None or self.in_flight:
            return None
        # Without encoding-type=url: Ceph would encode the keys, but not say so.
        query = (("uploads", ""), ("prefix", self.prefix), *self._next)
        self._next = None
        return Request(self, "ListMultipartUploads", "GET", self.bucket, query=query)

    def on_answer(self, request: Request, report: Report) -> None:
        root = _read(request, report, "ListMultipartUploadsResult")
        for item in root.iterfind("Upload"):
            key = xml.text(item, "Key")
            # MinIO takes the prefix for a whole key and others ignore it: what does not fit is left out here.
            if key.startswith(self.prefix):
                self.uploads.append(Upload(key, xml.text(item, "UploadId"), timestamp(xml.text(item, "Initiated"))))
        if xml.text(root, "IsTruncated") != "true":
            self.finish()
            return
        page = (
            ("key-marker", xml.text(root, "NextKeyMarker")),
            ("upload-id-marker", xml.text(root, "NextUploadIdMarker")),
        )
        if page in self._pages:
            raise make_error(errors.ProtocolError, "the listing goes on but names no new page", request, report)
        self._pages.add(page)
        self._next = page


def abort_request(job: Job, upload_id: str) -> Request:
    """Ends the upload `upload_id` of the job's key; it is no error when it has ended already."""
    query = (("uploadId", upload_id),)
    return Request(job, "AbortMultipartUpload", "DELETE", job.bucket, job.key, query=query, expected=(404,))


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
            query = (("uploadId", self.upload_id),)
            self._todo.append(Request(self, "ListParts", "GET", self.bucket, self.key, query=query, expected=(404,)))
        elif report.status == 404:
            self.finish()
        else:
            self._rounds += 1
            if self._rounds == self.ROUNDS:
                message = f"the upload is still there after {self.ROUNDS} aborts"
                raise make_error(errors.ServerError, message, request, report)
            self._todo.append(abort_request(self, self.upload_id))
