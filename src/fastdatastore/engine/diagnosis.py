"""Why a server may have refused a request, from what it lets on: the hints of errors that have several causes."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from fastdatastore.engine import xml
from fastdatastore.engine.planes.local import local as _native

if TYPE_CHECKING:
    from fastdatastore._native import Report
    from fastdatastore.engine.request import Request, Terms

# Servers allow 15 minutes; a clock that is off by a third of that is worth a word.
SKEW_SECONDS = 300.0


def of_signature(request: Request, report: Report) -> str:
    """What most likely made the signature another one than the server computes."""
    terms = request.terms
    if terms is None:
        return _SECRET
    skew = _skew(report.headers.get("date", ""), terms.clock_offset)
    if abs(skew) > SKEW_SECONDS:
        ahead = "behind" if skew > 0 else "ahead of"
        return f"set this machine's clock: it is {abs(skew) / 60:,.0f} minutes {ahead} the server's"
    if altered := _altered(terms, request, report):
        return altered
    hints = [_SECRET]
    if via := report.headers.get("via"):
        hints.append(f"the reply came through a proxy ({via[:100]}): see that it leaves Host, path and headers alone")
    elif terms.proxy:
        hints.append(f"requests go through the proxy in {terms.proxy}: see that it leaves Host, path and headers alone")
    else:
        hints.append("see that nothing between here and the server rewrites requests")
    if terms.prefix == "/" and request.bucket and not terms.host.endswith(_AWS):
        hints.append(_PATH_STYLE)
    return "; ".join(hints)


def of_connection(request: Request, has_connected: bool) -> str:
    """What to look at when nothing answers; "" where the usual hint says it."""
    terms = request.terms
    if terms is None:
        return ""
    if terms.proxy:
        return f"check the proxy that {terms.proxy} names, or name the endpoint's host in NO_PROXY"
    if has_connected:  # many servers hang up on http where they want https; some wait for more
        wanted = "speaks https://, not http://" if terms.tls else "wants http://, not https://"
        return f"check the network path to the endpoint (AWS_ENDPOINT_URL), and that it {wanted}"
    if terms.prefix == "/" and request.bucket and not terms.host.endswith(_AWS):
        return f"check the endpoint (AWS_ENDPOINT_URL); {_PATH_STYLE}"
    if terms.tls:
        return "check the endpoint (AWS_ENDPOINT_URL), its port, that it speaks https:// at all, and the network"
    return ""


def of_proxy(request: Request) -> str:
    """What to do when a proxy refuses."""
    if request.terms is None or not request.terms.proxy:
        return "what answers is no S3 server but a proxy: check the endpoint, or name the proxy in HTTPS_PROXY"
    return f"check the user and password in {request.terms.proxy}, or name the endpoint's host in NO_PROXY"


_AWS = (".amazonaws.com", ".amazonaws.com.cn")
_PATH_STYLE = "if the server knows no bucket names in host names, set addressing_style = path in ~/.aws/config"
_SECRET = "check AWS_SECRET_ACCESS_KEY (or the profile), and that it belongs to this access key"


def _skew(date: str, clock_offset: int) -> float:
    """Seconds that the server's clock is ahead of the one that was signed with; 0.0 where it does not tell."""
    try:
        return parsedate_to_datetime(date).timestamp() - (time.time() + clock_offset)
    except ValueError:
        return 0.0


def _altered(terms: Terms, request: Request, report: Report) -> str:
    """AWS and some others repeat the canonical request that they have computed with: what in it is not ours?"""
    lines = xml.field_of(report.content, "CanonicalRequest").split("\n")
    if len(lines) < 4:
        return ""
    headers = dict(line.split(":", 1) for line in lines[3:] if ":" in line)
    host = headers.get("host", terms.host).strip()
    if host != terms.host:
        return (
            f"the request was signed for the host {terms.host!r} and reached the server with {host!r}: let the proxy "
            "or load balancer in between pass the Host header on, or give the server's own name as the endpoint"
        )
    path = _native.uri_encode(terms.prefix + request.key, True)
    if request.key and lines[1] != path:
        return (
            f"the request was signed for the path {path!r} and reached the server with {lines[1]!r}: see that nothing "
            "in between rewrites paths"
        )
    return ""
