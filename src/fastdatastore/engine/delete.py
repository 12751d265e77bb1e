"""DeleteObject. Deleting what is not there is no error, as everywhere in S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdatastore.engine.job import Job
from fastdatastore.engine.request import Request

if TYPE_CHECKING:
    from fastdatastore._native import Report


class DeleteJob(Job):
    """Deletes one object."""

    operation = "DeleteObject"

    def __init__(self, bucket: str, key: str) -> None:
        super().__init__(bucket, key)
        self._asked = False

    def next_request(self) -> Request | None:
        if self._asked:
            return None
        self._asked = True
        return Request(self, "DeleteObject", "DELETE", self.bucket, self.key)

    def on_answer(self, request: Request, report: Report) -> None:
        self.finish()
