"""Our errors as Metaflow's own: `except MetaflowS3NotFound` in a flow catches ours too.

Where Metaflow's S3 client is loaded an error is made as a subclass of both; elsewhere nothing happens, and nothing here
ever imports Metaflow: who writes `except MetaflowS3NotFound` has loaded it.
"""

from __future__ import annotations

import sys
from typing import Any, TypeVar

E = TypeVar("E", bound=BaseException)

_HOME = "metaflow.plugins.datatools.s3.s3"

# By the names of our classes; one that is not listed takes its base's.
_COUNTERPARTS = {
    "FastDatastoreError": "MetaflowS3Exception",
    "InvalidKey": "MetaflowS3URLException",
    "InvalidObject": "MetaflowS3InvalidObject",
    "NotFound": "MetaflowS3NotFound",
    "BucketNotFound": "MetaflowS3NotFound",
    "LocalFileNotFound": "MetaflowS3NotFound",
    "AccessDenied": "MetaflowS3AccessDenied",
    "InvalidRange": "MetaflowS3InvalidRange",
    "InsufficientDiskSpace": "MetaflowS3InsufficientDiskSpace",
}

_made: dict[tuple[type, type], type] = {}


def also(cls: type[E]) -> type[E]:
    """`cls`, or the subclass of it that is Metaflow's error too."""
    home = sys.modules.get(_HOME)
    if home is None or hasattr(cls, "_ours"):
        return cls
    name = next(_COUNTERPARTS[base.__name__] for base in cls.__mro__ if base.__name__ in _COUNTERPARTS)
    theirs = getattr(home, name, None)  # none while Metaflow is still being imported
    return cls if theirs is None else _both(cls, theirs)


def ours(cls: type[E]) -> type[E]:
    """What `also` made `cls` of, which every process has: for pickles."""
    return getattr(cls, "_ours", cls)


def _both(cls: Any, theirs: Any) -> Any:
    if (made := _made.get((cls, theirs))) is not None:
        return made
    namespace: dict[str, Any] = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,  # tracebacks show ours
        "__doc__": cls.__doc__,
        # Metaflow's base has its own, which know nothing of ours.
        "__init__": cls.__init__,
        "__str__": cls.__str__,
        # What Metaflow prints instead of a traceback when a flow ends with one of its errors.
        "message": property(cls.__str__),
        "line_no": None,
        "source_file": None,
        "_ours": cls,
    }
    return _made.setdefault((cls, theirs), type(cls.__name__, (cls, theirs), namespace))
