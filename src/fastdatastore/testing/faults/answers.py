"""Ready-made answers, as S3 gives them; each takes the fields of `Fault` that say to which requests."""

from __future__ import annotations

from typing import TypedDict, Unpack
from xml.sax.saxutils import escape

from .fault import Answer, RawAnswer

__all__ = [
    "When",
    "error",
    "error_in_200",
    "expired_token",
    "garbage_status_line",
    "internal_error",
    "oversize_header",
    "slow_down",
    "time_too_skewed",
    "wrong_region",
]


class When(TypedDict, total=False):
    """The fields of `Fault`."""

    method: str | None
    operation: str | None
    key: str | None
    nth: int | tuple[int, ...] | range | None
    probability: float
    times: int | None
    seed: int


def error(status: int, code: str, message: str = "made by the fault proxy", **when: Unpack[When]) -> Answer:
    """Any error of S3's."""
    return Answer(status, body=_xml(code, message), headers=_HEADERS, **when)


def slow_down(**when: Unpack[When]) -> Answer:
    """503 SlowDown."""
    return error(503, "SlowDown", "Please reduce your request rate.", **when)


def internal_error(**when: Unpack[When]) -> Answer:
    """500 InternalError."""
    return error(500, "InternalError", "We encountered an internal error. Please try again.", **when)


def expired_token(**when: Unpack[When]) -> Answer:
    """403 ExpiredToken."""
    return error(403, "ExpiredToken", "The provided token has expired.", **when)


def time_too_skewed(seconds: float, **when: Unpack[When]) -> Answer:
    """403 RequestTimeTooSkewed from a server whose clock is ahead by `seconds`."""
    body = _xml("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
    return Answer(403, body=body, headers=_HEADERS, date_offset=seconds, **when)


def wrong_region(region: str, **when: Unpack[When]) -> Answer:
    """301 PermanentRedirect that names the bucket's region."""
    body = _xml("PermanentRedirect", "The bucket must be addressed using another endpoint.")
    return Answer(301, body=body, headers={**_HEADERS, "x-amz-bucket-region": region}, **when)


def error_in_200(code: str = "InternalError", **when: Unpack[When]) -> Answer:
    """200 OK whose body is an error, as CompleteMultipartUpload and CopyObject may answer; nothing was done."""
    return Answer(200, body=_xml(code, "We encountered an internal error. Please try again."), headers=_HEADERS, **when)


def garbage_status_line(**when: Unpack[When]) -> RawAnswer:
    """What answers does not speak HTTP."""
    return RawAnswer(b"\x16\x03\x01 what is this?\r\n\r\n", **when)


def oversize_header(size: int = 1 << 20, **when: Unpack[When]) -> RawAnswer:
    """A header of `size` bytes."""
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx-amz-meta-big: " + b"a" * size + b"\r\n\r\n"
    return RawAnswer(data, **when)


_HEADERS = {"Content-Type": "application/xml", "x-amz-request-id": "FAULTPROXY"}


def _xml(code: str, message: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message><RequestId>FAULTPROXY</RequestId></Error>"
    ).encode()
