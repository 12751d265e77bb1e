"""CopyObject, and the multipart copy of what is larger than S3 copies at once. The bytes stay at the server.

A HEAD of the source comes first: its ETag is a condition of every further request, so that a copy is of one object or
fails; its checksum is what the copy's must be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from fastdatastore import errors
from fastdatastore.config import MIB
from fastdatastore.engine import integrity, plan, xml
from fastdatastore.engine.integrity import METADATA_PREFIX
from fastdatastore.engine.job import Job, RetryRequest
from fastdatastore.engine.request import Pairs, Request, version_query
from fastdatastore.engine.retry import make_error, refusal
from fastdatastore.engine.uploads import AbortJob

if TYPE_CHECKING:
    from fastdatastore._native import Report

# "Copying objects", Amazon S3 user guide.
MOST_AT_ONCE = 5 << 30
# Large, because the server's work is the same and each part is a request.
PART_SIZE = 512 * MIB
# A server may say nothing until all is copied.
PATIENCE = 300.0

# Of who may not read tags, or give them, or asks a server that knows none: the copy is made without.
_NO_TAGS = ("AccessDenied", "NotImplemented")

_USER_METADATA = "x-amz-meta-"
# What describes the bytes, beside user metadata.
_KEPT = {
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-website-redirect-location",
}


class CopyJob(Job):
    """Copies an object, or a version of it, to `bucket` and `key`.

    What describes the source is kept but for what is given here; tags too, where these credentials may read them and
    give them, or the copy is made at once.

    Args:
        source: Bucket, key and version ("": the current one).
        headers: Encryption and storage class of the copy.
        described: Headers that are to replace the source's.
        new_metadata: The user metadata in `described`, if any, replaces all of the source's.
        most_at_once, part_size: What is larger goes in parts of this size.

    Attributes, when it is done:
        size: Bytes of the object; 0 where HEAD is refused.
        etag: Of the copy, quoted. version_id: In a bucket that keeps versions; else "".
        verified_by: The checksum that the source and the copy have in common; "" where the server tells none.
    """

    operation = "CopyObject"

    def __init__(
        self,
        source: tuple[str, str, str],
        bucket: str,
        key: str,
        *,
        headers: Pairs = (),
        described: Pairs = (),
        new_metadata: bool = False,
        most_at_once: int = MOST_AT_ONCE,
        part_size: int = PART_SIZE,
    ) -> None:
        super().__init__(bucket, key)
        self.etag = ""
        self.version_id = ""
        self._source = source
        self._headers = headers
        self._described = described
        self._new_metadata = new_metadata
        self._most_at_once = most_at_once
        self._part_size = part_size
        self._found: dict[str, str] = {}  # headers of the source
        self._tags = ""  # as they go into a header
        self._upload_id = ""
        self._parts: dict[int, str] = {}  # number → ETag
        self._part_count = 0
        self._vanishing: errors.FastDatastoreError | None = None  # what Complete was told before we looked
        self._asked_why = False  # HEAD was refused
        self._todo = [self._head()]  # last first

    def next_request(self) -> Request | None:
        return self._todo.pop() if self._todo else None

    # ---- requests ----

    def _head(self) -> Request:
        bucket, key, version_id = self._source
        return Request(
            self,
            "HeadObject",
            "HEAD",
            bucket,
            key,
            query=version_query(version_id),
            headers=(("x-amz-checksum-mode", "ENABLED"),),
            expected=(400, 401, 403, 404, 405),
        )

    def _ask_why(self) -> Request:
        """A refusal of HEAD has no body, and so no code; this one has: what can be put right is, by the driver."""
        bucket, key, version_id = self._source
        return Request(
            self,
            "GetObject",
            "GET",
            bucket,
            key,
            query=version_query(version_id),
            headers=(("range", "bytes=0-0"),),
            expected=(404, 405, 416),
            expected_codes=("AccessDenied",),
        )

    def _copy(self) -> Request:
        headers = self._headers + self._of_source
        if self._replaces:
            headers += (("x-amz-metadata-directive", "REPLACE"), *self._description())
        return Request(
            self, "CopyObject", "PUT", self.bucket, self.key, headers=headers, patience=PATIENCE, expected=(404,)
        )

    def _tagging(self) -> Request:
        bucket, key, version_id = self._source
        return Request(
            self,
            "GetObjectTagging",
            "GET",
            bucket,
            key,
            query=(("tagging", ""), *version_query(version_id)),
            expected=(404, 405, 501),
            expected_codes=_NO_TAGS,
        )

    def _create(self) -> Request:
        tags: Pairs = (("x-amz-tagging", self._tags),) if self._tags else ()
        return Request(
            self,
            "CreateMultipartUpload",
            "POST",
            self.bucket,
            self.key,
            query=(("uploads", ""),),
            headers=self._headers + self._description() + tags,
            expected_codes=_NO_TAGS if tags else (),
        )

    def _part(self, number: int, offset: int, length: int) -> Request:
        return Request(
            self,
            "UploadPartCopy",
            "PUT",
            self.bucket,
            self.key,
            query=(("partNumber", str(number)), ("uploadId", self._upload_id)),
            headers=(*self._of_source, ("x-amz-copy-source-range", f"bytes={offset}-{offset + length - 1}")),
            patience=PATIENCE,
        )

    def _complete(self) -> Request:
        rows = "".join(
            f"<Part><ETag>{escape(etag)}</ETag><PartNumber>{number}</PartNumber></Part>"
            for number, etag in sorted(self._parts.items())
        )
        return Request(
            self,
            "CompleteMultipartUpload",
            "POST",
            self.bucket,
            self.key,
            query=(("uploadId", self._upload_id),),
            headers=(("content-type", "application/xml"),),
            body=f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode(),
            patience=PATIENCE,
            expected=(404,),
        )

    @property
    def _replaces(self) -> bool:
        """Some of what describes the source: then the rest must be given anew, too."""
        return bool(self._described) or self._new_metadata

    @property
    def _of_source(self) -> Pairs:
        headers: Pairs = (("x-amz-copy-source", copy_source(*self._source)),)
        if etag := self._found.get("etag"):
            headers += (("x-amz-copy-source-if-match", etag),)
        return headers

    def _description(self) -> Pairs:
        """What describes the copy: what the source has, but for what was given."""
        return tuple((_carried(self._found, self._new_metadata) | dict(self._described)).items())

    # ---- answers ----

    def on_answer(self, request: Request, report: Report) -> None:
        match request.operation:
            case "HeadObject" if self._vanishing:
                self._looked(report)
            case "HeadObject":
                self._learn(request, report)
            case "GetObject" if report.status // 100 == 2 or report.status == 416:  # 416: it is empty
                self._todo.append(self._head())
            case "GetObject":
                self._copy_unseen(request, report)
            case "GetObjectTagging":
                self._tags = _tags_of(request, report) if report.status == 200 else ""
                self._todo.append(self._create())
            case "CreateMultipartUpload" if report.status != 200:
                self._tags = ""
                self._todo.append(self._create())
            case "CreateMultipartUpload":
                self._created(request, report)
            case "UploadPartCopy":
                self._copied_part(request, report)
            case "CompleteMultipartUpload" if report.status == 404:
                self._vanished(request, report)
            case _:
                self._copied(request, report)

    def _learn(self, request: Request, report: Report) -> None:
        if report.status // 100 != 2:
            if self._asked_why:
                self._copy_unseen(request, report)
            else:
                self._asked_why = True
                self._todo.append(self._ask_why())
            return
        self._found = report.headers
        self.size = report.content_length or 0
        self._todo.append(self._tagging() if self.size > self._most_at_once else self._copy())

    def _copy_unseen(self, request: Request, report: Report) -> None:
        """The source may not be looked at: the copy itself is told what is wrong, or goes well without.

        Raises:
            S3Error: Some of what describes the source was to be kept.
        """
        if self._replaces:
            error = refusal(request, report)
            error.reason += f" (s3://{self.bucket}/{self.key} was to keep some of what describes it)"
            raise error
        self._todo.append(self._copy())

    def _created(self, request: Request, report: Report) -> None:
        self._upload_id = xml.field_of(report.content, "UploadId")
        if not self._upload_id:
            raise RetryRequest(make_error(errors.ProtocolError, "the reply names no upload", request, report))
        cuts = plan.parts(0, self.size, plan.part_size_for(self.size, self._part_size))
        self._part_count = len(cuts)
        self._todo = [self._part(i + 1, offset, length) for i, (offset, length) in enumerate(cuts)][::-1]

    def _copied_part(self, request: Request, report: Report) -> None:
        root = _result(request, report)
        query = dict(request.query)
        self._parts[int(query["partNumber"])] = xml.text(root, "ETag")
        self.moved = self.size * len(self._parts) // self._part_count
        if len(self._parts) == self._part_count:
            self._todo.append(self._complete())

    def _copied(self, request: Request, report: Report) -> None:
        if report.status == 404:
            raise self._not_found(request, report)
        root = _result(request, report)
        self._upload_id = ""
        self._check(request, report, root)
        self.version_id = report.headers.get("x-amz-version-id", "")
        self._finish(xml.text(root, "ETag"))

    def _check(self, request: Request, report: Report, root: Element) -> None:
        expected = integrity.expected_of(self._found)
        if expected is None:
            return
        found = integrity.decode(expected.algorithm, xml.text(root, f"Checksum{expected.algorithm.upper()}"))
        if found is None:
            return
        if found != expected.value:
            message = f"the copy has the {expected.algorithm} {found:x}, its source {expected.value:x}"
            raise make_error(errors.IntegrityError, message, request, report)
        self.verified_by = expected.algorithm

    def _not_found(self, request: Request, report: Report) -> errors.S3Error:
        error = refusal(request, report)
        bucket, key, _ = self._source
        if isinstance(error, errors.NotFound) or xml.field_of(report.content, "BucketName") == bucket:
            error.bucket, error.key = bucket, key
        else:
            error.reason += f" (it was to be copied from s3://{bucket}/{key})"
        return error

    def _vanished(self, request: Request, report: Report) -> None:
        """No such upload. If an earlier Complete had its reply lost, the copy may well be there."""
        error = refusal(request, report)
        if request.attempts + request.stale < 2:
            raise error
        self._vanishing = error
        self._todo.append(Request(self, "HeadObject", "HEAD", self.bucket, self.key, expected=(403, 404)))

    def _looked(self, report: Report) -> None:
        assert self._vanishing is not None
        etag = report.headers.get("etag", "")
        parts = [self._parts[number] for number in sorted(self._parts)]
        if report.status // 100 != 2 or not integrity.is_etag_of(etag, parts):
            raise self._vanishing
        self._upload_id = ""
        self.version_id = report.headers.get("x-amz-version-id", "")
        self._finish(etag)

    def _finish(self, etag: str) -> None:
        self.etag = etag
        self.moved = self.size
        self.finish()

    def cleanup(self) -> Job | None:
        return AbortJob(self.bucket, self.key, self._upload_id) if self._upload_id else None


def copy_source(bucket: str, key: str, version_id: str) -> str:
    """The header that names what is to be copied."""
    between = "/object/" if bucket.startswith("arn:") else "/"
    version = f"?versionId={quote(version_id, safe='')}" if version_id else ""
    return quote(f"{bucket}{between}{key}", safe="/") + version


def _carried(found: Mapping[str, str], new_metadata: bool) -> dict[str, str]:
    kept = {}
    for name, value in found.items():
        # Our own CRC stays in any case: it belongs to the bytes, not to what users say of them.
        is_metadata = name.startswith(_USER_METADATA) and (not new_metadata or name.startswith(METADATA_PREFIX))
        if name in _KEPT or is_metadata:
            kept[name] = value
    if encoding := kept.pop("content-encoding", ""):
        # SeaweedFS keeps the framing of an upload as if it were the content's.
        words = [word for word in map(str.strip, encoding.split(",")) if word != "aws-chunked"]
        if words:
            kept["content-encoding"] = ", ".join(words)
    return kept


def _tags_of(request: Request, report: Report) -> str:
    try:
        root = xml.parse(report.content)
    except xml.BadXml as error:
        raise RetryRequest(make_error(errors.ProtocolError, f"not XML: {error}", request, report)) from None
    return urlencode([(xml.text(tag, "Key"), xml.text(tag, "Value")) for tag in root.iter("Tag")], quote_via=quote)


def _result(request: Request, report: Report) -> Element:
    """The reply's document; a 200 may hold an error, and is a failed attempt then ("CopyObject", S3 API reference)."""
    try:
        root = xml.parse(report.content)
    except xml.BadXml as error:
        raise RetryRequest(make_error(errors.ProtocolError, f"not XML: {error}", request, report)) from None
    code, message, request_id = xml.error_of(report.content)
    if code or not xml.text(root, "ETag"):
        said = message or code or f"a {root.tag} without an ETag came"
        raise RetryRequest(make_error(errors.ServerError, said, request, report, code, request_id))
    return root
