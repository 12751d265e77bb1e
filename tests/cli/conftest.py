"""`fds` as a user runs it: a process, with a temporary directory of its own that must be empty afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.cli.leftovers import leftovers

Fds: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A directory with a short name: the path of a Unix socket has room for 107 bytes."""
    directory = Path(tempfile.mkdtemp(prefix="fdst-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def fds_environment(short_tmp: Path) -> dict[str, str]:
    """The environment of an `fds` process: no AWS variables, no files of the user's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {
        "TMPDIR": str(short_tmp),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture
def fds(fds_environment: dict[str, str], short_tmp: Path) -> Fds:
    """Runs `fds` with these arguments (and environment variables) to its end; it must leave nothing behind."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fastdatastore.cli", *arguments]
        done = subprocess.run(
            command, env=fds_environment | variables, capture_output=True, text=True, encoding="utf-8", timeout=100
        )
        assert "Traceback" not in done.stderr
        assert leftovers(short_tmp) == []
        return done

    return run
