"""Builds bench/limit/, the loop in C that no client can beat, with the checksums of native/."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from . import environments
from .work import Work

_ROOT = Path(__file__).resolve().parents[2]


class BuildFailed(Exception):
    """The compiler said no; the message is what it said."""


@cache
def program() -> Path:
    """The program; compiled where it is older than its sources."""
    sources = [*sorted((_ROOT / "bench" / "limit").glob("*.c")), *sorted((_ROOT / "native").glob("crc*.c"))]
    headers = [*(_ROOT / "native").glob("crc*.h"), *(_ROOT / "bench" / "limit").glob("*.h")]
    built = environments.cache() / f"limit-{platform.machine()}"
    if built.exists() and built.stat().st_mtime > max(file.stat().st_mtime for file in [*sources, *headers]):
        return built
    built.parent.mkdir(parents=True, exist_ok=True)
    compiler = os.environ.get("CC", "cc")
    flags = ["-O2", "-std=c11", "-pthread", "-Wall", "-Wextra", "-Werror", "-I", str(_ROOT / "native")]
    done = subprocess.run(
        [compiler, *flags, *map(str, sources), "-o", str(built)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildFailed(f"{compiler} could not build bench/limit: {done.stderr.strip()}")
    return built


def argv(options: Mapping[str, Any], work: Work, port: int, bucket: str) -> list[str]:
    """The command that does this work.

    One large object goes as eight of an eighth each: the loop knows no ranges, but has eight connections.
    """
    count, size = (8, work.size // 8) if work.count == 1 else (work.count, work.size)
    flags = [f"--{name}" for name, wanted in options.items() if wanted]
    return [str(program()), work.verb, str(port), bucket, str(count), str(size), *flags]
