"""What an installation of the package holds, however it was installed."""

from __future__ import annotations

import os
import shutil
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


PYENV = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
OTHER_PYTHONS = [found for minor in range(11, 20) if (found := shutil.which(f"python3.{minor}"))]
OTHER_PYTHONS += [str(found) for found in sorted(PYENV.glob("versions/*/bin/python3.1[1-9]"))]
_ON_ANOTHER_PYTHON = """
import sys
if sys.implementation.name == "cpython" and not getattr(sys, "_is_gil_enabled", lambda: True)():
    sys.exit("free-threaded")
from fastdatastore import _native
assert _native.crc(_native.CRC64NVME, b"123456789") == 0xAE8B14860A799888
plane = _native.Plane(1)
queue = _native.Queue(plane)
assert len(queue) == 0 and len(_native.BufferPool(0).take(5)) == 5
plane.close()
print("works on", sys.version_info[:2])
"""


@needs_native
@pytest.mark.skipif(bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="built for one version of Python")
@pytest.mark.parametrize("python", OTHER_PYTHONS)
def test_the_module_that_was_built_here_works_on_every_python_there_is(python: str) -> None:
    done = subprocess.run(
        [python, "-c", _ON_ANOTHER_PYTHON],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "free-threaded" in done.stderr or "command not found" in done.stderr:
        pytest.skip(f"{python} takes no module of the stable ABI")
    assert done.stdout.startswith("works on"), done.stderr


@needs_native
@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL")
def test_the_module_brings_no_gil_back() -> None:
    program = "import sys; from fastdatastore import _native; sys.exit(sys._is_gil_enabled())"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)


@needs_native
def test_the_null_server_can_be_executed() -> None:
    assert os.access(PACKAGE / "testing" / "servers" / "bin" / "fds-nullserver", os.X_OK)


def test_fds_tells_its_version() -> None:
    fds = Path(sys.executable).with_name("fds")
    done = subprocess.run([fds, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert fastdatastore.__version__ in done.stdout
