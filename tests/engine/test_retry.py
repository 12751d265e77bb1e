"""What an attempt's outcome means, and how long to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdatastore import _native, errors
from fastdatastore._native import Report
from fastdatastore.auth.credentials import Credentials
from fastdatastore.engine import retry
from fastdatastore.engine.delete import DeleteJob
from fastdatastore.engine.request import Request, Terms
from fastdatastore.engine.retry import Kind, Mend


def _request(attempts: int = 1, expected: tuple[int, ...] = (), method: str = "GET") -> Request:
    request = Request(DeleteJob("bucket", "key"), "GetObject", method, "bucket", "key", expected=expected)
    request.attempts = attempts
    return request


def _report(
    status: int = 0, content: bytes = b"", outcome: int = _native.DONE, reused: bool = False, region: str = ""
) -> Report:
    headers = {"x-amz-request-id": "head"} | ({"x-amz-bucket-region": region} if region else {})
    return Report(
        (
            *(None, False, outcome, status, headers, len(content), content, 0, 0, 0, reused),
            *(0.0, 0.0, 0.0, "127.0.0.1:1", "why it failed"),
        )
    )


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>said</Message><RequestId>body</RequestId></Error>".encode()


@pytest.mark.parametrize(
    ("status", "code", "kind", "error"),
    [
        (403, "AccessDenied", Kind.FATAL, errors.AccessDenied),
        (403, "SignatureDoesNotMatch", Kind.FATAL, errors.BadCredentials),
        (403, "InvalidAccessKeyId", Kind.FATAL, errors.BadCredentials),
        (403, "RequestTimeTooSkewed", Kind.MEND, errors.BadCredentials),
        (403, "", Kind.FATAL, errors.AccessDenied),
        (404, "NoSuchKey", Kind.FATAL, errors.NotFound),
        (404, "NoSuchBucket", Kind.FATAL, errors.BucketNotFound),
        (404, "", Kind.FATAL, errors.NotFound),
        (409, "ConditionalRequestConflict", Kind.RETRY, errors.Modified),
        (412, "PreconditionFailed", Kind.FATAL, errors.Modified),
        (416, "InvalidRange", Kind.FATAL, errors.InvalidRange),
        (400, "KeyTooLongError", Kind.FATAL, errors.InvalidRequest),
        (400, "RequestTimeout", Kind.RETRY, errors.ServerError),
        (400, "BadDigest", Kind.RETRY, errors.IntegrityError),
        (400, "ExpiredToken", Kind.MEND, errors.ExpiredCredentials),
        (301, "PermanentRedirect", Kind.FATAL, errors.InvalidRequest),
        (429, "", Kind.RETRY, errors.Throttled),
        (500, "InternalError", Kind.RETRY, errors.ServerError),
        (502, "", Kind.RETRY, errors.ServerError),
        (503, "SlowDown", Kind.RETRY, errors.Throttled),
        (504, "", Kind.RETRY, errors.ServerError),
    ],
)
def test_a_refusal_has_its_own_error(status: int, code: str, kind: Kind, error: type[errors.S3Error]) -> None:
    verdict = retry.judge(_request(3), _report(status, _error(code) if code else b""))
    assert verdict.kind is kind
    assert type(verdict.error) is error
    assert (verdict.error.status, verdict.error.code, verdict.error.attempts) == (status, code, 3)
    assert verdict.error.request_id == ("body" if code else "head")
    assert verdict.throttled == (error is errors.Throttled)
    assert str(verdict.error).startswith("GetObject s3://bucket/key: ")
    assert "What to do: " in str(verdict.error)


@pytest.mark.fault(28)
@pytest.mark.fault(32)
@pytest.mark.parametrize(
    ("token", "region", "mend"),
    [
        ("", "", None),
        ("", "us-east-1", None),
        ("", "eu-west-7", Mend.REGION),
        ("token", "", Mend.CREDENTIALS),
        ("token", "us-east-1", Mend.CREDENTIALS),
        ("token", "eu-west-7", Mend.REGION),
    ],
)
def test_a_400_to_HEAD_is_put_right_by_what_it_lets_on(token: str, region: str, mend: Mend | None) -> None:
    credentials = Credentials("KEY", "secret", token)
    report = _report(400, region=region)
    for method in ("HEAD", "GET"):
        request = _request(method=method)
        request.terms = Terms(credentials, "us-east-1", 0, True, "host", "/", "")
        verdict = retry.judge(request, report)
        assert verdict.mend is (mend if method == "HEAD" else None)
        assert verdict.kind is (Kind.MEND if verdict.mend else Kind.FATAL)
        assert type(verdict.error) is errors.InvalidRequest
        assert verdict.region == (region if verdict.mend is Mend.REGION else "")


@pytest.mark.fault(20)
@pytest.mark.parametrize(
    ("outcome", "kind", "error"),
    [
        (_native.RESOLVE_FAILED, Kind.RETRY, errors.ConnectError),
        (_native.CONNECT_FAILED, Kind.RETRY, errors.ConnectError),
        (_native.TLS_FAILED, Kind.FATAL, errors.TlsError),
        (_native.DISCONNECTED, Kind.RETRY, errors.ConnectionLost),
        (_native.STALLED, Kind.RETRY, errors.ConnectionLost),
        (_native.PROTOCOL_ERROR, Kind.RETRY, errors.ProtocolError),
        (_native.NO_MEMORY, Kind.RETRY, errors.ConnectionLost),
    ],
)
def test_a_broken_attempt_has_its_own_error(outcome: int, kind: Kind, error: type[errors.S3Error]) -> None:
    verdict = retry.judge(_request(), _report(outcome=outcome))
    assert verdict.kind is kind
    assert type(verdict.error) is error
    assert "why it failed" in str(verdict.error)


@pytest.mark.parametrize("status", [200, 204, 206])
def test_success_is_an_answer(status: int) -> None:
    assert retry.judge(_request(), _report(status)).kind is Kind.ANSWER
    assert retry.judge(_request(), _report(status, outcome=_native.CUT)).kind is Kind.ANSWER


def test_an_expected_status_is_an_answer() -> None:
    assert retry.judge(_request(expected=(404,)), _report(404)).kind is Kind.ANSWER


@pytest.mark.fault(13)
def test_a_stale_connection_costs_no_attempt_but_not_for_ever() -> None:
    request = _request()
    report = _report(outcome=_native.DISCONNECTED, reused=True)
    assert retry.judge(request, report).kind is Kind.FREE_RETRY
    request.stale = retry.STALE_LIMIT
    assert retry.judge(request, report).kind is Kind.RETRY


def test_a_connection_that_broke_in_a_reply_was_not_stale() -> None:
    assert retry.judge(_request(), _report(200, outcome=_native.DISCONNECTED, reused=True)).kind is Kind.RETRY


@given(st.integers(1, 10_000), st.booleans())
def test_waits_are_bounded(attempts: int, throttled: bool) -> None:
    assert 0 <= retry.delay(attempts, throttled) <= retry.CAP


def test_waits_grow_and_differ() -> None:
    waits = [sum(retry.delay(n, False) for _ in range(200)) / 200 for n in (1, 4, 7)]
    assert waits[0] < waits[1] < waits[2]
    assert len({retry.delay(3, False) for _ in range(10)}) > 1
    assert sum(retry.delay(1, True) for _ in range(200)) > sum(retry.delay(1, False) for _ in range(200))


@given(st.binary(max_size=100), st.integers(300, 599))
def test_any_refusal_is_judged(content: bytes, status: int) -> None:
    verdict = retry.judge(_request(), _report(status, content))
    assert verdict.kind is not Kind.ANSWER
    assert verdict.error is not None
