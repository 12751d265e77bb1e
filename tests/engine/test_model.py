"""Whatever is done to a bucket, in whatever order, it holds what a dict would hold; on a clean line and on a bad one.

The engine and the null server are the real ones. Parts are tiny, so that objects of a megabyte have many of them.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from fastdatastore import S3, S3GetObject, S3PutObject
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.config import KIB, Settings
from fastdatastore.engine import process, retry
from fastdatastore.engine.client import Client
from fastdatastore.engine.delete import DeleteJob
from fastdatastore.engine.get import INLINE_MAX
from fastdatastore.errors import IntegrityError, InvalidRange, NotFound, S3Error
from fastdatastore.testing.faults import Corrupt, Fault, FaultProxy, Fin, Reset, SwallowReply, answers
from fastdatastore.testing.servers import RunningServer, null
from tests.support.clients import FixedCredentials, s3_of

BUCKET = "model"
PART = 70_001
SIZE_MAX = 1000 * KIB
RANDOM = random.Random(23).randbytes(SIZE_MAX + 100)
MEMORY_CEILING = 800 * KIB  # so that some of the results of one call are files
ATTEMPTS = 12

# What is read from PLAIN keys by ranges has no checksum; a bit that turns on the way is only seen in WHOLE ones.
PLAIN = ("a", "a/b", "a/b/c", "a b+ü%2F", "z/~")
WHOLE = ("whole/1", "whole/2")
KEYS = (*PLAIN, *WHOLE)
MISSING = "never/there"

sizes = st.sampled_from(
    (0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 1, INLINE_MAX, INLINE_MAX + 1, 7 * PART, SIZE_MAX)
) | st.integers(0, SIZE_MAX)
contents = st.builds(lambda size, start: RANDOM[start : start + size], sizes, st.integers(0, 100))
numbers = st.integers(0, SIZE_MAX + 10)
ranges = st.tuples(st.none() | numbers, st.none() | st.integers(-SIZE_MAX, SIZE_MAX + 10))


@dataclass(frozen=True)
class TinyParts(Settings):
    """Settings without S3's limits."""

    part_size: int = PART
    memory_ceiling: int = MEMORY_CEILING
    stall_timeout: float = 5.0

    def __post_init__(self) -> None:
        """The null server takes parts of any size here."""


def client_to(server: RunningServer, url: str, **chosen: Any) -> Client:
    return Client(
        EndpointConfig(url, server.region, "", "path"),
        FixedCredentials(server.access_key, server.secret_key),
        TinyParts(**chosen),
    )


def slice_of(content: bytes, offset: int | None, length: int | None) -> bytes | None:
    """What a range of `content` holds; None where S3 says that it lies outside."""
    if offset is None and length is None:
        return content
    if length is not None and length < 0:
        return content[length:] or None
    first = offset or 0
    if length == 0:
        return b"" if first <= len(content) else None
    return content[first:][:length] or None


