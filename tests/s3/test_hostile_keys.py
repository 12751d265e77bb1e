"""Keys that trip parsers, shells and file systems come back as they are, on every server that can hold them."""

from __future__ import annotations

import random

import pytest

from fastdatastore import S3
from fastdatastore.errors import InvalidKey, InvalidRequest, NotFound
from fastdatastore.testing.servers import RunningServer

KEYS = {
    "two slashes": "a//b",
    "dot segment": "a/./b",
    "leading dot segment": "./a",
    "dot dot segment": "a/../b",
    "leading dot dot": "../a",
    "trailing slash": "trail/",
    "space": "a b",
    "spaces at the ends": "a/ b /c",
    "plus": "a+b+c",
    "percent": "100%/%41%2F%zz",
    "query": "a?b=c",
    "fragment": "a#b",
    "ampersand": "a&b=1&c",
    "semicolon and comma": "a;b,c",
    "quotes": 'it\'s "quoted"',
    "angle brackets": "<a>&lt;/a",
    "backslash": "a\\b",
    "colon and at": "a:b@c",
    "asterisk and braces": "a*{b}[c]|d^e`f~g$h!i(j)",
    "emoji": "🌍/🎉.bin",
    "umlaut composed": "gr\u00fc\u00dfe",
    "umlaut decomposed": "gru\u0308\u00dfe",
    "tab": "a\tb",
    "newline": "a\nb",
    "carriage return": "a\rb",
    "NUL": "a\0b",
    "control character": "a\x01b",
    "delete character": "a\x7fb",
    "no-break space": "a\u00a0b",
    "right-to-left override": "a\u202eb",
    "1,024 bytes": "/".join(["k" * 200] * 5) + "/" + "e" * 19,
    "1,024 bytes of emoji": "/".join(["🌍" * 60] * 4) + "/" + "🌍" * 15,
}
assert len(KEYS["1,024 bytes"].encode()) == 1024
assert len(KEYS["1,024 bytes of emoji"].encode()) == 1024

HELD = "held"
FOLDED = "folded"  # it reads by this key, but was stored and is listed under another
REFUSED = "refused"  # an error at once
EMPTIED = "emptied"  # taken without an error, and the bytes are gone

_DOT_SEGMENTS = dict.fromkeys(("dot segment", "leading dot segment", "dot dot segment", "leading dot dot"), REFUSED)

# What each server cannot hold, as seen on the versions that we test with. A change here is news: write it down.
LIMITS: dict[str, dict[str, str]] = {
    # Its keys are paths of its filer: "//" and "\\" become "/", "trail/" makes a directory and drops the content.
    "seaweedfs": {
        "two slashes": FOLDED,
        "backslash": FOLDED,
        "trailing slash": EMPTIED,
        "NUL": REFUSED,
        **_DOT_SEGMENTS,
    },
    # XMinioInvalidObjectName and XMinioInvalidResourceName: its keys are paths of the disk.
    "minio": {"two slashes": REFUSED, "NUL": REFUSED, **_DOT_SEGMENTS},
    "ceph": {"NUL": REFUSED},
    # Its URL patterns do not match a line break: HTTP 404 without a word.
    "moto": {"newline": REFUSED},
    "null": {},
}


def _outcome(s3: S3, bucket: str, key: str) -> str:
    value = f"value of {key!r}".encode()
    try:
        s3.put(key, value)
    except (InvalidRequest, NotFound):
        assert s3.list_recursive() == []
        return REFUSED
    got = s3.get(key)
    if got.blob == b"":
        return EMPTIED
    assert got.blob == value
    assert got.url == f"s3://{bucket}/{key}"
    assert s3.info(key).size == len(value)
    listed = [found.url.removeprefix(f"s3://{bucket}/") for found in s3.list_recursive()]
    return HELD if listed == [key] else FOLDED


@pytest.mark.fault("keys")
@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_held_or_the_server_is_known_not_to(s3: S3, bucket: str, s3_server: RunningServer, name: str) -> None:
    assert _outcome(s3, bucket, KEYS[name]) == LIMITS[s3_server.name].get(name, HELD)


def test_many_hostile_keys_at_once(s3: S3, bucket: str, s3_server: RunningServer) -> None:
    limits = LIMITS[s3_server.name]
    keys = [key for name, key in KEYS.items() if name not in limits]
    s3.put_many([(key, key) for key in keys])
    assert [found.text for found in s3.get_many(keys)] == keys
    listed = [found.url.removeprefix(f"s3://{bucket}/") for found in s3.list_recursive()]
    assert sorted(listed) == sorted(keys)


def test_a_large_object_under_a_hostile_key(s3: S3) -> None:
    key = "a b+c%41?x=1&y#z/🌍 'q\"/" + "k" * 200
    content = random.Random(3).randbytes(17 << 20)
    s3.put(key, content)  # multipart: the key is in every request's path beside a query
    assert s3.get(key).blob == content


@pytest.mark.fault("keys")
@pytest.mark.parametrize(
    "key", ["k" * 1025, "🌍" * 257, "", "\ud800"], ids=["1,025 bytes", "1,028 bytes", "empty", "surrogate"]
)
def test_a_key_that_s3_cannot_take_never_leaves_this_machine(s3: S3, key: str) -> None:
    with pytest.raises(InvalidKey):
        s3.put(key, b"x")
    with pytest.raises(InvalidKey):
        s3.get(key)
    with pytest.raises(InvalidKey):
        s3.info(key)
