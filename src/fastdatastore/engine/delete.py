"""DeleteObject and DeleteObjects. Deleting what is not there is no error, as everywhere in S3."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from fastdatastore import errors
from fastdatastore.engine import xml
from fastdatastore.engine.job import Job, RetryRequest
from fastdatastore.engine.request import Request, version_query
from fastdatastore.engine.retry import error_of_code, is_transient, make_error

if TYPE_CHECKING:
    from fastdatastore._native import Report

# "DeleteObjects", Amazon S3 API reference.
MOST_KEYS = 1000

# What XML 1.0 cannot carry, whatever the escaping. Of the rest a carriage return would be read as a line feed.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_ESCAPES = {"\r": "&#13;"}
_GONE = {"NoSuchKey", "NoSuchVersion"}
_NAMED = 3  # failures that an error's message names


class DeleteJob(Job):
    """Deletes one object, or one version of it."""

    operation = "DeleteObject"

    def __init__(self, bucket: str, key: str, version_id: str = "") -> None:
        super().__init__(bucket, key)
        self._todo = [Request(self, "DeleteObject", "DELETE", bucket, key, query=version_query(version_id))]

    def next_request(self) -> Request | None:
        return self._todo.pop() if self._todo else None

    def on_answer(self, request: Request, report: Report) -> None:
        self.finish()


def fits_batch(key: str) -> bool:
    """Whether DeleteManyJob can take it; DeleteJob takes any key."""
    return not _NOT_IN_XML.search(key)


class DeleteManyJob(Job):
    """Deletes up to 1,000 objects by one request. Keys that a busy server leaves out are asked for again.

    Attributes, when it is done:
        keys: All that were to be deleted.
        failures: An error for each that was not. When the attempts are used up there are both these and `error`.
    """

    operation = "DeleteObjects"

    def __init__(self, bucket: str, keys: Sequence[str]) -> None:
        super().__init__(bucket)
        self.keys = keys
        self.failures: list[errors.S3Error] = []
        self._asked = False

    def next_request(self) -> Request | None:
        if self._asked:
            return None
        self._asked = True
        request = Request(self, "DeleteObjects", "POST", self.bucket, query=(("delete", ""),))
        self._ask_for(request, self.keys)
        return request

    def _ask_for(self, request: Request, keys: Sequence[str]) -> None:
        rows = "".join(f"<Object><Key>{escape(key, _ESCAPES)}</Key></Object>" for key in keys)
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Quiet>true</Quiet>{rows}</Delete>"
        ).encode()
        # The one checksum that all servers know; S3 demands some.
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        request.headers = (("content-type", "application/xml"), ("content-md5", md5))
        request.body = body

    def on_answer(self, request: Request, report: Report) -> None:
        try:
            root = xml.parse(report.content)
        except xml.BadXml as error:
            raise RetryRequest(make_error(errors.ProtocolError, f"not XML: {error}", request, report)) from None
        if root.tag != "DeleteResult":  # a 200 can be an error all the same
            code, message, request_id = xml.error_of(report.content)
            said = message or code or f"a {root.tag} came for a DeleteResult"
            raise RetryRequest(make_error(errors.ServerError, said, request, report, code, request_id))
        self.failures = [failure for failure in self.failures if not is_transient(failure.code)]
        again = []
        for item in root.iterfind("Error"):
            code = xml.text(item, "Code")
            if code in _GONE:
                continue
            failure = error_of_code(code, xml.text(item, "Message"), request, report)
            failure.key = xml.text(item, "Key")
            self.failures.append(failure)
            if is_transient(code):
                again.append(failure)
        if again:
            self._ask_for(request, [failure.key for failure in again])
            raise RetryRequest(again[0])
        self.finish()


def deletions(bucket: str, keys: Iterable[str]) -> Iterator[DeleteJob | DeleteManyJob]:
    """Jobs that delete all these keys, made as they are drawn."""
    batch: list[str] = []
    for key in keys:
        if not fits_batch(key):
            yield DeleteJob(bucket, key)
            continue
        batch.append(key)
        if len(batch) == MOST_KEYS:
            yield DeleteManyJob(bucket, batch)
            batch = []
    if batch:
        yield DeleteManyJob(bucket, batch)


def failure_of(failures: list[errors.S3Error], count: int) -> errors.DeleteFailed:
    """One error for those of `count` objects that were not deleted."""
    named = ", ".join(f"s3://{f.bucket}/{f.key} ({f.code or f.reason})" for f in failures[:_NAMED])
    more = f" and {len(failures) - _NAMED:,} more" if len(failures) > _NAMED else ""
    first = failures[0]
    error = errors.DeleteFailed(
        f"{len(failures):,} of {count:,} objects were not deleted: {named}{more}",
        operation=first.operation,
        status=first.status,
        code=first.code,
        request_id=first.request_id,
        attempts=first.attempts,
        elapsed=first.elapsed,
    )
    error.failures = tuple(failures)
    return error
