"""Each rival in its own virtual environment, as their dependencies clash; made once, in the user's cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_REQUIREMENTS = Path(__file__).with_name("requirements")


def cache() -> Path:
    """Where they are: below $XDG_CACHE_HOME, else ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastdatastore" / "bench"


def _directory(name: str) -> Path:
    """Of this environment, for these pins and this Python."""
    wanted = (_REQUIREMENTS / f"{name}.txt").read_bytes() + sys.version.encode()
    return cache() / f"{name}-{hashlib.sha256(wanted).hexdigest()[:12]}"


def python(name: str) -> Path | None:
    """The environment's interpreter ("": the one that runs us); None where it is not set up."""
    if not name:
        return Path(sys.executable)
    directory = _directory(name)
    return directory / "bin" / "python" if (directory / "complete").exists() else None


def set_up(names: Iterable[str]) -> dict[str, str]:
    """Makes what is not there yet.

    Returns:
        Why, for each environment that could not be made.
    """
    failed = {}
    for name in names:
        if not name or python(name) is not None:
            continue
        print(f"setting up {name}", flush=True)
        directory = _directory(name)
        interpreter = str(directory / "bin" / "python")
        requirements = str(_REQUIREMENTS / f"{name}.txt")
        steps = (
            [sys.executable, "-m", "venv", "--clear", str(directory)],
            # Wheels only: nobody's benchmark should depend on which compilers happen to be here.
            [interpreter, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--requirement", requirements],
        )
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                failed[name] = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}")[-400:]
                break
        else:
            (directory / "complete").touch()
    return failed
