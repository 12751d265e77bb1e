"""Builds the native module and the null server; everything else about the package is in pyproject.toml.

FDS_BUILD_NATIVE=0 leaves both out, FDS_WERROR=1 makes compiler warnings errors.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from glob import glob
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

# setuptools.build_meta runs this file without its folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from build_support import prerequisites

BUILD_NATIVE = os.environ.get("FDS_BUILD_NATIVE", "1") != "0"
# The limited API and free-threading exclude each other: there, the same source is built for each version.
LIMITED_API = not sysconfig.get_config_var("Py_GIL_DISABLED")

COMPILING_COMMANDS = {"bdist_wheel", "build", "build_ext", "editable_wheel"}
COMPILE_FLAGS = ["-O2", "-std=c11", "-fvisibility=hidden", "-pthread", "-Wall", "-Wextra"]
if os.environ.get("FDS_WERROR") == "1":
    COMPILE_FLAGS.append("-Werror")
LINK_FLAGS = ["-pthread"]

HEADERS = sorted(glob("native/*.h") + glob("native/nullserver/*.h"))
NULLSERVER_PACKAGE = "fastdatastore.testing.servers"
NULLSERVER_SOURCES = sorted(
    [
        *glob("native/nullserver/*.c"),
        *glob("native/crc*.c"),
        *(f"native/{name}.c" for name in ("buf", "http1", "poller", "uri", "wake")),
    ]
)


class BuildNative(build_ext):
    """Builds the module, then the null server's program beside the package that starts it."""

    def run(self) -> None:
        openssl = prerequisites.openssl_flags()
        for extension in self.extensions:
            extension.extra_compile_args += openssl.compile
            extension.extra_link_args += openssl.link
        super().run()
        self._build_nullserver(self._nullserver(), openssl)

    def get_outputs(self) -> list[str]:
        return [*super().get_outputs(), str(self._nullserver())]

    def _nullserver(self) -> Path:
        if self.inplace:
            package = Path(self.get_finalized_command("build_py").get_package_dir(NULLSERVER_PACKAGE))
        else:
            package = Path(self.build_lib, *NULLSERVER_PACKAGE.split("."))
        return package / "bin" / "fds-nullserver"

    def _build_nullserver(self, program: Path, openssl: prerequisites.OpensslFlags) -> None:
        if not self.force and not newer_group([*NULLSERVER_SOURCES, *HEADERS, "setup.py"], str(program)):
            return
        objects = self.compiler.compile(
            NULLSERVER_SOURCES,
            output_dir=str(Path(self.build_temp, "nullserver")),
            extra_preargs=[*COMPILE_FLAGS, *openssl.compile],
        )
        program.parent.mkdir(parents=True, exist_ok=True)
        # A running server's file cannot be overwritten ("text file busy"), only replaced.
        program.unlink(missing_ok=True)
        self.compiler.link_executable(
            objects, program.name, output_dir=str(program.parent), extra_postargs=[*LINK_FLAGS, *openssl.link]
        )


def native_module() -> Extension:
    return Extension(
        "fastdatastore._native",
        sources=sorted(glob("native/*.c")),
        depends=[*HEADERS, "setup.py"],
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if LIMITED_API else [],
        py_limited_api=LIMITED_API,
        extra_compile_args=list(COMPILE_FLAGS),
        extra_link_args=list(LINK_FLAGS),
    )


def build_for_this_mac_only() -> None:
    # python.org's Python builds for both kinds of Mac, but Homebrew's OpenSSL is for one.
    machine = platform.machine()
    os.environ.setdefault("ARCHFLAGS", f"-arch {machine}")
    release = ".".join(sysconfig.get_platform().split("-")[1:2])
    os.environ.setdefault("_PYTHON_HOST_PLATFORM", f"macosx-{release}-{machine}")


if BUILD_NATIVE and sys.platform == "darwin" and sysconfig.get_platform().endswith("universal2"):
    build_for_this_mac_only()

# Before any command has run: pip then shows the one sentence, and not after a list of copied files.
if BUILD_NATIVE and COMPILING_COMMANDS & set(sys.argv):
    sentence = prerequisites.problem()
    if sentence is not None:
        raise SystemExit(sentence)

setup(
    ext_modules=[native_module()] if BUILD_NATIVE else [],
    cmdclass={"build_ext": BuildNative},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if BUILD_NATIVE and LIMITED_API else {},
)
