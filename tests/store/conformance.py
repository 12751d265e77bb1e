"""What every back end of a store must do, whatever it keeps its objects in: one suite, run by test_backends.py."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from fastdatastore import errors
from fastdatastore.store.backends.base import Backend, Found, Read, Write, check_name

MIB = 1 << 20
LARGE = random.Random(5).randbytes(16 * MIB)

# Not one of them may reach a back end's storage: what would leave the root, what a file system or S3 reads otherwise.
NO_NAMES = [
    "",
    "/",
    "/etc/passwd",
    "a/",
    "a//b",
    ".",
    "..",
    "../outside",
    "a/../../outside",
    "a/./b",
    ".partial/x",
    ".lock",
    "a\\..\\b",
    "a\0b",
    "a\nb",
    "a\x7f",
    "\ud800",
    "x" * 256,
    "é" * 128,
    "a/" * 512 + "b",
]
HOSTILE_NAMES = [
    "a b",
    "a+b%2Fc%00",
    "ünï/日本/🦆",
    "q?x=1&y#z",
    "'\"<&>;|`$()*[]{}~^",
    "a..b/c..",
    "x" * 255,
    "COM1/nul",
    "-rf",
]


def put(backend: Backend, name: str, *pieces: Any, **condition: Any) -> Write:
    """Stores one object. Raises its error."""
    (item,) = backend.write([Write(name, pieces, **condition)])
    if item.error is not None:
        raise item.error
    return item


def fetch(backend: Backend, name: str) -> tuple[bytes, Read]:
    """Reads one object. Raises the item's error."""
    place = bytearray()

    def grown(size: int) -> tuple[bytearray, ...]:
        place.extend(bytes(size))
        return (place,)

    (item,) = backend.read([Read(name, grown)])
    if item.error is not None:
        raise item.error
    return bytes(place), item


def get(backend: Backend, name: str) -> bytes:
    return fetch(backend, name)[0]


def names(backend: Backend, prefix: str = "") -> list[str]:
    return sorted(entry.name for entry in backend.list(prefix))


def sizes(backend: Backend, names: Iterable[str]) -> dict[str, int | None]:
    """Of what is there; None for what is not."""
    return {name: there.size if isinstance(there, Found) else None for name, there in backend.found(names)}


@dataclass(kw_only=True)
class Numbered(Write):
    """Callers put on an item what it is to them."""

    number: int


