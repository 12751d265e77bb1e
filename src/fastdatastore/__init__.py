"""fastdatastore: moves and keeps the big results of machine-learning steps on S3 object stores.

    from fastdatastore import S3, ArtifactStore

Names load when they are first asked for, so that the import costs next to nothing.
"""

from typing import TYPE_CHECKING, Any

from fastdatastore._version import __version__

if TYPE_CHECKING:
    from fastdatastore.progress.meter import Progress
    from fastdatastore.s3.aio import AsyncS3
    from fastdatastore.s3.client import S3
    from fastdatastore.s3.objects import RangeInfo, S3GetObject, S3Object, S3PutObject
    from fastdatastore.store.aio import AsyncArtifactStore
    from fastdatastore.store.store import ArtifactStore

__all__ = [
    "S3",
    "ArtifactStore",
    "AsyncArtifactStore",
    "AsyncS3",
    "Progress",
    "RangeInfo",
    "S3GetObject",
    "S3Object",
    "S3PutObject",
    "__version__",
]

_HOMES = {
    "ArtifactStore": "fastdatastore.store.store",
    "AsyncArtifactStore": "fastdatastore.store.aio",
    "AsyncS3": "fastdatastore.s3.aio",
    "Progress": "fastdatastore.progress.meter",
    "S3": "fastdatastore.s3.client",
    "S3Object": "fastdatastore.s3.objects",
    "S3GetObject": "fastdatastore.s3.objects",
    "S3PutObject": "fastdatastore.s3.objects",
    "RangeInfo": "fastdatastore.s3.objects",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
