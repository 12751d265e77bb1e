"""A virtual environment with Metaflow in it, made once, in the user's cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")
REPOSITORY = Path(__file__).resolve().parents[2]


def interpreter() -> Path:
    """Its Python: of the version that runs us, since it loads our native module from the source tree."""
    wanted = _REQUIREMENTS.read_bytes() + sys.version.encode()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = cache / "fastdatastore" / f"upstream-{hashlib.sha256(wanted).hexdigest()[:12]}"
    python = directory / "bin" / "python"
    if not (directory / "complete").exists():
        print(f"making {directory}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(directory)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", str(_REQUIREMENTS)], check=True)
        (directory / "complete").touch()
    return python


def variables(home: Path) -> dict[str, str]:
    """What the tests see: our sources, and nobody's configuration."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "METAFLOW_USER": "upstream",
        "PYTHONPATH": f"{REPOSITORY / 'src'}{os.pathsep}{REPOSITORY}",
    }
