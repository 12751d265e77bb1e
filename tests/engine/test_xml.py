"""S3's XML is read with bounds; what is not XML is an error or nothing, never a crash or a bomb."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastdatastore.engine import xml

ENTITY_BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<Error><Code>&b;</Code></Error>"""


def test_namespaces_are_dropped() -> None:
    root = xml.parse(b'<R xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><A><B>x</B></A><C/></R>')
    assert root.tag == "R"
    assert xml.text(root, "A/B") == "x"
    assert xml.text(root, "C") == ""
    assert xml.text(root, "D", "0") == "0"


def test_records_are_the_wanted_elements_and_fields_all_else() -> None:
    found = xml.parse_records(
        b"""<R xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><K>root&apos;s</K>
            <A>\n <K>1 &amp; more</K> <O><I>owner</I></O><E/></A> <B><K>b</K></B> <A/><A><K>2</K></A> <Z>last</Z>
        </R>""",
        *("A", "B", "C"),
    )
    assert found.root == "R"
    first, second, third = found.records["A"]
    assert (first["K"], first["I"], first["E"]) == ("1 & more", "owner", "")
    assert (second, third) == ({}, {"K": "2"})
    assert found.records["B"] == [{"K": "b"}]
    assert found.records["C"] == []
    assert (found.fields["K"], found.fields["Z"]) == ("root's", "last")


@pytest.mark.fault(44)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<a>",
        b"<a></b>",
        b"Bad Gateway",
        ENTITY_BOMB,
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        ENTITY_BOMB.decode().encode("utf-16"),
        b"<?xml version='1.0' encoding='no-such'?><a/>",
        b"<a>\xff</a>",
        b"<a>\x00</a>",
    ],
    ids=["empty", "cut", "crossed", "text", "bomb", "external", "UTF-16 bomb", "encoding", "bytes", "NUL"],
)
def test_what_is_not_s3s_xml_is_refused(content: bytes) -> None:
    with pytest.raises(xml.BadXml):
        xml.parse(content)
    with pytest.raises(xml.BadXml):
        xml.parse_records(content)
    assert xml.error_of(content) == ("", "", "")


@pytest.mark.fault(44)
def test_a_reply_over_the_limit_is_refused() -> None:
    with pytest.raises(xml.BadXml, match="limit"):
        xml.parse(b"<a>" + b" " * xml.MAX_BYTES + b"</a>")


@given(st.binary(max_size=200))
@example(b"<Error><Code>\xed\xa0\x80</Code></Error>")
def test_any_bytes_are_parsed_or_refused(content: bytes) -> None:
    for parse in (xml.parse, xml.parse_records):
        with contextlib.suppress(xml.BadXml):
            parse(b"<a>" + content + b"</a>")
    code, message, request_id = xml.error_of(content)
    assert isinstance(code + message + request_id, str)


@pytest.mark.parametrize(
    ("content", "read"),
    [
        (b'{"Code":"InvalidRequest","Message":"no","RequestId":"tx1","HostId":"h"}', ("InvalidRequest", "no", "tx1")),
        (b'{"Code":"InvalidRequest","Message":""}', ("InvalidRequest", "", "")),
        (b'{"Code":', ("", "", "")),
        (b'{"a":' * 100_000, ("", "", "")),
        (b"{}", ("", "", "")),
    ],
    ids=["whole", "bare", "cut", "deep", "empty"],
)
def test_cephs_errors_in_json_are_read(content: bytes, read: tuple[str, str, str]) -> None:
    assert xml.error_of(content) == read


def test_errors_are_read_wherever_they_stand() -> None:
    inner = "<Error><Code>NoSuchKey</Code><Message>m</Message><RequestId>r</RequestId></Error>"
    assert xml.error_of(inner.encode()) == ("NoSuchKey", "m", "r")
    assert xml.error_of(f"<R>{inner}</R>".encode()) == ("NoSuchKey", "m", "r")
    assert xml.error_of(b"<Error/>") == ("", "", "")
    assert xml.error_of(b"<ListBucketResult/>") == ("", "", "")


def test_references_that_xml_does_not_have_are_replaced_when_asked() -> None:
    content = b"<a>x&#x01;&#2;&#x1F;&#31;&#9;&#xA;&#13;&#38;&#x20;</a>"
    with pytest.raises(xml.BadXml):
        xml.parse_records(content)
    found = xml.parse_records(content, lenient=True)
    assert found.fields == {"a": "x\ufffd\ufffd\ufffd\ufffd\t\n\r& "}
