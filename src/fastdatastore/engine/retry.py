"""What an attempt's outcome means: an answer, something to try again (when?), or an error for good (which?)."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from fastdatastore import errors
from fastdatastore.engine import diagnosis, xml
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.request import Request

if TYPE_CHECKING:
    from fastdatastore._native import Report

# Exponential back-off with full jitter ("Exponential Backoff And Jitter", AWS architecture blog): the n-th wait is
# uniform in 0 … min(CAP, BASE * 2ⁿ) seconds. A server that asks to slow down gets a longer base.
BASE = 0.1
THROTTLED_BASE = 0.5
CAP = 10.0

# An endpoint that nobody answers at is most often a wrong one: say so soon.
CONNECT_ATTEMPTS = 4
RESOLVE_ATTEMPTS = 3
# A connection that the server closed while it idled costs no attempt, but not for ever.
STALE_LIMIT = 8

PROXY_DENIES = 407  # "Proxy Authentication Required"; any other 4xx to CONNECT is a refusal, too


class Kind(Enum):
    ANSWER = "answer"
    RETRY = "retry"
    FREE_RETRY = "free retry"  # at once, and not counted
    MEND = "mend"  # after putting right what the server complains of: credentials, clock or region
    FATAL = "fatal"


class Mend(Enum):
    CREDENTIALS = "credentials"  # they have expired
    CLOCK = "clock"  # ours differs from the server's
    REGION = "region"  # the bucket lives in another one


@dataclass(frozen=True)
class Verdict:
    kind: Kind
    error: errors.S3Error | None = None
    throttled: bool = False
    limit: int | None = None  # most attempts for this kind of failure, if lower than the usual
    mend: Mend | None = None  # for Kind.MEND
    region: str = ""  # for Mend.REGION


_ANSWER = Verdict(Kind.ANSWER)

_THROTTLE_CODES = {"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests"}
# What arrived is not what was sent: S3 and most say BadDigest; Ceph and MinIO have names of their own for it.
_DAMAGED_CODES = {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
# Another write or delete of the key is under way, or an earlier attempt of this one; the next reply tells whether the
# condition holds. "On a 409 failure you should retry the upload": PutObject, Amazon S3 API reference.
CONFLICT = "ConditionalRequestConflict"
_RETRY_CODES = {"RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted", CONFLICT} | _DAMAGED_CODES
# MinIO says InvalidTokenId.
_EXPIRED_CODES = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "InvalidTokenId"}

_BY_CODE: dict[str, type[errors.S3Error]] = {
    "NoSuchKey": errors.NotFound,
    "NoSuchVersion": errors.NotFound,
    "NoSuchBucket": errors.BucketNotFound,
    "NoSuchUpload": errors.InvalidRequest,
    "AccessDenied": errors.AccessDenied,
    "AllAccessDisabled": errors.AccessDenied,
    "InvalidAccessKeyId": errors.BadCredentials,
    "SignatureDoesNotMatch": errors.BadCredentials,
    "RequestTimeTooSkewed": errors.BadCredentials,
    "InvalidRange": errors.InvalidRange,
    "PreconditionFailed": errors.Modified,
    CONFLICT: errors.Modified,
    **dict.fromkeys(_DAMAGED_CODES, errors.IntegrityError),
}
_BY_STATUS: dict[int, type[errors.S3Error]] = {
    401: errors.BadCredentials,
    403: errors.AccessDenied,
    404: errors.NotFound,
    412: errors.Modified,
    416: errors.InvalidRange,
}
_BY_OUTCOME: dict[int, type[errors.S3Error]] = {
    _native.RESOLVE_FAILED: errors.ConnectError,
    _native.CONNECT_FAILED: errors.ConnectError,
    _native.TLS_FAILED: errors.TlsError,
    _native.DISCONNECTED: errors.ConnectionLost,
    _native.STALLED: errors.ConnectionLost,
    _native.PROTOCOL_ERROR: errors.ProtocolError,
    _native.CANCELLED: errors.ConnectionLost,
    _native.NO_MEMORY: errors.ConnectionLost,
}
_HINTS = {
    "NoSuchUpload": "put it again: somebody, or a lifecycle rule, has ended this multipart upload",
    "RequestTimeTooSkewed": "set this machine's clock: it differs from the server's by more than 15 minutes",
    "InvalidAccessKeyId": "check the access key, and that it belongs to this endpoint",
}


def make_error(
    cls: type[errors.S3Error],
    message: str,
    request: Request,
    report: Report,
    code: str = "",
    request_id: str = "",
    hint: str = "",
) -> errors.S3Error:
    """An error that says which request failed, how often and for how long."""
    return cls(
        message,
        operation=request.operation,
        bucket=request.bucket,
        key=request.key,
        status=report.status,
        code=code,
        request_id=request_id or report.headers.get("x-amz-request-id", ""),
        attempts=request.attempts,
        elapsed=time.monotonic() - request.started if request.started else 0.0,
        hint=hint or _HINTS.get(code, ""),
    )


def is_transient(code: str) -> bool:
    """Whether what S3 says by this code may be different the next time."""
    return code in _THROTTLE_CODES or code in _RETRY_CODES


def error_of_code(code: str, message: str, request: Request, report: Report) -> errors.S3Error:
    """The error that a code stands for which is not the whole answer, but concerns one of many keys."""
    cls = _BY_CODE.get(code, errors.InvalidRequest)
    if is_transient(code):
        cls = errors.Throttled if code in _THROTTLE_CODES else errors.ServerError
    return make_error(cls, message or code, request, report, code)


def judge(request: Request, report: Report) -> Verdict:
    """What is to be done after this attempt."""
    if report.outcome not in (_native.DONE, _native.CUT):
        return _judge_transport(request, report)
    if report.status // 100 == 2 or report.status in request.expected:
        return _ANSWER
    if request.expected_codes and xml.error_of(report.content)[0] in request.expected_codes:
        return _ANSWER
    return _judge_refusal(request, report)


def _judge_transport(request: Request, report: Report) -> Verdict:
    if report.status == PROXY_DENIES or (report.outcome == _native.CONNECT_FAILED and report.status // 100 == 4):
        return Verdict(Kind.FATAL, _refused_by_proxy(request, report))
    hint = ""
    if report.outcome in (_native.RESOLVE_FAILED, _native.CONNECT_FAILED):
        hint = diagnosis.of_connection(request, has_connected=False)
    elif report.outcome in (_native.DISCONNECTED, _native.STALLED) and not (report.status or report.reused):
        hint = diagnosis.of_connection(request, has_connected=True)
    why = (report.outcome == _native.CANCELLED and request.given_up) or report.why
    error = make_error(_BY_OUTCOME[report.outcome], why, request, report, hint=hint)
    if report.outcome == _native.TLS_FAILED:
        return Verdict(Kind.FATAL, error)
    if report.outcome == _native.RESOLVE_FAILED:
        return Verdict(Kind.RETRY, error, limit=RESOLVE_ATTEMPTS)
    if report.outcome == _native.CONNECT_FAILED:
        return Verdict(Kind.RETRY, error, limit=CONNECT_ATTEMPTS)
    if report.outcome == _native.PROTOCOL_ERROR:
        return Verdict(Kind.RETRY, error, limit=2)
    if report.outcome == _native.DISCONNECTED and report.reused and not report.status and request.stale < STALE_LIMIT:
        return Verdict(Kind.FREE_RETRY, error)
    return Verdict(Kind.RETRY, error)


def refusal(request: Request, report: Report, cls: type[errors.S3Error] | None = None) -> errors.S3Error:
    """The error that the server's answer stands for, as one of class `cls` if that is given."""
    code, message, request_id = xml.error_of(report.content)
    said = message or f"the server answered {code or 'HTTP ' + str(report.status)}"
    if report.status == 400 and not code and report.content:
        # Not in S3's words: most often http:// on a port of https.
        cls, said = errors.ProtocolError, f"{said}: {report.content[:200].decode('utf-8', 'replace').strip()!r}"
    cls = cls or _BY_CODE.get(code) or _BY_STATUS.get(report.status, errors.InvalidRequest)
    hint = diagnosis.of_signature(request, report) if code == "SignatureDoesNotMatch" else ""
    return make_error(cls, said, request, report, code, request_id, hint)


