"""Tags: names that may change, one object each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdatastore import errors
from fastdatastore.store import deletions, small, tags
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.collection.lease import Lease
from fastdatastore.store.collection.timing import STALE
from fastdatastore.store.delete import delete
from fastdatastore.store.ref import digest_of
from fastdatastore.store.tags import Tag
from tests.store.collection.places import Hands, age_by
from tests.store.collection.suites import OnDirectory, OnServers
from tests.store.collection.writing import make, put, stored
from tests.store.formats import GOLDEN

ONE, TWO = make("1"), make("2")
GOLDEN_TAG = Tag("b3:" + "01234567" * 8, "00112233445566778899aabbccddeeff")


@pytest.fixture
def lease(backend: Backend) -> Lease:
    made = Lease(backend, Hands())
    put(backend, made, ONE)
    put(backend, made, TWO)
    return made


def test_the_golden_tag_is_what_is_written_and_read() -> None:
    golden = (GOLDEN / "tag.json").read_bytes()
    assert tags.encode(GOLDEN_TAG) == golden
    assert tags.decode(golden, "x") == GOLDEN_TAG
    assert tags.decode(tags.encode(Tag(None, GOLDEN_TAG.change)), "x").ref is None


@pytest.mark.parametrize("name", ["a", "a/b", "100%", "a%2Fb", "ünï/日本/🦆", "x" * 250, "v1.2-rc_3 (old)"])
def test_a_name_and_its_place_belong_together(name: str) -> None:
    place = tags.object_name(name)
    assert place.count("/") == 1
    assert tags.tag_name(place) == name


@given(st.text(), st.text())
def test_no_two_names_share_a_place(one: str, two: str) -> None:
    try:
        assert (tags.object_name(one) == tags.object_name(two)) == (one == two)
    except errors.InvalidKey:
        return


@pytest.mark.parametrize(
    "name", ["", "/", "a/", "/a", "a//b", "..", "a/../b", ".a", "a\0", "a\\b", "x" * 256, "\ud800"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(errors.InvalidKey, match="cannot be the name of a tag"):
        tags.object_name(name)


@pytest.mark.parametrize("name", ["../x", "x" * 300, "\0" * 90])
def test_why_it_is_no_name_is_said_once(name: str) -> None:
    with pytest.raises(errors.InvalidKey) as caught:
        tags.object_name(name)
    said = str(caught.value)
    assert (said.count("cannot be"), said.count(repr(name[:100]))) == (1, 1)
    assert name[:101] not in said or len(name) <= 100
    with pytest.raises(errors.InvalidKey, match="must be a str, got int"):
        tags.object_name(7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b'{"format":1}', tags.encode(GOLDEN_TAG) + b" ", tags.encode(GOLDEN_TAG).replace(b"b3:", b"b4:")],
)
def test_what_is_no_tag_is_refused(data: bytes) -> None:
    with pytest.raises(errors.FormatError, match=r"^here: "):
        tags.decode(data, "here")


def test_a_later_format_is_named() -> None:
    with pytest.raises(errors.FormatError, match="format version 9; this release reads version 1"):
        tags.decode(b'{"format":9}', "here")


class TagSuite:
    """On any back end."""

    def test_a_tag_names_what_it_was_set_to_last(self, backend: Backend, lease: Lease) -> None:
        with pytest.raises(errors.TagNotFound, match="'run/1'"):
            tags.resolve(backend, "run/1")
        for artifact in (ONE, TWO, TWO):
            tags.set_tag(backend, lease, "run/1", artifact.ref)
            assert tags.resolve(backend, "run/1") == artifact.ref
        tags.delete_tag(backend, "run/1")
        tags.delete_tag(backend, "run/1")
        with pytest.raises(errors.TagNotFound):
            tags.resolve(backend, "run/1")

    def test_none_is_set_that_would_be_taken_for_a_ref(self, backend: Backend, lease: Lease) -> None:
        for name in ("b3:", "b3:foo", ONE.ref):
            with pytest.raises(errors.InvalidKey, match="it begins with 'b3:', and would be taken for a ref"):
                tags.set_tag(backend, lease, name, ONE.ref)
            small.write(backend, tags.object_name(name), tags.encode(Tag.to(TWO.ref)))  # by an earlier release
            assert tags.resolve(backend, name) == TWO.ref
        assert len(dict(tags.tags(backend))) == 3
        tags.delete_tag(backend, "b3:foo")
        with pytest.raises(errors.TagNotFound):
            tags.resolve(backend, "b3:foo")

    def test_all_tags_are_listed(self, backend: Backend, lease: Lease) -> None:
        expected = {"a": ONE.ref, "a/b": TWO.ref, "100%": ONE.ref}
        for name, ref in expected.items():
            tags.set_tag(backend, lease, name, ref)
        small.write(backend, tags.object_name("taken back"), tags.encode(Tag.to(None)))
        assert dict(tags.tags(backend)) == expected
        assert tags.tags_of(backend, ONE.ref) == ("100%", "a")

    def test_it_is_set_only_over_what_was_expected(self, backend: Backend, lease: Lease) -> None:
        with pytest.raises(errors.TagConflict, match="it names nothing"):
            tags.set_tag(backend, lease, "t", ONE.ref, expected=TWO.ref)
        tags.set_tag(backend, lease, "t", ONE.ref, expected=None)
        with pytest.raises(errors.TagConflict, match=f"it names {ONE.ref}, not nothing"):
            tags.set_tag(backend, lease, "t", TWO.ref, expected=None)
        tags.set_tag(backend, lease, "t", TWO.ref, expected=ONE.ref)
        assert tags.resolve(backend, "t") == TWO.ref

    def test_it_never_names_what_is_not_there(self, backend: Backend, lease: Lease) -> None:
        with pytest.raises(errors.ArtifactNotFound):
            tags.set_tag(backend, lease, "t", make("never put").ref)
        with pytest.raises(errors.TagNotFound):
            tags.resolve(backend, "t")

    def test_a_damaged_tag_is_said_and_the_others_are_listed(self, backend: Backend, lease: Lease) -> None:
        tags.set_tag(backend, lease, "t", ONE.ref)
        small.write(backend, "tags/bad", b"{}")
        small.write(backend, "tags/long", b"x" * 5000)
        found = dict(tags.tags(backend))
        assert found.pop("t") == ONE.ref
        assert [type(error) for error in found.values()] == [errors.FormatError] * 2
        with pytest.raises(errors.FormatError, match="tags/bad"):
            tags.resolve(backend, "bad")
        with pytest.raises(errors.FormatError):
            tags.tags_of(backend, ONE.ref)

    def test_a_tagged_artifact_is_not_deleted(self, backend: Backend, lease: Lease) -> None:
        tags.set_tag(backend, lease, "t", ONE.ref)
        with pytest.raises(errors.ArtifactTagged, match="the tag 't'"):
            delete(backend, ONE.ref)
        delete(backend, TWO.ref)
        delete(backend, TWO.ref)
        assert stored(backend, [ONE, TWO]) == [ONE]
        delete(backend, ONE.ref, force=True)
        assert stored(backend, [ONE, TWO]) == []
        assert list(backend.list(deletions.PREFIX)) == []

    def test_an_artifact_that_is_being_deleted_gets_no_tag(self, backend: Backend, lease: Lease) -> None:
        said = deletions.announce(backend, digest_of(ONE.ref))
        with pytest.raises(errors.TagConflict, match="is being deleted"):
            tags.set_tag(backend, lease, "t", ONE.ref)
        backend.delete([said])
        tags.set_tag(backend, lease, "t", ONE.ref)

    def test_a_tag_that_cannot_be_read_may_be_of_what_is_to_be_deleted(self, backend: Backend, lease: Lease) -> None:
        small.write(backend, "tags/later", b'{"format":2}')
        with pytest.raises(errors.FormatError, match="knows version 2"):
            delete(backend, ONE.ref)
        assert stored(backend, [ONE]) == [ONE]
        assert list(backend.list(deletions.PREFIX)) == []

    def test_what_is_no_ref_is_refused(self, backend: Backend, lease: Lease) -> None:
        for wrong in ("x", "b3:" + "A" * 64, "b3:../../x"):
            with pytest.raises(errors.InvalidRef):
                tags.set_tag(backend, lease, "t", wrong)
            with pytest.raises(errors.InvalidRef):
                tags.set_tag(backend, lease, "t", ONE.ref, expected=wrong)
            with pytest.raises(errors.InvalidRef):
                delete(backend, wrong)


class TestInDirectory(OnDirectory, TagSuite):
    """A directory."""

    def test_an_announcement_is_void_after_a_while(self, backend: LocalBackend, lease: Lease) -> None:
        said = deletions.announce(backend, digest_of(ONE.ref))
        age_by(backend, said, STALE + 1)
        tags.set_tag(backend, lease, "t", ONE.ref)
        assert tags.resolve(backend, "t") == ONE.ref


class TestOnServers(OnServers, TagSuite):
    """Servers."""
