"""A multipart upload: Create, then the parts in any order.

Every part carries its CRC-64/NVME in the head. A server that keeps no checksums (learnt from its replies) gets the
whole object's CRC as user metadata instead, if it can be known at the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fastdatastore import errors
from fastdatastore.engine import integrity, xml
from fastdatastore.engine.integrity import CHECKSUM_PREFIX, PREFERRED
from fastdatastore.engine.job import RetryRequest
from fastdatastore.engine.put.ahead import CrcAhead
from fastdatastore.engine.put.complete import Complete, Outcome, UploadedPart
from fastdatastore.engine.put.supply import Supply
from fastdatastore.engine.put.upload import CRC, Phase, Upload, check_body, crc_metadata
from fastdatastore.engine.request import Request
from fastdatastore.engine.retry import make_error
from fastdatastore.engine.uploads import abort_request

if TYPE_CHECKING:
    from fastdatastore._native import Report


@dataclass(frozen=True)
class Begun:
    """An upload that was begun earlier.

    Attributes:
        parts: Those that need not be sent again, by number.
        anew: Makes the phase that takes over should it turn out to be of other contents.
    """

    upload_id: str
    parts: Mapping[int, UploadedPart]
    anew: Callable[[], Phase]


class Multipart:
    """The phase of an object that is large, or of unknown length.

    Args:
        begun: An upload to go on with instead of creating one. Whether its checksums are kept is seen from the first
            part that is sent: while that is not known there must be one left to send.
    """

    def __init__(self, upload: Upload, supply: Supply, begun: Begun | None = None) -> None:
        upload.size = supply.size
        self._upload = upload
        self._supply = supply
        self._begun = begun
        self._control: list[Request] = []  # Create, or an Abort before it
        self._takes_parts = begun is not None
        self._parts: dict[int, UploadedPart] = dict(begun.parts) if begun else {}
        self._on_the_way = 0  # parts
        self._ahead: CrcAhead | None = None  # of everything, complete at Create
        self._checksums = False  # of this upload: the server keeps them
        self._broken_promise = False  # or so it said
        self._signed = True  # every body's hash was part of its signature
        if begun:
            upload.upload_id = begun.upload_id
            upload.moved = sum(part.length for part in begun.parts.values())
            self._checksums = upload.learnt.checksums is True
        else:
            self._begin()

    # ---- requests ----

    def need(self) -> int:
        if self._upload.work is not None and self._ahead is not None:
            return self._ahead.need()
        return self._supply.need() if self._takes_parts and not self._control else 0

    def next_request(self) -> Request | None:
        if self._control:
            return self._control.pop()
        upload = self._upload
        if not self._takes_parts:
            return None
        part = self._supply.next_part()
        upload.size = self._supply.size
        if part is not None:
            self._on_the_way += 1
            return Request(
                upload,
                "UploadPart",
                "PUT",
                upload.bucket,
                upload.key,
                query=(("partNumber", str(part.number)), ("uploadId", upload.upload_id)),
                body=part.body,
                upload_crc=CRC,
                part=part.number,
            )
        if self._on_the_way or not self._supply.is_exhausted:
            return None
        complete = Complete(upload, self._outcome(), self._begun.anew if self._begun else None)
        upload.enter(complete)
        return complete.next_request()

    def _begin(self) -> None:
        """Create is next; with the CRC, where that has to be there from the start, once it has been taken."""
        if self._upload.learnt.checksums is False:
            self._ahead = self._supply.crc_ahead()
        if self._ahead is None:
            self._control.append(self._create())
        else:
            self._upload.work = partial(self._take_crc, self._ahead)

    def _take_crc(self, ahead: CrcAhead) -> None:
        ahead.step()
        if ahead.is_complete:
            self._upload.work = None
            self._control.append(self._create())

    def _create(self) -> Request:
        upload = self._upload
        headers = upload.headers
        if self._ahead is not None:
            headers += crc_metadata(self._ahead.crc)
        elif upload.learnt.checksums is not False:
            headers += (
                (CHECKSUM_PREFIX + "algorithm", PREFERRED.upper()),
                (CHECKSUM_PREFIX + "type", "FULL_OBJECT"),
            )
        return Request(
            upload,
            "CreateMultipartUpload",
            "POST",
            upload.bucket,
            upload.key,
            query=(("uploads", ""),),
            headers=headers,
        )

    def _outcome(self) -> Outcome:
        self._supply.check_unchanged()
        whole = integrity.combine(PREFERRED, [(n, part.length, part.crc) for n, part in self._parts.items()])
        if self._ahead is not None and self._ahead.crc != whole:
            where = f"s3://{self._upload.bucket}/{self._upload.key}"
            raise errors.SourceChanged(
                f"the source of {where} changed while it was uploaded; upload it when it is at rest"
            )
        by_checksum = self._checksums and not self._broken_promise
        return Outcome(self._parts, whole, self._checksums, by_checksum, self._signed and not self._checksums)

    # ---- answers ----

    def on_answer(self, request: Request, report: Report) -> None:
        match request.operation:
            case "CreateMultipartUpload":
                self._created(request, report)
            case "UploadPart":
                self._uploaded(request, report)
            case "AbortMultipartUpload":  # of the one that was begun before we knew: now as the server wants it
                self._upload.upload_id = ""
                self._begin()

    def _created(self, request: Request, report: Report) -> None:
        upload = self._upload
        try:
            upload_id = xml.text(xml.parse(report.content), "UploadId")
        except xml.BadXml:
            upload_id = ""
        if not upload_id:
            raise RetryRequest(make_error(errors.ProtocolError, "the reply names no upload", request, report))
        upload.upload_id = upload_id
        # What this Create asked for counts, whatever has been learnt since.
        if (CHECKSUM_PREFIX + "algorithm", PREFERRED.upper()) in request.headers:
            self._checksums = upload.learnt.checksums = CHECKSUM_PREFIX + "algorithm" in report.headers
            if not self._checksums and self._supply.can_be_read_again:
                # Now we know. The CRC becomes metadata instead, which can only be given at the start. Should these
                # credentials not be allowed to abort, it stays behind without a part.
                self._control.append(abort_request(upload, upload_id, expected=(403, 404)))
                return
        self._takes_parts = True

    def _uploaded(self, request: Request, report: Report) -> None:
        etag = report.headers.get("etag", "")
        if not etag:
            raise RetryRequest(make_error(errors.ProtocolError, "the reply has no ETag", request, report))
        kept = check_body(request, report)
        learnt = self._upload.learnt
        if self._begun and kept:
            self._checksums = learnt.checksums = True
        elif self._checksums and not kept:  # moto promises checksums at Create and forgets them
            self._broken_promise = True
            learnt.checksums = False
        self._parts[request.part] = UploadedPart(etag, report.sent, report.crc)
        self._signed &= request.signed_payload
        self._on_the_way -= 1
        self._upload.moved += report.sent
        request.body = None  # its memory serves the next part
