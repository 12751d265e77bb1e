"""ListBuckets: which buckets the credentials own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdatastore import errors
from fastdatastore.engine import xml
from fastdatastore.engine.job import Job, RetryRequest
from fastdatastore.engine.listing import timestamp
from fastdatastore.engine.request import Request
from fastdatastore.engine.retry import make_error

if TYPE_CHECKING:
    from fastdatastore._native import Report


class ListBucketsJob(Job):
    """Lists all buckets.

    Attributes, when it is done:
        buckets: (name, seconds since 1970 when it was made or None), in the server's order.
    """

    operation = "ListBuckets"

    def __init__(self) -> None:
        super().__init__("")
        self.buckets: list[tuple[str, float | None]] = []
        self._todo = [Request(self, "ListBuckets", "GET", "")]

    def next_request(self) -> Request | None:
        return self._todo.pop() if self._todo else None

    def on_answer(self, request: Request, report: Report) -> None:
        try:
            root = xml.parse(report.content)
            if root.tag != "ListAllMyBucketsResult":
                raise xml.BadXml(f"a {root.tag} came for a list of buckets")
            self.buckets = [
                (xml.text(item, "Name"), timestamp(xml.text(item, "CreationDate")))
                for item in root.iterfind("Buckets/Bucket")
            ]
        except ValueError as error:
            raise RetryRequest(make_error(errors.ProtocolError, f"not a listing: {error}", request, report)) from None
        self.finish()
