"""HeadObject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdatastore.engine.job import Job
from fastdatastore.engine.request import Request, version_query

if TYPE_CHECKING:
    from fastdatastore._native import Report


class HeadJob(Job):
    """Asks for an object's size and headers.

    An error reply to HEAD has no body and so no code: a GET of one byte then asks the server what is wrong.

    Args:
        with_checksum: Ask for the object's checksum, which may take permissions of its own (KMS).

    Attributes, when it is done:
        headers: Of the reply.
    """

    operation = "HeadObject"

    def __init__(self, bucket: str, key: str, version_id: str = "", *, with_checksum: bool = False) -> None:
        super().__init__(bucket, key)
        self.headers: dict[str, str] = {}
        self._query = version_query(version_id)
        self._todo = [
            Request(
                self,
                "HeadObject",
                "HEAD",
                bucket,
                key,
                query=self._query,
                headers=(("x-amz-checksum-mode", "ENABLED"),) if with_checksum else (),
                expected=(400, 401, 403, 404, 405),
            )
        ]

    def next_request(self) -> Request | None:
        return self._todo.pop() if self._todo else None

    def on_answer(self, request: Request, report: Report) -> None:
        if request.method == "HEAD" and report.status // 100 == 4:
            probe = Request(
                self,
                "HeadObject",
                "GET",
                self.bucket,
                self.key,
                query=self._query,
                headers=(("range", "bytes=0-0"),),
                expected=(416,),
            )
            self._todo.append(probe)
            return
        self.headers = report.headers
        if request.method == "HEAD":
            self.size = report.content_length or 0
        else:  # the object has come into being in the meantime, or HEAD alone is refused
            total = report.headers.get("content-range", "").rpartition("/")[2]
            self.size = int(total) if total.isdigit() else 0
        self.finish()


class ExistenceJob(HeadJob):
    """Asks whether an object is there: that it is not, or that the server does not say, are answers like any other.

    Attributes, when it is done:
        status: 200 it is there; 404 it is not; 403 these credentials may not know.
        headers: Of the reply, whatever its status.
    """

    def __init__(self, bucket: str, key: str) -> None:
        super().__init__(bucket, key)
        self.status = 0

    def on_answer(self, request: Request, report: Report) -> None:
        self.status = report.status
        if report.status in (403, 404):
            self.headers = report.headers
            self.finish()
        else:
            super().on_answer(request, report)
