"""S3's XML replies, read with bounds: no document type, no entities of its own, a size limit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

MAX_BYTES = 16 << 20
MAX_ERROR_BYTES = 64 << 10

# References to control characters, which XML 1.0 does not have: &#1; &#x1F; but not tab, line feed, carriage return.
_IMPOSSIBLE = re.compile(rb"&#(?:0*(?:[0-8]|1[124-9]|2\d|3[01])|[xX]0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F]));")


class BadXml(ValueError):
    """Not the XML that S3 sends."""


class _Tree(TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        _refuse_doctype()


class Records:
    """A document that lists things: a dict for each, of the texts in it, without a tree of elements.

    Of a page of 1,000 keys that would have 7,000, and the garbage collector, which is set off by so many, looks at all
    of the process each time: half of the time that a long listing took.

    Attributes:
        root: The root's tag; no tag has its namespace.
        records: Of each element with one of the wanted `tags`, by its tag, in their order.
        fields: What is in none of them.
    """

    def __init__(self, *tags: str) -> None:
        self.root = ""
        self.fields: dict[str, str] = {}
        self.records: dict[str, list[dict[str, str]]] = {tag: [] for tag in tags}
        self._open = self.fields
        self._texts: list[str] = []
        self._names: dict[str, str] = {}  # without the namespace
        self.data: Callable[[str], None] = self._texts.append

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._texts.clear()
        name = self._names.get(tag)
        if name is None:
            name = self._names[tag] = _local(tag)
            self.root = self.root or name
        if name in self.records:
            self._open = {}

    def end(self, tag: str) -> None:
        name = self._names[tag]
        if name in self.records:
            self.records[name].append(self._open)
            self._open = self.fields
        else:
            self._open[name] = "".join(self._texts)

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        _refuse_doctype()

    def close(self) -> Records:
        return self


def _refuse_doctype() -> None:
    raise BadXml("a document type is not allowed")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def parse(content: bytes) -> Element:
    """The root element, tags without their namespace.

    Raises:
        BadXml: Not well-formed, over 16 MiB, or with a document type (the way to entity bombs).
    """
    root: Element = _read(content, _Tree())
    for element in root.iter():
        element.tag = _local(element.tag)
    return root


def parse_records(content: bytes, *tags: str, lenient: bool = False) -> Records:
    """The elements with one of these tags.

    Args:
        lenient: Take references to characters that XML does not have for U+FFFD.

    Raises:
        BadXml: See `parse`.
    """
    if lenient and b"&#" in content:
        content = _IMPOSSIBLE.sub(b"&#xFFFD;", content)
    records: Records = _read(content, Records(*tags))
    return records


def _read(content: bytes, target: _Tree | Records) -> Any:
    if len(content) > MAX_BYTES:
        raise BadXml(f"{len(content):,} bytes are over the limit of {MAX_BYTES:,}")
    # Expat has expanded internal entities by the time that the builder hears of them: so none may be declared.
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        _refuse_doctype()
    parser = XMLParser(target=target)
    try:
        parser.feed(content)
        return parser.close()
    except (ParseError, ValueError, LookupError) as error:
        raise BadXml(str(error)) from None


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
