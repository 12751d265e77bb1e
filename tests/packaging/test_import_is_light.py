"""What `import fastdatastore` may load. Modules are counted: milliseconds depend on the machine."""

from __future__ import annotations

import json
import subprocess
import sys

# Each of them costs more than all the rest of the import, and many users never need it.
THIRD_PARTY = {
    "aiobotocore",
    "boto3",
    "botocore",
    "metaflow",
    "moto",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "requests",
    "s3transfer",
    "urllib3",
}
HEAVY_STANDARD_LIBRARY = {
    "asyncio",
    "concurrent.futures.process",
    "email",
    "http.client",
    "importlib.metadata",
    "inspect",
    "logging",
    "multiprocessing",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "unittest",
    "urllib.request",
    "xml.etree.ElementTree",
}
# Room for typing and what it brings along.
MOST_MODULES = 40


def modules_after(statement: str) -> set[str]:
    report = "print(json.dumps(sorted(set(sys.modules) - before)))"
    program = f"import json, sys; before = set(sys.modules); {statement}; {report}"
    command = [sys.executable, "-I", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout))


def test_import_loads_nothing_heavy() -> None:
    assert not modules_after("import fastdatastore") & (THIRD_PARTY | HEAVY_STANDARD_LIBRARY)


def test_import_loads_few_modules() -> None:
    loaded = modules_after("import fastdatastore")
    assert len(loaded) <= MOST_MODULES, sorted(loaded)


def test_import_loads_the_native_module_only_when_needed() -> None:
    assert "fastdatastore._native" not in modules_after("import fastdatastore")


def test_naming_S3_loads_no_third_party_package() -> None:
    assert not modules_after("from fastdatastore import S3") & THIRD_PARTY


def test_naming_ArtifactStore_loads_no_library_whose_objects_it_keeps() -> None:
    assert not modules_after("from fastdatastore import ArtifactStore") & THIRD_PARTY
