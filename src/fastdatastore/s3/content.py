"""What a result's bytes can be taken for: a mapped file, a NumPy array, an Arrow buffer; none of them a copy."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdatastore.config import MIB
from fastdatastore.errors import ConfigurationError, LocalFileError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

# Below, reading costs no more than mapping, and each mapping may hold a descriptor.
_WORTH_MAPPING = MIB


def of_file(path: Path) -> memoryview:
    """A file's bytes, read-only; of a large one as a mapping, which outlives the file's name.

    Raises:
        LocalFileError: It cannot be read, or is no more.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < _WORTH_MAPPING:
                return memoryview(file.read())
            if sys.version_info >= (3, 13):
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, trackfd=False))
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise LocalFileError(
            f"cannot read {path}: {error.strerror}; the files of results go when their S3 is closed, take their bytes "
            "before that"
        ) from error


def to_numpy(view: memoryview, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """A one-dimensional read-only array over the bytes.

    Raises:
        ConfigurationError: NumPy is not installed, or the bytes are no whole number of such items.
    """
    try:
        import numpy as np
    except ImportError:
        raise ConfigurationError("to_numpy() needs NumPy; run: python -m pip install numpy") from None
    try:
        return np.frombuffer(view, dtype)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{view.nbytes:,} bytes make no array of {dtype!r}: {error}; check the dtype"
        ) from None


def to_arrow(view: memoryview) -> pa.Buffer:
    """A pyarrow.Buffer over the bytes.

    Raises:
        ConfigurationError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise ConfigurationError("to_arrow() needs pyarrow; run: python -m pip install pyarrow") from None
    return pa.py_buffer(view)
