"""S3's XML replies, read with bounds: no document type, no entities of its own, a size limit."""

from __future__ import annotations

import json
import re
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

MAX_BYTES = 16 << 20
MAX_ERROR_BYTES = 64 << 10

# References to control characters, which XML 1.0 does not have: &#1; &#x1F; but not tab, line feed, carriage return.
_IMPOSSIBLE = re.compile(rb"&#(?:0*(?:[0-8]|1[124-9]|2\d|3[01])|[xX]0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F]));")


class BadXml(ValueError):
    """Not the XML that S3 sends."""


class _NoDoctype(TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise BadXml("a document type is not allowed")


def parse(content: bytes, lenient: bool = False) -> Element:
    """The root element, tags without their namespace.

    Args:
        lenient: Take references to characters that XML does not have for U+FFFD.

    Raises:
        BadXml: Not well-formed, over 16 MiB, or with a document type (the way to entity bombs).
    """
    if len(content) > MAX_BYTES:
        raise BadXml(f"{len(content):,} bytes are over the limit of {MAX_BYTES:,}")
    # Expat has expanded internal entities by the time that the builder hears of them: so none may be declared.
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise BadXml("a document type is not allowed")
    if lenient and b"&#" in content:
        content = _IMPOSSIBLE.sub(b"&#xFFFD;", content)
    parser = XMLParser(target=_NoDoctype())
    try:
        parser.feed(content)
        root: Element = parser.close()
    except (ParseError, ValueError, LookupError) as error:
        raise BadXml(str(error)) from None
    for element in root.iter():
        _, _, element.tag = element.tag.rpartition("}")
    return root


def text(element: Element, path: str, default: str = "") -> str:
    """The text at `path` below the element."""
    return element.findtext(path) or default


def field_of(content: bytes, path: str) -> str:
    """The text at `path` of a document that may be none: then "" it is."""
    try:
        return text(parse(content), path)
    except BadXml:
        return ""


def error_of(content: bytes) -> tuple[str, str, str]:
    """(Code, Message, RequestId) of an error document; empty strings where it is none."""
    if content.startswith(b"{"):
        return _error_of_json(content)
    try:
        root = parse(content)
    except BadXml:
        return "", "", ""
    if root.tag != "Error":
        found = root.find("Error")
        if found is None:
            return "", "", ""
        root = found
    return text(root, "Code"), text(root, "Message"), text(root, "RequestId")


def _error_of_json(content: bytes) -> tuple[str, str, str]:
    """Ceph answers so what it refuses before it knows that it is S3 which is spoken."""
    try:
        said = json.loads(content[:MAX_ERROR_BYTES])
    except (ValueError, RecursionError):
        return "", "", ""
    code, message, request_id = (said.get(name) for name in ("Code", "Message", "RequestId"))
    return str(code or ""), str(message or ""), str(request_id or "")
