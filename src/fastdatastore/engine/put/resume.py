"""Going on with an upload that was left behind: by a process that was killed, or that gave up.

Of the uploads of this very key the newest is looked at; its parts tell the part size that it was cut by. A part need
not be sent again if it is the same as that of the source: by size and CRC where the server lists one, else by the MD5
that its ETag is. An upload of which no part is the same is somebody else's and left alone, and all is sent anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fastdatastore.config import MIB
from fastdatastore.engine import plan
from fastdatastore.engine.bytesview import pieces_of
from fastdatastore.engine.endpoints import Limits
from fastdatastore.engine.integrity import PREFERRED
from fastdatastore.engine.put.complete import UploadedPart
from fastdatastore.engine.put.multipart import Begun, Multipart
from fastdatastore.engine.put.supply import SourceSupply
from fastdatastore.engine.put.upload import CRC, Phase, Upload
from fastdatastore.engine.request import Request
from fastdatastore.engine.sources import Source, crc_of
from fastdatastore.engine.uploads import PartPages, StoredPart, UploadPages

if TYPE_CHECKING:
    from fastdatastore._native import Report

_PART_MIN = 5 * MIB


class Resume:
    """The phase that finds out what is there already.

    Args:
        part_size: That an upload of this source is cut by today.
        anew: Makes the phase that takes over when there is nothing to go on with.
    """

    def __init__(self, upload: Upload, source: Source, part_size: int, anew: Callable[[], Phase]) -> None:
        upload.size = source.size
        self._upload = upload
        self._source = source
        self._part_size = part_size
        self._anew = anew
        self._uploads = UploadPages(upload, upload.key)
        self._upload_id = ""
        self._parts: PartPages | None = None

    def need(self) -> int:
        return 0

    def next_request(self) -> Request | None:
        return (self._parts or self._uploads).next_request()

    def on_answer(self, request: Request, report: Report) -> None:
        if self._parts is None:
            self._uploads.on_answer(request, report)
            if self._uploads.is_done:
                self._look_into_newest()
            return
        self._parts.on_answer(request, report)
        if self._parts.is_done:
            self._upload.enter(self._go_on(self._parts) or self._anew())

    def _look_into_newest(self) -> None:
        found = [upload for upload in self._uploads.uploads if upload.key == self._upload.key]
        if not found:
            self._upload.enter(self._anew())
            return
        self._upload_id = max(found, key=lambda upload: upload.initiated or 0.0).upload_id
        self._parts = PartPages(self._upload, self._upload_id)

    def _go_on(self, pages: PartPages) -> Phase | None:
        if pages.is_gone or pages.algorithm.upper() not in ("", PREFERRED.upper()):
            return None
        part_size = part_size_of(pages.parts.values(), self._source.size, self._part_size, self._upload.limits)
        if part_size is None:
            return None
        cuts = plan.parts(0, self._source.size, part_size)
        same = {}
        for number, part in sorted(pages.parts.items()):
            crc = self._same(part, *cuts[number - 1])
            if crc is not None:
                same[number] = UploadedPart(part.etag, part.size, crc)
        if not same:
            return None
        if len(same) == len(cuts) and self._upload.learnt.checksums is None:
            same.popitem()  # one part is sent: its reply tells whether the server keeps checksums
        self._upload.resumed = len(same)
        supply = SourceSupply(self._source, part_size, same)
        return Multipart(self._upload, supply, Begun(self._upload_id, same, self._anew))

    def _same(self, part: StoredPart, offset: int, length: int) -> int | None:
        """The CRC of the source's part, if that is what is stored."""
        body = self._source.part(offset, length)
        crc = crc_of(CRC, body)
        if part.crc is not None:
            return crc if part.crc == crc else None
        md5 = hashlib.md5(usedforsecurity=False)
        for each in pieces_of(body):
            md5.update(each)
        return crc if part.etag.strip('"').lower() == md5.hexdigest() else None


def part_size_of(parts: Iterable[StoredPart], size: int, preferred: int, limits: Limits) -> int | None:
    """The part size by which a source of `size` bytes has been cut into, among others, `parts`.

    All parts but the last are of that size; who sees only the last tries `preferred`. None: it is another source's.
    """
    listed = list(parts)
    if not listed:
        return None
    for part_size in (max(part.size for part in listed), preferred):
        count = -(-size // part_size) if part_size >= _PART_MIN else 0
        if 0 < count <= limits.max_parts and all(
            1 <= part.number <= count and part.size == min(part_size, size - (part.number - 1) * part_size)
            for part in listed
        ):
            return part_size
    return None
