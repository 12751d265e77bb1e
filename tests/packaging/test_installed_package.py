"""What an installation of the package holds, however it was installed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from importlib import import_module, metadata
from pathlib import Path

import pytest

import fastdatastore

PACKAGE = Path(fastdatastore.__file__).parent

needs_native = pytest.mark.skipif(
    os.environ.get("FDS_BUILD_NATIVE") == "0", reason="installed without native code (FDS_BUILD_NATIVE=0)"
)


def test_the_version_is_stated_once() -> None:
    assert fastdatastore.__version__ == metadata.version("fastdatastore")


def test_type_checkers_find_the_types() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_metaflow_finds_the_top_level_packages() -> None:
    assert "fastdatastore" in (metadata.distribution("fastdatastore").read_text("top_level.txt") or "").split()


@needs_native
def test_one_native_module_serves_every_version_of_python() -> None:
    name = Path(str(import_module("fastdatastore._native").__file__)).name
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        assert name == f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    else:
        assert name == "_native.abi3.so"


@needs_native
def test_the_null_server_can_be_executed() -> None:
    assert os.access(PACKAGE / "testing" / "servers" / "bin" / "fds-nullserver", os.X_OK)


def test_fds_tells_its_version() -> None:
    fds = Path(sys.executable).with_name("fds")
    done = subprocess.run([fds, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert fastdatastore.__version__ in done.stdout
