"""A pytest plugin: for the tests that follow, metaflow.S3 is ours. It loads before they import it."""

from __future__ import annotations

from importlib import import_module

from fastdatastore import S3

for _name in (
    "metaflow",
    "metaflow.plugins.datatools",
    "metaflow.plugins.datatools.s3",
    "metaflow.plugins.datatools.s3.s3",
):
    import_module(_name).S3 = S3  # type: ignore[attr-defined]
