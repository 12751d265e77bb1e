"""A missing prerequisite is one sentence with the command that mends it, never a compiler's trace."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "build_support" / "prerequisites.py"
MAC = sys.platform == "darwin"


def executable(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def bin_without_compiler(tmp_path: Path) -> Path:
    """A folder for PATH with nothing but a package manager and a pkg-config that knows nothing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    executable(folder / "apt-get", "exit 1")
    executable(folder / "pkg-config", "exit 1")
    return folder


def run(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("FDS_", "CC"))}
    return subprocess.run(
        [sys.executable, *arguments],
        env=ours | environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )


def run_changed(change: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the script in an interpreter that `change` has made look different."""
    program = (
        f"import runpy, sys, sysconfig; {change}; sys.argv = ['prerequisites.py', *{list(arguments)!r}]; "
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    return run(["-c", program])


def the_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_says_nothing_where_all_is_there() -> None:
    done = run([str(SCRIPT), "--venv"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_names_the_missing_compiler(bin_without_compiler: Path) -> None:
    sentence = the_sentence(run([str(SCRIPT)], PATH=str(bin_without_compiler)))
    assert "without a C compiler" in sentence
    assert ("xcode-select --install" if MAC else "apt-get install -y gcc") in sentence


def test_needs_no_compiler_when_native_code_is_left_out(bin_without_compiler: Path) -> None:
    assert run([str(SCRIPT)], PATH=str(bin_without_compiler), FDS_BUILD_NATIVE="0").returncode == 0


def test_takes_the_compiler_that_CC_names() -> None:
    assert "a C compiler (no-such-cc)" in the_sentence(run([str(SCRIPT)], CC="no-such-cc -m64"))


def test_names_the_missing_openssl_headers(tmp_path: Path, bin_without_compiler: Path) -> None:
    (tmp_path / "openssl").mkdir()
    (tmp_path / "openssl" / "opensslv.h").write_text("#error as if it were not there\n")
    path = f"{bin_without_compiler}{os.pathsep}{os.environ['PATH']}"
    sentence = the_sentence(run([str(SCRIPT)], PATH=path, CPPFLAGS=f"-I{tmp_path}"))
    assert "without the C headers of OpenSSL" in sentence
    assert ("brew install openssl@3" if MAC else "apt-get install -y libssl-dev") in sentence


@pytest.mark.parametrize("version", ["OpenSSL 1.1.1w  11 Sep 2023", "LibreSSL 3.3.6"])
def test_refuses_an_openssl_older_than_3(tmp_path: Path, version: str) -> None:
    (tmp_path / "openssl").mkdir()
    (tmp_path / "openssl" / "opensslv.h").write_text(f'#define OPENSSL_VERSION_TEXT "{version}"\n')
    sentence = the_sentence(run([str(SCRIPT)], CPPFLAGS=f"-I{tmp_path}"))
    assert "needs OpenSSL 3.0 or newer" in sentence
    assert " ".join(version.split()[:2]).removesuffix("w") in sentence


def test_names_the_missing_python_headers() -> None:
    sentence = the_sentence(run_changed("sysconfig.get_path = lambda *_: '/nowhere'"))
    assert "the C headers of Python" in sentence


def test_names_the_missing_venv() -> None:
    sentence = the_sentence(run_changed("sys.executable = '/nowhere/python'", "--venv"))
    assert "Python's venv module with ensurepip" in sentence


def test_names_all_that_is_missing_at_once(bin_without_compiler: Path) -> None:
    change = f"import os; os.environ['PATH'] = {str(bin_without_compiler)!r}; sys.executable = '/nowhere/python'"
    sentence = the_sentence(run_changed(change, "--venv"))
    assert "a C compiler" in sentence
    assert "Python's venv module" in sentence


def test_refuses_an_old_python() -> None:
    sentence = the_sentence(run_changed("sys.version_info = (3, 9, 2, 'final', 0)"))
    assert "needs Python 3.11 or newer and this is Python 3.9.2" in sentence
    assert "PYTHON=python3.11" in sentence


def test_can_be_read_by_a_python_too_old_to_run_the_rest() -> None:
    # The oldest that every supported ast can play.
    ast.parse(SCRIPT.read_text(), feature_version=(3, 7))
    assert "from __future__ import annotations" not in SCRIPT.read_text()  # Python 3.6 doesn't know it


def test_setup_says_the_same_without_a_traceback(tmp_path: Path, bin_without_compiler: Path) -> None:
    done = run(
        ["setup.py", "build_ext", f"--build-lib={tmp_path}", f"--build-temp={tmp_path}"],
        PATH=str(bin_without_compiler),
    )
    assert done.returncode == 1
    assert done.stderr.startswith("fastdatastore cannot be built here without a C compiler")
    assert len(done.stderr.splitlines()) == 1
