"""Makes one attempt: signs, sends, receives, and says how it ended."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from fastdatastore.engine.planes.portable import checksums, constants
from fastdatastore.engine.planes.portable.attempt import Attempt, Failed
from fastdatastore.engine.planes.portable.host import Host, Response, serving
from fastdatastore.engine.planes.portable.signing import signed_headers
from fastdatastore.engine.planes.portable.uri import query_string, uri_encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_BYTES_A_WRITE = 256 << 10
# More than this is hashed on another thread, lest the loop stand still meanwhile.
_HASHED_AT_ONCE = 256 << 10


async def exchange(attempt: Attempt, host: Host) -> None:
    """Until the attempt has its outcome. Raises asyncio.CancelledError when it is called off."""
    serving.set(attempt)
    response: Response | None = None
    try:
        response = await _ask(attempt, host)
        _keep_head(attempt, response)
        if attempt.pauses:
            await _wait_for_target(attempt)
        attempt.outcome = await _receive(attempt, response)
    except Failed as failure:
        attempt.outcome, attempt.why = failure.outcome, failure.why
    except (TimeoutError, aiohttp.ClientError, HttpProcessingError, OSError) as error:
        attempt.outcome, attempt.why = _outcome_of(attempt, error)
        if isinstance(error, aiohttp.ClientHttpProxyError):
            attempt.status = error.status
    except MemoryError:
        attempt.outcome, attempt.why = constants.NO_MEMORY, "out of memory for the request or its response"
    finally:
        attempt.let_go(response)


async def _ask(attempt: Attempt, host: Host) -> Response:
    order = attempt.order
    if order.body_size > _HASHED_AT_ONCE:
        headers, target = await asyncio.to_thread(_head, attempt)
    else:
        headers, target = _head(attempt)
    body = _send(attempt) if order.body_size else None
    return await host.request(order.method, target, headers, body)


def _head(attempt: Attempt) -> tuple[list[tuple[str, str]], str]:
    """The signed headers, and the path and query as they are sent."""
    order = attempt.order
    headers = [("host", order.endpoint.host_header), *order.headers]
    if order.upload_crc != constants.NO_CRC:
        for view in order.body:
            attempt.crc = checksums.crc(order.upload_crc, view, attempt.crc)
        headers.append(checksums.header_of(order.upload_crc, attempt.crc))
    target = uri_encode(order.path, True)
    if order.query:
        target += "?" + query_string(order.query)
    headers = signed_headers(order, order.endpoint.url + target, headers)
    if order.body_size:
        headers.append(("content-length", str(order.body_size)))
    return headers, target


async def _send(attempt: Attempt) -> AsyncIterator[memoryview]:
    """The body, piece by piece: the next is asked for when the last has gone to the kernel, but for 64 KiB."""
    for view in attempt.order.body:
        for start in range(0, len(view), _BYTES_A_WRITE):
            size = min(_BYTES_A_WRITE, len(view) - start)
            attempt.piece = view[start : start + size]
            yield attempt.piece
            attempt.count_sent(size)


def _keep_head(attempt: Attempt, response: Response) -> None:
    attempt.first_byte = attempt.progress = time.monotonic()
    attempt.status = response.status
    for raw_name, raw_value in response.raw_headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        # RFC 9110, 5.3: equal names read as one list.
        attempt.headers[name] = f"{attempt.headers[name]}, {value}" if name in attempt.headers else value
    if "transfer-encoding" not in attempt.headers:
        attempt.content_length = response.content_length


async def _wait_for_target(attempt: Attempt) -> None:
    attempt.proceeding = asyncio.Event()
    attempt.progress = 0.0
    attempt.completions.put(attempt, finished=False)
    await attempt.proceeding.wait()
    attempt.progress = time.monotonic()


async def _receive(attempt: Attempt, response: Response) -> int:
    """The body, to where it belongs. Returns the outcome."""
    if attempt.order.method == "HEAD":
        return constants.DONE
    while True:
        if attempt.to_target and not attempt.has_room() and attempt.landed < (attempt.content_length or 0):
            return constants.CUT
        try:
            data = await response.content.readany()
        except (aiohttp.ClientError, OSError):
            attempt.land(_left_behind(response))
            raise
        except RuntimeError as error:  # aiohttp's, of a connection that was lost without a word
            raise Failed(constants.DISCONNECTED, f"the connection ended within the body: {error}") from None
        if not data:
            return constants.DONE
        attempt.progress = time.monotonic()
        if attempt.land(data):
            continue
        if attempt.to_target or (attempt.is_success and attempt.could_not_pause):
            return constants.CUT
        if attempt.is_success:
            raise Failed(constants.PROTOCOL_ERROR, "the response is larger than this request allows")
        return constants.DONE  # the first 64 KiB of an error say enough


def _left_behind(response: Response) -> bytes:
    """What had come before the connection was lost, so that it need not come again. read() only shows the error."""
    response.content._exception = None
    return bytes(response.content.read_nowait())


def _outcome_of(attempt: Attempt, error: BaseException) -> tuple[int, str]:
    why = str(error) or type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return constants.RESOLVE_FAILED, f"cannot resolve the host's name: {why}"
    # A server that is busy or going down hangs up, too: that is no verdict on its certificate.
    if isinstance(error, aiohttp.ClientSSLError) and not isinstance(error.__cause__, ssl.SSLEOFError):
        return constants.TLS_FAILED, f"TLS: {why}"
    if isinstance(error, aiohttp.ClientHttpProxyError):  # its text holds the proxy's URL, password and all
        return constants.CONNECT_FAILED, f"cannot connect: the proxy answers HTTP {error.status} {error.message}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return constants.CONNECT_FAILED, f"cannot connect: {why}"
    if not attempt.started:
        if isinstance(error, asyncio.TimeoutError):
            limit = attempt.order.endpoint.connect_timeout
            return constants.CONNECT_FAILED, f"cannot connect: no answer within {limit:.1f} s"
        return constants.CONNECT_FAILED, f"cannot connect: {why}"
    if isinstance(error, (aiohttp.ClientResponseError, HttpProcessingError)):
        return constants.PROTOCOL_ERROR, why
    if attempt.status:
        return constants.DISCONNECTED, f"the connection ended within the body: {why}"
    return constants.DISCONNECTED, f"the connection ended before a response: {why}"


def stalled(attempt: Attempt, now: float) -> bool:
    """Whether no byte has moved for too long."""
    return bool(attempt.progress) and now - attempt.progress > attempt.stall_timeout
