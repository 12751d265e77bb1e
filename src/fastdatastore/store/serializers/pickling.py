"""What both pickles share: the picklers, and the choice between pickle and cloudpickle.

NumPy's small arrays and scalars are written by names that every version of NumPy has; its own pickles name private
modules that version 2 has moved.
"""

from __future__ import annotations

import importlib.util
import io
import pickle
import sys
import types
from collections.abc import Callable
from functools import cache
from typing import Any

from fastdatastore.errors import SerializationError
from fastdatastore.store.serializers.base import BufferSpec, Header, Sink
from fastdatastore.store.serializers.canonical_pickle import canonical
from fastdatastore.store.serializers.culprit import culprit, is_too_deep
from fastdatastore.store.serializers.pieces import PieceReader, PieceWriter

# Rewriting takes about 1 µs per opcode, so only pickles up to this size are made canonical.
MOST_CANONICAL = 64 * 1024

# Of NumPy's types, whose names are not the same in its versions 1 and 2, the ones by which both know them.
_SHARED_NAMES = {
    "numpy.bool": "numpy.bool_",
    "numpy.char.chararray": "numpy.chararray",
    "numpy.ma.core.MaskedArray": "numpy.ma.MaskedArray",
    "numpy.rec.recarray": "numpy.recarray",
}

Pieces = list[memoryview]
BufferCallback = Callable[[pickle.PickleBuffer], object] | None


class _NeedsCloudpickle(Exception):
    """A class or function of the program itself, which no other program can import."""


class _Plain(pickle.Pickler):
    def __init__(self, file: Any, protocol: int, callback: BufferCallback) -> None:
        super().__init__(file, protocol, buffer_callback=callback)
        self._in_band = protocol < 5

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, types.FunctionType)):
            if obj.__module__ == "__main__" and _has_cloudpickle():
                raise _NeedsCloudpickle
            return NotImplemented
        return _reduced(obj, in_band=self._in_band)


@cache
def _cloud() -> type[Any]:
    import cloudpickle

    class Cloud(cloudpickle.Pickler):  # type: ignore[misc]
        def __init__(self, file: Any, protocol: int, callback: BufferCallback) -> None:
            super().__init__(file, protocol, buffer_callback=callback)
            self._in_band = protocol < 5

        def reducer_override(self, obj: Any) -> Any:
            _check_kept(obj)
            reduced = _reduced(obj, in_band=self._in_band)
            return super().reducer_override(obj) if reduced is NotImplemented else reduced

    return Cloud


def _check_kept(obj: Any) -> None:
    """
    Raises:
        PicklingError: Of such an object cloudpickle would make one of another type.
    """
    if isinstance(obj, memoryview):
        raise pickle.PicklingError("a memoryview would come back as bytes")
    if type(obj) is io.TextIOWrapper and obj not in (sys.stdout, sys.stderr):
        raise pickle.PicklingError("an open file would come back as a StringIO of all that it contains")


@cache
def _has_cloudpickle() -> bool:
    return importlib.util.find_spec("cloudpickle") is not None


def _reduced(obj: Any, *, in_band: bool) -> Any:
    if "numpy" not in sys.modules:
        return NotImplemented
    from fastdatastore.store.serializers import numpy_reduced

    return numpy_reduced.reduced(obj, in_band=in_band)


def dump(obj: Any, protocol: int, sink: Sink, callback: BufferCallback = None) -> int:
    """Hands on the object's pickle in pieces; how many there are.

    Args:
        sink: Gets the pieces; is restarted when the pickle is begun anew, by cloudpickle.
        callback: Takes the buffers that go out of band (protocol 5), as pickle.Pickler's `buffer_callback`.

    Raises:
        SerializationError: A part of it cannot be pickled; it names the path to that part.
    """
    try:
        writer = _attempt(obj, protocol, sink, callback)
    except Exception as error:
        raise _unpicklable(obj, error) from error
    rest = writer.rest()
    if not writer.taken and rest.nbytes <= MOST_CANONICAL:
        rest = memoryview(canonical(rest.tobytes()))
    if rest.nbytes:
        sink.piece(rest, is_copy=True)
    return writer.taken + bool(rest.nbytes)


def load(pieces: Pieces, buffers: list[memoryview] | None = None) -> Any:
    """The object of a pickle in pieces.

    Raises:
        SerializationError: A module, class or function that it names is not here.
    """
    try:
        if len(pieces) == 1:
            return pickle.loads(pieces[0], buffers=buffers)
        return pickle.Unpickler(PieceReader(pieces), buffers=buffers).load()
    except (ImportError, AttributeError) as error:
        raise SerializationError(
            f"this artifact needs code that is not here: {error}; install or import what it was made with, in the "
            "same version"
        ) from error


def header_of(obj: Any) -> Header:
    """What `stat` shows of a pickle."""
    kind = type(obj)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return {"type": _SHARED_NAMES.get(name, name)}


def _attempt(obj: Any, protocol: int, sink: Sink, callback: BufferCallback = None) -> PieceWriter:
    try:
        return _written(_Plain, obj, protocol, sink, callback)
    except (_NeedsCloudpickle, pickle.PicklingError, AttributeError, TypeError):
        if not _has_cloudpickle():
            raise
    sink.restart()
    return _written(_cloud(), obj, protocol, sink, callback)


def _written(kind: Any, obj: Any, protocol: int, sink: Sink, callback: BufferCallback) -> PieceWriter:
    writer = PieceWriter(sink.piece)
    kind(writer, protocol, callback).dump(obj)
    return writer


class _Nowhere:
    """A sink that keeps nothing."""

    def piece(self, view: memoryview, is_copy: bool) -> None: ...
    def buffer(self, spec: BufferSpec) -> None: ...
    def restart(self) -> None: ...


def _failure(obj: Any) -> Exception | None:
    """Why the object on its own cannot be pickled."""
    try:
        _attempt(obj, 4, _Nowhere())
    except Exception as error:
        return error
    return None


def _unpicklable(obj: Any, error: Exception) -> SerializationError:
    if is_too_deep(error):
        return SerializationError(
            f"the object is nested too deeply for pickle ({type(error).__name__}: {error}); store it flat, for "
            "instance a chain of nodes as a list of them, by __getstate__ of what holds it"
        )
    path, part = culprit(obj, _failure)
    subject = f"object{path}" if path else "the object"
    first = "" if _has_cloudpickle() else "install cloudpickle, which takes lambdas and more, or "
    return SerializationError(
        f"{subject}, a {type(part).__qualname__}, cannot be pickled ({type(error).__name__}: {error}); {first}"
        "leave it out, for instance by __getstate__ of what holds it, or store what it is made of",
        path,
    )