def _refused_by_proxy(request: Request, report: Report) -> errors.S3Error:
    said = report.why or "it wants a user and a password, or other ones"
    return make_error(
        errors.ProxyError, f"the proxy refuses: {said}", request, report, hint=diagnosis.of_proxy(request)
    )


def _judge_refusal(request: Request, report: Report) -> Verdict:
    code, _, _ = xml.error_of(report.content)
    status = report.status

    def error(cls: type[errors.S3Error] | None = None) -> errors.S3Error:
        return refusal(request, report, cls)

    if status == PROXY_DENIES:
        return Verdict(Kind.FATAL, _refused_by_proxy(request, report))
    if code in _EXPIRED_CODES:
        return Verdict(Kind.MEND, error(errors.ExpiredCredentials), mend=Mend.CREDENTIALS)
    if code == "InvalidAccessKeyId" and request.terms is not None and request.terms.credentials.session_token:
        # Temporary keys that have ended are unknown to servers that have forgotten them.
        return Verdict(Kind.MEND, error(), mend=Mend.CREDENTIALS)
    if code == "RequestTimeTooSkewed":
        return Verdict(Kind.MEND, error(), mend=Mend.CLOCK)
    if status == 429 or code in _THROTTLE_CODES or status == 503:
        return Verdict(Kind.RETRY, error(errors.Throttled), throttled=True)
    if (status >= 500 and status != 501) or code in _RETRY_CODES:
        return Verdict(Kind.RETRY, error(_BY_CODE.get(code, errors.ServerError)))
    if status // 100 == 3 or code == "AuthorizationHeaderMalformed":
        return _judge_redirect(request, report)
    if status == 400 and request.method == "HEAD" and not code:
        return _judge_bare(request, report)
    return Verdict(Kind.FATAL, error())


def _judge_redirect(request: Request, report: Report) -> Verdict:
    region = report.headers.get("x-amz-bucket-region") or xml.field_of(report.content, "Region")
    moved = refusal(request, report, errors.InvalidRequest)
    where = region or report.headers.get("location", "")
    moved.hint = f"the bucket lives elsewhere ({where}): set AWS_REGION or the endpoint to that"
    return Verdict(Kind.MEND if region else Kind.FATAL, moved, mend=Mend.REGION, region=region)


def _judge_bare(request: Request, report: Report) -> Verdict:
    """A 400 to HEAD, which has no body to say why: the token has expired, or the bucket lives in another region."""
    terms = request.terms
    if terms is not None and report.headers.get("x-amz-bucket-region", terms.region) != terms.region:
        return _judge_redirect(request, report)
    refused = refusal(request, report)
    if terms is None or not terms.credentials.session_token:
        return Verdict(Kind.FATAL, refused)
    refused.hint = "most likely the session token has expired: get new credentials"
    return Verdict(Kind.MEND, refused, mend=Mend.CREDENTIALS)


def delay(attempts: int, throttled: bool) -> float:
    """Seconds to wait before the next attempt, after `attempts` of them."""
    base = THROTTLED_BASE if throttled else BASE
    return random.uniform(0.0, min(CAP, base * 2.0 ** min(attempts - 1, 30)))
