"""Objects as files of other programs: raw bytes, .npy, .parquet, .arrow, .pickle."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from fastdatastore.cli.commands import CannotRun

T = TypeVar("T")

KINDS = ("raw", "npy", "parquet", "arrow", "pickle")
_SUFFIXES = {".npy": "npy", ".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow"}


def read(source: str, kind: str) -> Any:
    """The object that a file ("-": standard input) holds.

    Args:
        kind: One of KINDS: how the file is to be understood. "pickle" runs the code that it names.

    Raises:
        LocalFileError: It cannot be read, or is no such file. CannotRun: The library for it is not here.
    """
    from fastdatastore import errors

    try:
        content = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except FileNotFoundError:
        raise errors.LocalFileNotFound(f"there is no file {source}") from None
    except OSError as error:
        raise errors.LocalFileError(f"cannot read {source}: {error.strerror}") from error
    if kind == "raw":
        return content
    try:
        return _READERS[kind](content)
    except MemoryError:
        raise
    except Exception as error:  # what those libraries raise has no common type
        _check_library(kind, error)
        raise errors.LocalFileError(_why(kind, error)) from None


def kind_of(path: str) -> str | None:
    """The kind that a file's name speaks of; None for any other."""
    return _SUFFIXES.get(Path(path).suffix.lower())


def writer_of(value: Any, kind: str | None, target: str) -> Callable[[BinaryIO], None]:
    """What writes the object to a file.

    Args:
        kind: One of KINDS; None: bytes as they are, all else as the target's name says.

    Raises:
        CannotRun: The object is of another type, or the library for it is not here.
        SerializationError: Such a file cannot hold it; also of what is returned.
    """
    from fastdatastore.errors import SerializationError

    if kind is None:
        is_bytes = isinstance(value, bytes | bytearray | memoryview)
        kind = "raw" if is_bytes else kind_of(target)
    if kind is None:
        raise CannotRun(
            f"{_name(value)} is no bytes: give --as ({', '.join(KINDS[1:])}), or a target that ends in "
            f"{', '.join(_SUFFIXES)}"
        )

    def guarded(act: Callable[[], T]) -> T:
        try:
            return act()
        except (CannotRun, MemoryError, OSError):
            raise
        except Exception as error:  # what those libraries raise has no common type
            _check_library(kind, error)
            raise SerializationError(f"{target}: {_why(kind, error)}") from None

    write = guarded(lambda: _WRITERS[kind](value))
    return lambda file: guarded(lambda: write(file))


class _NoSuchFile(Exception):
    """What a file holds is of another kind."""


def _check_library(kind: str, error: Exception) -> None:
    """Raises CannotRun if it is what reads and writes such files that is not here."""
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] == _LIBRARIES.get(kind):
        raise CannotRun(f"--as {kind} needs {error.name}; run: python -m pip install {error.name}") from None


def _why(kind: str, error: Exception) -> str:
    said = str(error) if isinstance(error, _NoSuchFile) else f"{type(error).__name__}: {error}"
    return f"not to be had as {kind}: {said}"


def _read_npy(content: bytes) -> Any:
    import numpy as np

    if not content.startswith(np.lib.format.MAGIC_PREFIX):  # numpy.load would take it for a pickle, and say so
        raise _NoSuchFile("it is no .npy file")
    return np.load(io.BytesIO(content), allow_pickle=False)


def _read_parquet(content: bytes) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(content))


def _read_arrow(content: bytes) -> Any:
    import pyarrow as pa

    with pa.ipc.open_file(pa.BufferReader(content)) as reader:
        return reader.read_all()


def _read_pickle(content: bytes) -> Any:
    import pickle

    return pickle.loads(content)


def _write_raw(value: Any) -> Callable[[BinaryIO], None]:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise CannotRun(f"{_name(value)} is no bytes; --as raw is for what was put so")

    def write(file: BinaryIO) -> None:
        file.write(value)

    return write


def _write_npy(value: Any) -> Callable[[BinaryIO], None]:
    import numpy as np

    if not isinstance(value, np.ndarray):
        raise CannotRun(f"{_name(value)} is no numpy.ndarray, which .npy holds")
    return lambda file: np.save(file, value, allow_pickle=False)


def _write_parquet(value: Any) -> Callable[[BinaryIO], None]:
    import pyarrow.parquet as pq

    table = _table(value)
    return lambda file: pq.write_table(table, file)


def _write_arrow(value: Any) -> Callable[[BinaryIO], None]:
    import pyarrow as pa

    table = _table(value)

    def write(file: BinaryIO) -> None:
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    return write


def _write_pickle(value: Any) -> Callable[[BinaryIO], None]:
    import pickle

    return lambda file: pickle.dump(value, file, protocol=4)


def _table(value: Any) -> Any:
    import pyarrow as pa

    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return pa.Table.from_pandas(value)
    raise CannotRun(f"{_name(value)} is no table")


def _name(value: Any) -> str:
    kind = type(value)
    return f"a {kind.__qualname__}" if kind.__module__ == "builtins" else f"a {kind.__module__}.{kind.__qualname__}"


_LIBRARIES = {"npy": "numpy", "parquet": "pyarrow", "arrow": "pyarrow"}
_READERS = {"npy": _read_npy, "parquet": _read_parquet, "arrow": _read_arrow, "pickle": _read_pickle}
_WRITERS = {
    "raw": _write_raw,
    "npy": _write_npy,
    "parquet": _write_parquet,
    "arrow": _write_arrow,
    "pickle": _write_pickle,
}
