"""Where a store is: URLs, and store.json, which the first put makes and everyone checks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import errors
from fastdatastore.store import canonical, opening, parameters
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.backends.s3 import S3Backend
from fastdatastore.testing.servers import RunningServer
from tests.store.conformance import get, names, put
from tests.support.clients import client_of

URL = "file:///somewhere"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket", "s3://bucket/ at"),
        ("s3://bucket/", "s3://bucket/ at"),
        ("s3://bucket/a/prefix", "s3://bucket/a/prefix/ at"),
        ("S3://bucket/a/prefix//", "s3://bucket/a/prefix/ at"),
        ("s3://bucket/what?is=this#x", "s3://bucket/what?is=this#x/ at"),
        ("file:///data/my%20store", "/data/my store"),
        ("file://localhost/data/", "/data"),
    ],
)
def test_a_url_names_a_bucket_or_a_directory(url: str, shown: str) -> None:
    assert shown in repr(opening.open_backend(url))


def test_a_bucket_has_nothing_to_flush() -> None:
    opening.open_backend("s3://bucket", durable=True)
    with pytest.raises(errors.ConfigurationError, match=r"durable is for file:// URLs"):
        opening.open_backend("s3://bucket", durable=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bucket/prefix",
        "/data/store",
        "data",
        "https://bucket.s3.amazonaws.com/x",
        "gs://bucket/x",
        "file:relative",
        "file://host/data",
        "file:///data?x=1",
        "s3://",
        "s3:///x",
        "s3://no bucket/x",
        "s3://bucket/a//b",
        "s3://bucket/../x",
        "s3://bucket/.hidden",
        None,
        7,
        Path("/data"),
    ],
)
def test_anything_else_is_refused_in_words(url: Any) -> None:
    with pytest.raises(errors.ConfigurationError):
        opening.open_backend(url)


def test_of_a_path_the_error_says_how_a_url_is_made() -> None:
    with pytest.raises(errors.ConfigurationError, match=r"as_uri\(\)"):
        opening.open_backend("/data/store")


def test_a_directory_takes_no_connection() -> None:
    with pytest.raises(errors.ConfigurationError, match="endpoint_url is for s3:// URLs"):
        opening.open_backend(URL, endpoint_url="https://minio.example", client=None)


def test_an_unknown_argument_is_no_connection() -> None:
    wrong: dict[str, Any] = {"endpoint": "https://minio.example"}
    with pytest.raises(TypeError, match="endpoint"):
        opening.open_backend("s3://bucket", **wrong)


def test_the_connection_is_the_one_of_S3() -> None:
    backend = opening.open_backend("s3://bucket", endpoint_url="http://127.0.0.1:9", storage_class="STANDARD_IA")
    assert isinstance(backend, S3Backend)
    assert backend.client.options.storage_class == "STANDARD_IA"
    assert "http://127.0.0.1:9" in repr(backend)


class StoresAreFoundAndMade:
    """On each back end; subclasses give the fixtures."""

    def test_where_no_store_is_that_is_said(self, backend: Backend) -> None:
        with pytest.raises(errors.StoreNotFound, match=URL):
            opening.find(backend, URL)
        assert names(backend) == []

    def test_the_first_one_makes_it_and_all_others_find_it(
        self, backend: Backend, another: Callable[[], Backend]
    ) -> None:
        made = opening.find_or_make(backend, URL)
        content = get(backend, parameters.NAME)
        assert opening.find(another(), URL) == opening.find_or_make(another(), URL) == made
        assert get(backend, parameters.NAME) == content

    def test_of_several_who_make_it_at_once_one_wins(self, another: Callable[[], Backend]) -> None:
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(opening.find_or_make(another(), URL))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len(set(found)) == 1

    @pytest.mark.parametrize("version", [0, 2, 99])
    def test_a_store_of_another_version_is_refused_and_left_alone(self, backend: Backend, version: int) -> None:
        content = canonical.encode({"format": version, "new": ["things"]})
        put(backend, parameters.NAME, content)
        with pytest.raises(errors.FormatError, match=f"version {version}"):
            opening.find(backend, URL)
        with pytest.raises(errors.FormatError, match=f"version {version}"):
            opening.find_or_make(backend, URL)
        assert get(backend, parameters.NAME) == content

    @pytest.mark.parametrize("content", [b"", b"{}", b"not JSON", b" " * 5000, bytes(1 << 20)])
    def test_what_is_no_store_json_is_refused(self, backend: Backend, content: bytes) -> None:
        put(backend, parameters.NAME, content)
        with pytest.raises(errors.FormatError, match=r"store\.json"):
            opening.find_or_make(backend, URL)


class TestLocal(StoresAreFoundAndMade):
    @pytest.fixture
    def another(self, tmp_path: Path) -> Callable[[], Backend]:
        return lambda: LocalBackend(tmp_path / "store", durable=False)

    @pytest.fixture
    def backend(self, another: Callable[[], Backend]) -> Backend:
        return another()


class TestS3(StoresAreFoundAndMade):
    @pytest.fixture
    def another(self, s3_server: RunningServer, bucket: str) -> Callable[[], Backend]:
        return lambda: S3Backend(client_of(s3_server), bucket, "a/store")

    @pytest.fixture
    def backend(self, another: Callable[[], Backend]) -> Backend:
        return another()

    def test_a_missing_bucket_is_another_error(self, s3_server: RunningServer) -> None:
        backend = S3Backend(client_of(s3_server), "no-such-bucket-here")
        with pytest.raises(errors.BucketNotFound):
            opening.find_or_make(backend, URL)
