"""Checks what a built wheel holds: python check_wheel.py dist/*.whl"""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

NULL_SERVER = "fastdatastore/testing/servers/bin/fds-nullserver"
OURS = ("fastdatastore/", "fastdatastore-", "metaflow_extensions/")
NEEDED = ["fastdatastore/py.typed", NULL_SERVER]
STABLE_ABI = re.compile(r"-cp311-abi3-")
FREE_THREADED = re.compile(r"-cp(3\d+)-cp\1t-")


def native_module(wheel: str) -> str | None:
    """How the module's name begins that a wheel of this name must hold; None for a name that serves too few."""
    if STABLE_ABI.search(wheel):
        return "fastdatastore/_native.abi3.so"
    free_threaded = FREE_THREADED.search(wheel)  # for these there is no stable ABI yet
    return f"fastdatastore/_native.cpython-{free_threaded[1]}t-" if free_threaded else None


def faults(path: Path) -> Iterator[str]:
    module = native_module(path.name)
    if module is None:
        yield "it is not tagged cp311-abi3: it would serve one version of Python only"
    with ZipFile(path) as wheel:
        names = set(wheel.namelist())
        for needed in NEEDED:
            if needed not in names:
                yield f"{needed} is not in it"
        if module is not None and not any(name.startswith(module) for name in names):
            yield f"{module} is not in it"
        # The upper half of external_attr is the file's Unix mode.
        if NULL_SERVER in names and not (wheel.getinfo(NULL_SERVER).external_attr >> 16) & stat.S_IXUSR:
            yield f"{NULL_SERVER} is not executable"
        if foreign := sorted(name for name in names if not name.startswith(OURS)):
            yield f"it holds what is not the package's: {', '.join(foreign)}"
        top_level = [name for name in names if name.endswith(".dist-info/top_level.txt")]
        # Metaflow finds extensions by this file.
        if not top_level or "fastdatastore" not in wheel.read(top_level[0]).decode().split():
            yield "its top_level.txt does not list fastdatastore"


def main() -> int:
    found = [f"{name}: {fault}" for name in sys.argv[1:] for fault in faults(Path(name))]
    print("\n".join(found) if found else f"{len(sys.argv) - 1} wheel checked")
    return 1 if found or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