class Bucket(RuleBasedStateMachine):
    """Does to a prefix of the bucket what it does to `model`."""

    server: RunningServer
    prefixes = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, bytes] = {}
        self.prefix = f"{next(self.prefixes)}"
        self.open = contextlib.ExitStack()
        self.directory = Path(self.open.enter_context(tempfile.TemporaryDirectory()))
        self.direct = client_to(self.server, self.server.url)
        self.s3 = self.made()

    def made(self) -> S3:
        return self.open.enter_context(s3_of(self.direct, BUCKET, self.directory, self.prefix))

    # ---- puts ----

    def put(self, changes: dict[str, bytes], act: Callable[[], object]) -> None:
        act()
        self.model |= changes

    @rule(key=st.sampled_from(KEYS), content=contents, wrap=st.sampled_from((bytes, bytearray, memoryview, io.BytesIO)))
    def put_value(self, key: str, content: bytes, wrap: Callable[[bytes], Any]) -> None:
        self.put({key: content}, lambda: self.s3.put(key, wrap(content)))

    @rule(rows=st.dictionaries(st.sampled_from(KEYS), contents, max_size=4))
    def put_files(self, rows: dict[str, bytes]) -> None:
        objects = []
        for number, (key, content) in enumerate(rows.items()):
            path = self.directory / f"source-{number}"
            path.write_bytes(content)
            objects.append(S3PutObject(key, path=str(path)))
        self.put(rows, lambda: self.s3.put_many(objects))

    @rule(key=st.sampled_from(KEYS), content=contents)
    def put_what_is_missing(self, key: str, content: bytes) -> None:
        self.put({key: self.model.get(key, content)}, lambda: self.s3.put(key, content, overwrite=False))

    # ---- gets ----

    def check(self, act: Callable[[], object], wanted: object) -> None:
        assert act() == wanted

    @rule(key=st.sampled_from(KEYS))
    def get(self, key: str) -> None:
        self.check(lambda: self.s3.get(key, return_missing=True).blob, self.model.get(key))

    @rule(key=st.sampled_from(KEYS))
    def get_what_may_be_missing(self, key: str) -> None:
        if key not in self.model:
            with pytest.raises(NotFound):
                self.s3.get(key)

    @rule(key=st.sampled_from(PLAIN), place=ranges)
    def get_range(self, key: str, place: tuple[int | None, int | None]) -> None:
        def act() -> bytes | None:
            try:
                return self.s3.get(S3GetObject(key, *place), return_missing=True).blob
            except InvalidRange:
                return None

        self.check(act, slice_of(self.model[key], *place) if key in self.model else None)

    @rule(keys=st.lists(st.sampled_from((*KEYS, MISSING)), max_size=8))
    def get_many(self, keys: list[str]) -> None:
        self.check(
            lambda: [found.blob for found in self.s3.get_many(keys, return_missing=True)],
            [self.model.get(key) for key in keys],
        )

    @rule(key=st.sampled_from(KEYS))
    def get_file(self, key: str) -> None:
        def act() -> bytes | None:
            path = self.s3.get(key, return_missing=True).path
            return Path(path).read_bytes() if path is not None else None

        self.check(act, self.model.get(key))

    @rule(key=st.sampled_from(KEYS))
    def info(self, key: str) -> None:
        wanted = len(self.model[key]) if key in self.model else None
        self.check(lambda: self.s3.info(key, return_missing=True).size, wanted)

    # ---- the rest ----

    @rule(keys=st.sets(st.sampled_from(KEYS), max_size=3))
    def delete(self, keys: set[str]) -> None:
        self.direct.run_all([DeleteJob(BUCKET, f"{self.prefix}/{key}") for key in sorted(keys)])
        for key in keys:
            self.model.pop(key, None)

    @rule()
    def list_all(self) -> None:
        self.check(
            lambda: sorted((found.key, found.size) for found in self.s3.list_recursive()),
            sorted((key, len(content)) for key, content in self.model.items()),
        )

    @rule()
    def list_one_level(self) -> None:
        self.check(
            lambda: sorted((found.key, found.exists) for found in self.s3.list_paths()),
            sorted({(key.partition("/")[0], "/" not in key) for key in self.model}),
        )

    @invariant()
    def nothing_is_on_the_way(self) -> None:
        assert process.plane(self.direct.remote.plane, self.direct.settings).in_flight == 0

    def uploads_nobody_knows(self) -> int:
        """How many uploads may be left behind."""
        return 0

    def teardown(self) -> None:
        with self.open, contextlib.closing(self.server.client()) as client:
            left = self.uploads_nobody_knows()
            ends = time.monotonic() + 10
            while len(found := self.uploads(client)) > left and time.monotonic() < ends:
                time.sleep(0.05)  # aborts may go on in the background
        assert len(found) <= left

    def uploads(self, client: Any) -> list[Any]:
        """What the server knows of, begun and not ended."""
        return list(client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{self.prefix}/").get("Uploads", ()))


class BadLine(Bucket):
    """Between the bucket and its client things go wrong, by chance.

    A verb may fail then; but never are other bytes read than were stored, and a put has happened or it has not.
    """

    @initialize(seed=st.integers(0, 1 << 20))
    def weather(self, seed: int) -> None:
        self.proxy.add(*faults(seed))

    def made(self) -> S3:
        self.proxy = self.open.enter_context(FaultProxy(self.server.url))
        client = client_to(self.server, self.proxy.url, attempts=ATTEMPTS)
        return self.open.enter_context(s3_of(client, BUCKET, self.directory, self.prefix))

    def put(self, changes: dict[str, bytes], act: Callable[[], object]) -> None:
        try:
            super().put(changes, act)
        except S3Error:
            with s3_of(self.direct, BUCKET, self.directory, self.prefix) as s3:
                for key, content in changes.items():
                    found = s3.get(key, return_missing=True).blob
                    assert found in (content, self.model.get(key))
                    if found is not None:
                        self.model[key] = found

    def check(self, act: Callable[[], object], wanted: object) -> None:
        # Only a second damage of the same bytes is an error; all else is tried again often enough.
        with contextlib.suppress(IntegrityError):
            super().check(act, wanted)

    def uploads_nobody_knows(self) -> int:
        """Those whose name was lost on the way to us."""
        passed = self.proxy.wait_until_idle()
        return sum(each.operation == "CreateMultipartUpload" and bool(each.faults) for each in passed)


def faults(seed: int) -> Iterator[Fault]:
    """Often enough that most verbs meet one, seldom enough that few fail."""
    anywhere = range(SIZE_MAX // 4)
    yield Reset(probability=0.05, seed=seed)
    yield Reset(at=anywhere, probability=0.1, seed=seed + 1)
    yield Reset(at=anywhere, direction="request", probability=0.1, seed=seed + 2)
    yield Fin(at=anywhere, probability=0.1, seed=seed + 3)
    yield answers.internal_error(probability=0.05, seed=seed + 4)
    yield answers.slow_down(probability=0.1, seed=seed + 5, times=1)
    # A conditional or a final request whose reply is lost is the delicate one.
    for operation in ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"):
        yield SwallowReply(operation=operation, probability=0.1, seed=seed + 6)
    for operation in ("PutObject", "UploadPart"):
        yield Corrupt(at=range(PART), operation=operation, direction="request", probability=0.1, seed=seed + 7)
    yield Corrupt(at=range(PART), operation="GetObject", key="whole/", probability=0.2, seed=seed + 8)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """The null server, with parts as small as they come."""
    with null.start(buckets=[BUCKET], part_min=1) as started:
        yield started


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come soon."""
    monkeypatch.setattr(retry, "BASE", 0.001)
    monkeypatch.setattr(retry, "THROTTLED_BASE", 0.002)
    monkeypatch.setattr(retry, "CAP", 0.01)


def play(machine: type[Bucket], server: RunningServer, examples: int, steps: int) -> None:
    running = type(machine.__name__, (machine,), {"server": server})
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(running, settings=chosen)


def test_a_bucket_is_a_dict(server: RunningServer) -> None:
    play(Bucket, server, examples=20, steps=20)


def test_a_bucket_behind_a_bad_line_is_a_dict(server: RunningServer) -> None:
    play(BadLine, server, examples=10, steps=15)


@pytest.mark.long
@pytest.mark.parametrize("machine", [Bucket, BadLine])
def test_a_bucket_is_a_dict_for_long(server: RunningServer, machine: type[Bucket]) -> None:
    play(machine, server, examples=300, steps=50)