class BackendConformance:
    """Subclasses give the fixtures: `backend`, empty; `another` makes a further one of the same place."""

    @pytest.fixture
    def many(self) -> int:
        """How many small objects a back end takes within a test's time."""
        return 5000

    # ---- names ----

    @pytest.mark.parametrize("name", NO_NAMES)
    def test_what_is_no_name_is_refused_everywhere(self, backend: Backend, name: str) -> None:
        with pytest.raises(errors.InvalidKey):
            put(backend, name, b"x")
        with pytest.raises(errors.InvalidKey):
            get(backend, name)
        with pytest.raises(errors.InvalidKey):
            list(backend.found([name]))
        with pytest.raises(errors.InvalidKey):
            backend.delete([name])
        assert names(backend) == []

    @pytest.mark.parametrize("prefix", ["a", "/", "../", "a//", "a/../"])
    def test_what_is_no_prefix_is_refused(self, backend: Backend, prefix: str) -> None:
        with pytest.raises(errors.InvalidKey):
            list(backend.list(prefix))

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_any_name_comes_back_as_it_was(self, backend: Backend, name: str) -> None:
        assert check_name(name) == name
        put(backend, name, name.encode())
        assert get(backend, name) == name.encode()
        assert names(backend) == [name]
        assert sizes(backend, [name]) == {name: len(name.encode())}
        backend.delete([name])
        assert names(backend) == []

    # ---- reading and writing ----

    @pytest.mark.parametrize("size", [0, 1, 31, 32, 200_000, 3 * MIB + 1, 16 * MIB])
    def test_an_object_of_any_size_comes_back(self, backend: Backend, size: int) -> None:
        stored = put(backend, "a/b", LARGE[:size])
        content, item = fetch(backend, "a/b")
        assert content == LARGE[:size]
        assert item.size == size
        assert item.etag == stored.etag != ""

    @pytest.mark.parametrize("size", [40_000, 9 * MIB])
    def test_bytes_are_gathered_from_pieces_and_scattered_into_places(self, backend: Backend, size: int) -> None:
        content = memoryview(LARGE)[:size]
        put(backend, "pieces", content[:32], b"", content[32:1000], bytearray(content[1000:]))
        header, first, rest = bytearray(32), bytearray(17), bytearray(size - 49)
        (item,) = backend.read([Read("pieces", lambda size: (header, first, bytearray(), rest))])
        assert item.error is None
        assert header + first + rest == content

    def test_very_many_pieces_and_places_are_taken(self, backend: Backend) -> None:
        content = LARGE[: 2500 * 200]
        pieces = tuple(memoryview(content)[at : at + 200] for at in range(0, len(content), 200))
        put(backend, "many", *pieces)
        places = tuple(bytearray(200) for _ in pieces)
        (item,) = backend.read([Read("many", lambda size: places)])
        assert item.error is None
        assert b"".join(places) == content

    @pytest.mark.parametrize("size", [1000, 2 * MIB])
    def test_places_of_another_size_are_an_error(self, backend: Backend, size: int) -> None:
        put(backend, "a", LARGE[:size])
        for room in (size - 1, size + 1):
            (item,) = backend.read([Read("a", lambda size, room=room: (bytearray(room),))])  # type: ignore[misc]
            assert isinstance(item.error, errors.ConfigurationError)

    @pytest.mark.parametrize("size", [1000, 2 * MIB])
    def test_what_place_raises_is_the_error_of_its_item_alone(self, backend: Backend, size: int) -> None:
        put(backend, "a", LARGE[:size])

        def refuse(size: int) -> tuple[bytearray, ...]:
            raise MemoryError(f"no room for {size}")

        room = bytearray(size)
        items = list(backend.read([Read("a", refuse), Read("a", lambda size: (room,))]))
        assert sorted(type(item.error).__name__ for item in items) == ["MemoryError", "NoneType"]
        assert room == LARGE[:size]

    def test_an_object_is_replaced_whole(self, backend: Backend) -> None:
        first = put(backend, "a", LARGE[:5000])
        second = put(backend, "a", b"new")
        assert get(backend, "a") == b"new"
        assert first.etag != second.etag

    def test_a_missing_object_is_the_error_of_its_item_alone(self, backend: Backend) -> None:
        put(backend, "there/x", b"1")
        room = bytearray(1)
        asked = [Read("gone", lambda size: (room,)), Read("there/x", lambda size: (room,)), Read("there", tuple_of)]
        found = {item.name: item.error for item in backend.read(asked)}
        assert found["there/x"] is None
        assert isinstance(found["gone"], errors.NotFound)
        assert isinstance(found["there"], errors.NotFound)

    @pytest.mark.servers("null", "seaweedfs")
    def test_thousands_of_small_objects(self, backend: Backend, many: int) -> None:
        content = {f"few/{n % 256:02x}/{n}": str(n).encode() for n in range(many)}
        written = list(backend.write(Write(name, (data,)) for name, data in content.items()))
        assert [item.error for item in written if item.error] == []
        assert {item.name for item in written} == content.keys()
        places = {name: bytearray(len(data)) for name, data in content.items()}
        asked = (Read(name, lambda size, name=name: (places[name],)) for name in content)  # type: ignore[misc]
        assert [item.error for item in backend.read(asked) if item.error] == []
        assert places == content
        assert sizes(backend, content) == {name: len(data) for name, data in content.items()}
        assert names(backend) == sorted(content)
        assert names(backend, "few/07/") == sorted(name for name in content if name.startswith("few/07/"))
        backend.delete(content)
        assert names(backend) == []

    def test_items_are_drawn_as_there_is_room(self, backend: Backend) -> None:
        drawn = 0

        def endless() -> Iterator[Write]:
            nonlocal drawn
            while True:
                drawn += 1
                yield Write(f"n/{drawn}", (LARGE[: 2 * MIB],))

        results = backend.write(endless())
        for _ in range(3):
            assert next(results).error is None
        assert drawn < 1000
        results.close()
        assert 3 <= len(names(backend)) <= drawn

    @pytest.mark.parametrize("size", [20, 2 * MIB])
    def test_who_has_nothing_at_the_moment_is_asked_again(self, backend: Backend, size: int) -> None:
        back: list[str] = []

        def one_after_the_other(make: Callable[[str], Any]) -> Iterator[Any]:
            yield None
            for number in range(3):
                yield make(f"n/{number}")
                while len(back) <= number:  # what is on the way goes on, though nothing follows
                    yield None

        for item in backend.write(one_after_the_other(lambda name: Write(name, (LARGE[:size],)))):
            assert item.error is None
            back.append(item.name)
        assert back == names(backend)
        places = [bytearray(size) for _ in back]
        back.clear()
        for read in backend.read(one_after_the_other(lambda name: Read(name, lambda size: (places[len(back)],)))):
            assert read.error is None
            back.append(read.name)
        assert places == [LARGE[:size]] * 3

    def test_who_never_has_anything_ends_the_call_all_the_same(self, backend: Backend) -> None:
        nothings: list[Write | None] = [None] * 3
        assert list(backend.write(nothings)) == []
        nothing: list[Read | None] = [None] * 3
        assert list(backend.read(nothing)) == []

    def test_a_watcher_ends_the_call(self, backend: Backend) -> None:
        def stop() -> None:
            raise InterruptedError

        put(backend, "a", LARGE)
        with pytest.raises(InterruptedError):
            list(backend.read([Read("a", tuple_of)], stop))
        with pytest.raises(InterruptedError):
            list(backend.write([Write("b", (LARGE,))], stop))
        with pytest.raises(InterruptedError):
            list(backend.found(["a"], stop))
        with pytest.raises(InterruptedError):
            list(backend.list("", stop))
        with pytest.raises(InterruptedError):
            backend.delete(["a"], stop)
        with pytest.raises(InterruptedError):
            backend.now(stop)

    def test_a_watcher_is_called_while_nothing_ends(self, backend: Backend) -> None:
        calls: list[None] = []

        def wait() -> Iterator[None]:
            while len(calls) < 5:
                yield None

        assert list(backend.write(wait(), lambda: calls.append(None))) == []

    def test_an_item_is_the_callers_own(self, backend: Backend) -> None:
        items = [Numbered(f"a/{n}", (b"x",), number=n) for n in range(5)]
        assert sorted(item.number for item in backend.write(items)) == [0, 1, 2, 3, 4]

    # ---- what is there ----

    def test_what_is_there_is_found_with_its_size(self, backend: Backend) -> None:
        put(backend, "a/one", b"1")
        put(backend, "a/none", b"")
        asked = ["a/one", "a/none", "a/gone", "gone/x", "a", "a/one/x"]
        expected = {"a/one": 1, "a/none": 0, "a/gone": None, "gone/x": None, "a": None, "a/one/x": None}
        assert sizes(backend, asked) == expected

    def test_what_is_there_is_found_with_its_age(self, backend: Backend) -> None:
        put(backend, "a", b"1")
        before = backend.now()
        ((_, first),) = backend.found(["a"])
        assert isinstance(first, Found)
        assert 0 <= first.age <= 30
        (entry,) = backend.list("")
        assert abs(entry.modified - first.modified) <= 1  # a header has no fractions
        assert abs(before - entry.modified - first.age) <= 2
        while backend.now() < before + 2:
            time.sleep(0.1)
        ((_, later),) = backend.found(["a"])
        assert isinstance(later, Found)
        assert later.age > first.age
        put(backend, "a", b"1")
        ((_, again),) = backend.found(["a"])
        assert isinstance(again, Found)
        assert again.age < later.age

    def test_an_empty_place_is_no_error(self, backend: Backend) -> None:
        assert list(backend.found(["a"])) == [("a", None)]
        assert names(backend) == names(backend, "a/b/") == []
        backend.delete(["a", "a/b"])
        with pytest.raises(errors.NotFound):
            get(backend, "a")

    def test_a_listing_tells_name_size_etag_and_time(self, backend: Backend) -> None:
        before = backend.now()
        etags = {name: put(backend, name, LARGE[:size]).etag for name, size in (("a/x", 5), ("a/b/y", 0), ("ab/z", 7))}
        after = backend.now()
        entries = {entry.name: entry for entry in backend.list("")}
        assert {name: entry.size for name, entry in entries.items()} == {"a/x": 5, "a/b/y": 0, "ab/z": 7}
        assert {name: entry.etag for name, entry in entries.items()} == etags
        assert all(before - 1 <= entry.modified <= after + 1 for entry in entries.values())
        assert names(backend, "a/") == ["a/b/y", "a/x"]
        assert names(backend, "gone/") == []

    def test_to_delete_again_is_no_error(self, backend: Backend) -> None:
        put(backend, "a/x", b"1")
        put(backend, "a/y", b"1")
        backend.delete(["a/x", "a/gone", "gone/x"])
        backend.delete(["a/x"])
        backend.delete([])
        assert names(backend) == ["a/y"]

    # ---- conditions ----

    def test_a_write_says_one_condition_or_none(self) -> None:
        with pytest.raises(errors.ConfigurationError):
            Write("a", (b"",), if_match="")
        with pytest.raises(errors.ConfigurationError):
            Write("a", (b"",), if_match="x", if_none_match=True)

    @pytest.mark.parametrize("size", [10, 9 * MIB])
    def test_if_none_match_stores_only_where_there_is_nothing(self, backend: Backend, size: int) -> None:
        put(backend, "tags/a", LARGE[:size], if_none_match=True)
        with pytest.raises(errors.Modified):
            put(backend, "tags/a", b"second", if_none_match=True)
        assert get(backend, "tags/a") == LARGE[:size]

    def test_if_match_stores_only_over_what_was_seen(self, backend: Backend) -> None:
        first = put(backend, "tags/a", b"first").etag
        _, read = fetch(backend, "tags/a")
        second = put(backend, "tags/a", b"second", if_match=read.etag).etag
        with pytest.raises(errors.Modified):
            put(backend, "tags/a", b"third", if_match=first)
        assert get(backend, "tags/a") == b"second"
        put(backend, "tags/a", b"fourth", if_match=second)
        backend.delete(["tags/a"])
        with pytest.raises(errors.Modified):
            put(backend, "tags/a", b"fifth", if_match=second)
        assert names(backend) == []

    def test_of_many_who_create_one_name_exactly_one_wins(
        self, backend: Backend, another: Callable[[], Backend]
    ) -> None:
        for turn in range(5):
            name = f"tags/{turn}"

            def create(each: Backend, number: int, name: str = name) -> None:
                put(each, name, str(number).encode(), if_none_match=True)

            outcomes = at_once(another, 8, create)
            winners = [number for number, error in enumerate(outcomes) if error is None]
            assert len(winners) == 1
            assert all(error is None or isinstance(error, errors.Modified) for error in outcomes)
            assert get(backend, name) == str(winners[0]).encode()

    def test_a_counter_that_many_raise_by_if_match_counts_all(
        self, backend: Backend, another: Callable[[], Backend]
    ) -> None:
        put(backend, "tags/count", b"0")

        def count(each: Backend, number: int) -> None:
            for _ in range(5):
                while True:
                    content, read = fetch(each, "tags/count")
                    try:
                        put(each, "tags/count", str(int(content) + 1).encode(), if_match=read.etag)
                        break
                    except errors.Modified:
                        pass

        assert at_once(another, 4, count) == [None] * 4
        assert get(backend, "tags/count") == b"20"

    def test_readers_see_the_old_or_the_new_never_a_mixture(
        self, backend: Backend, another: Callable[[], Backend]
    ) -> None:
        contents = [bytes([n]) * (300_000 + n * 1000) for n in range(4)]
        put(backend, "a", contents[0])

        def act(each: Backend, number: int) -> None:
            for turn in range(8):
                if number % 2:
                    put(each, "a", contents[(number + turn) % 4])
                else:
                    assert get(each, "a") in contents

        assert at_once(another, 4, act) == [None] * 4


def tuple_of(size: int) -> tuple[bytearray, ...]:
    return (bytearray(size),)


def at_once(
    another: Callable[[], Backend], count: int, act: Callable[[Backend, int], object]
) -> list[Exception | None]:
    """Lets so many threads act on a back end of their own; the exceptions, in order."""
    outcomes: list[Exception | None] = [None] * count
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        each = another()
        barrier.wait(20)
        try:
            act(each, number)
        except Exception as error:
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
