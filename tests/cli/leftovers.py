"""What a command has left behind: processes and files of the temporary directory that it was given."""

from __future__ import annotations

import time
from pathlib import Path


def leftovers(directory: Path, seconds: float = 0.0) -> list[str]:
    """Processes that mention the directory or work in it, and files in it; waits up to `seconds` for their end."""
    deadline = time.monotonic() + seconds
    while True:
        found = [*_processes(str(directory)), *(str(path) for path in directory.iterdir())]
        if not found or time.monotonic() >= deadline:
            return found
        time.sleep(0.02)


def _processes(directory: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            place = str((process / "cwd").readlink())
        except OSError:  # it has just ended
            continue
        if directory in command or place.startswith(directory):
            found.append(f"{process.name}: {command}")
    return found
