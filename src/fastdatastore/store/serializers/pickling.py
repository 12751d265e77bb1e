"""What both pickles share: the picklers, the choice between pickle and cloudpickle, and whom to blame.

NumPy's small arrays and scalars are written by names that every version of NumPy has; its own pickles name private
modules that version 2 has moved.
"""

from __future__ import annotations

import importlib.util
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from fastdatastore.errors import SerializationError
from fastdatastore.store.serializers.base import BufferSpec, Header, Sink
from fastdatastore.store.serializers.canonical_pickle import canonical
from fastdatastore.store.serializers.pieces import PieceReader, PieceWriter

# Rewriting takes about 1 µs per opcode, so only pickles up to this size are made canonical.
MOST_CANONICAL = 64 * 1024

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
            reduced = _reduced(obj, in_band=self._in_band)
            return super().reducer_override(obj) if reduced is NotImplemented else reduced

    return Cloud


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
        raise _blame(obj, error) from error
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
    return {"type": kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"}


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


def _fails(obj: Any) -> bool:
    try:
        _attempt(obj, 4, _Nowhere())
    except Exception:
        return True
    return False


def _blame(obj: Any, error: Exception) -> SerializationError:
    """The error for the innermost part that cannot be pickled."""
    path = ""
    seen = {id(obj)}
    part = obj
    while found := next(
        ((step, child) for step, child in _parts(part) if id(child) not in seen and _fails(child)), None
    ):
        step, part = found
        seen.add(id(part))
        path += step
    subject = f"object{path}" if path else "the object"
    first = "" if _has_cloudpickle() else "install cloudpickle, which takes lambdas and more, or "
    return SerializationError(
        f"{subject}, a {type(part).__qualname__}, cannot be pickled ({type(error).__name__}: {error}); {first}"
        "leave it out, for instance by __getstate__ of what holds it, or store what it is made of",
        path,
    )


def _parts(obj: Any) -> Iterator[tuple[str, Any]]:
    """What an object holds, each with how to get there."""
    if isinstance(obj, dict):
        for key, value in obj.items():
            yield f".keys()[{_short(key)}]", key
            yield f"[{_short(key)}]", value
    elif isinstance(obj, (list, tuple)):
        for index, value in enumerate(obj):
            yield f"[{index}]", value
    elif isinstance(obj, (set, frozenset)):
        for value in obj:
            yield f"{{{_short(value)}}}", value
    elif isinstance(obj, types.FunctionType):
        for name, cell in zip(obj.__code__.co_freevars, obj.__closure__ or (), strict=True):
            yield f".__closure__[{name!r}]", cell.cell_contents
    if not isinstance(obj, (type, types.ModuleType, types.FunctionType)):
        for name, value in _state(obj).items():
            yield f".{name}", value


def _state(obj: Any) -> dict[str, Any]:
    """The attributes that a pickle would hold."""
    try:
        reduced = obj.__reduce_ex__(4)
    except Exception:
        return dict(getattr(obj, "__dict__", {}))
    state = reduced[2] if isinstance(reduced, tuple) and len(reduced) > 2 else None
    if isinstance(state, tuple) and len(state) == 2:  # of an object with slots
        return {**(state[0] or {}), **(state[1] or {})}
    return state if isinstance(state, dict) else {}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
