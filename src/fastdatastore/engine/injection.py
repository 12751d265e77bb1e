"""Failures on purpose, to see retrying at work: S3(inject_failure_rate=…), as metaflow.S3 has it."""

from __future__ import annotations

import random

from fastdatastore import errors
from fastdatastore.config import Settings
from fastdatastore.engine.request import Request


def strike(request: Request, settings: Settings) -> errors.S3Error | None:
    """The failure of this attempt; None to let it go out.

    Below 100 % only the first half of a request's attempts may be struck: what really goes wrong keeps the others.
    """
    rate = settings.inject_failures
    if rate < 100 and (request.attempts >= settings.attempts // 2 or random.random() * 100 >= rate):
        return None
    return errors.ServerError(
        f"the request failed: inject_failure_rate={rate}",
        operation=request.operation,
        bucket=request.bucket,
        key=request.key,
        attempts=request.attempts + 1,
        hint="lower inject_failure_rate",
    )
