"""Sees to an upload's condition: before the write that stores the object, and when the server has refused it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdatastore import errors
from fastdatastore.engine import xml
from fastdatastore.engine.put.upload import Upload
from fastdatastore.engine.request import Pairs, Request
from fastdatastore.engine.retry import make_error, refusal

if TYPE_CHECKING:
    from fastdatastore._native import Report


class Guard:
    """For one write (`operation`) of one upload; without a condition it lets everything pass.

    Attributes:
        refusals: Statuses that say that the condition does not hold.
    """

    __slots__ = ("_operation", "_refused", "_upload", "refusals")

    def __init__(self, upload: Upload, operation: str) -> None:
        self.refusals: tuple[int, ...] = (404, 412) if upload.condition else ()
        self._upload = upload
        self._operation = operation
        self._refused: tuple[errors.S3Error, bool] | None = None  # and whether it was asked without quotes

    @property
    def headers(self) -> Pairs:
        """Of the write."""
        condition = self._upload.condition
        return condition.headers(self._upload.learnt) if condition else ()

    @property
    def wants_look(self) -> bool:
        """Whether what is stored must be looked at before the write."""
        condition, learnt = self._upload.condition, self._upload.learnt
        return condition is not None and (bool(condition.if_match) or self._operation not in learnt.keeps_existing)

    def before(self, request: Request, report: Report) -> None:
        """The answer to that look.

        Raises:
            Modified: The condition does not hold.
        """
        condition = self._upload.condition
        assert condition is not None
        if condition.holds(report.status, report.headers):
            return
        there = report.headers.get("etag", "another object") if report.status != 404 else "no object"
        wanted = condition.if_match or "none"
        raise make_error(errors.Modified, f"there is {there} where {wanted} was expected", request, report)

    def is_broken(self, report: Report) -> bool:
        """Whether a HEAD, after the write was answered by 404, shows that the condition does not hold."""
        condition = self._upload.condition
        assert condition is not None
        if report.status // 100 != 2:
            return bool(condition.if_match)
        return not condition.holds(report.status, report.headers)

    def on_refusal(self, request: Request, report: Report) -> None:
        """The write was answered by one of `refusals`: now what is stored is to be looked at.

        Raises:
            S3Error: There is nothing to look at.
        """
        error = refusal(request, report)
        if xml.error_of(report.content)[0] in ("NoSuchBucket", "NoSuchUpload"):
            raise error
        self._refused = refusal(request, report, errors.Modified), self._upload.learnt.bare_if_match

    def after(self, report: Report) -> bool:
        """The answer to that look: True when this very write is stored, False when it is to be tried once more.

        Raises:
            Modified: Another writer was first.
        """
        condition, learnt = self._upload.condition, self._upload.learnt
        assert condition is not None
        assert self._refused is not None
        if report.status // 100 == 2 and condition.is_ours(report.headers):
            return True
        error, was_bare = self._refused
        holds = report.status // 100 == 2 and condition.holds(report.status, report.headers)
        if holds and condition.if_match and not was_bare:
            learnt.bare_if_match = True  # the ETag is the right one: it must be the quotes
            return False
        if not condition.if_match:
            learnt.keeps_existing.add(self._operation)
        raise error
