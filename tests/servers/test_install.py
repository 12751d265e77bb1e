"""`python -m fastdatastore.testing.servers.install`, with a stand-in for Go: nothing is built."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from fastdatastore.testing.servers import install, minio


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _put_go_on_path(monkeypatch: pytest.MonkeyPatch, directory: Path, script: str) -> None:
    directory.mkdir()
    go = directory / "go"
    go.write_text(f"#!/bin/sh\n{script}\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


def test_install_minio_without_a_terminal_does_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert install.main(["minio"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert not minio.cached_executable().exists()


def test_install_minio_asks_go_for_the_pinned_version_and_caches_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    _put_go_on_path(monkeypatch, tmp_path / "bin", f'echo "$CGO_ENABLED $*" >> {asked}; touch "$GOBIN/minio"')
    assert install.main(["minio", "--yes"]) == 0
    assert install.main(["minio", "--yes"]) == 0
    assert asked.read_text() == f"0 install github.com/minio/minio@{minio.VERSION}\n"
    assert list(minio.cached_executable().parent.iterdir()) == [minio.cached_executable()]


def test_install_minio_that_fails_leaves_nothing_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _put_go_on_path(monkeypatch, tmp_path / "bin", 'touch "$GOBIN/half"; exit 1')
    assert install.main(["minio", "--yes"]) == 1
    assert "minio was not installed" in capsys.readouterr().err
    assert list(minio.cached_executable().parent.iterdir()) == []


def test_install_minio_without_go_says_what_to_get(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install.main(["minio", "--yes"]) == 1
    assert "needs Go 1.24 or newer" in capsys.readouterr().err
