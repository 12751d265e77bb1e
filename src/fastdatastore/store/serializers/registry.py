"""Which serializer takes an object, and which one wrote an artifact.

The first that accepts an object takes it: the built-in ones for single types, then those of third parties in the order
of their names, then the pickles. A built-in one is imported only once the library whose objects it takes is loaded, so
that putting a dict never imports NumPy.

A third party names its serializers as entry points of the group "fastdatastore.serializers": the name is the
serializer's id, the value an object with the interface in base.py.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from fastdatastore.errors import (
    ConfigurationError,
    FastDatastoreError,
    FormatError,
    SerializationError,
    UntrustedPickle,
)
from fastdatastore.store.serializers.base import (
    Describes,
    Description,
    Header,
    Naming,
    Serialized,
    Serializer,
    Sink,
    Streaming,
)

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "fastdatastore.serializers"

# A buffer below this may hold the names of a table's columns, for all that is known.
_SMALL = 1 << 20
# Which one it is, who reads it from a store knows.
_PLACE = "an artifact"


@dataclass(frozen=True, slots=True)
class Builtin:
    """A serializer of ours, named but not imported.

    Attributes:
        id: Its name in the store.
        module: Has it as SERIALIZER.
        library: While this is not loaded, there are no objects that it would take.
        needs: What else must be installed; without it the objects go on to the pickles.
    """

    id: str
    module: str
    library: str = "builtins"
    needs: str = "builtins"

    def can_dump(self) -> bool:
        return self.library in sys.modules and (self.needs in sys.modules or find_spec(self.needs) is not None)

    def serializer(self) -> Serializer:
        module = importlib.import_module(f"fastdatastore.store.serializers.{self.module}")
        return cast(Serializer, module.SERIALIZER)


SINGLE_TYPES: tuple[Builtin, ...] = (
    Builtin("raw", "raw"),
    Builtin("numpy", "numpy_array", "numpy"),
    Builtin("arrow", "arrow", "pyarrow"),
    Builtin("pandas", "pandas_frame", "pandas", needs="pyarrow"),
)
PICKLES: tuple[Builtin, ...] = (Builtin("pickle5", "pickle_buffers"), Builtin("pickle", "pickle_stream"))


@cache
def third_parties() -> dict[str, Callable[[], Serializer]]:
    """What loads the serializers of other packages, by id, in the order of the ids."""
    from importlib.metadata import entry_points

    ours = {builtin.id for builtin in (*SINGLE_TYPES, *PICKLES)}
    points = sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    return {point.name: cache(partial(_loaded, point)) for point in points if point.name not in ours}


def _loaded(point: EntryPoint) -> Serializer:
    try:
        return cast(Serializer, point.load())
    except Exception as error:
        raise ConfigurationError(
            f"the serializer {point.name!r} ({point.value}) cannot be loaded: {type(error).__name__}: {error}; "
            "mend or uninstall the package that provides it"
        ) from error


def dump(obj: object) -> Serialized:
    """The object as header and buffers, by the first serializer that accepts it.

    Raises:
        SerializationError: None does, or a part of the object cannot be serialized.
    """
    return _taker(obj).dump(obj)


def stream(obj: object, sink: Sink) -> tuple[str, int, Header]:
    """Serializer, version and header of the object, whose buffers the sink gets while they are made.

    Raises:
        SerializationError: As for dump.
    """
    serializer = _taker(obj)
    if hasattr(serializer, "stream"):
        return serializer.id, serializer.version, cast(Streaming, serializer).stream(obj, sink)
    dumped = serializer.dump(obj)
    for spec in dumped.buffers:
        sink.buffer(spec)
    return dumped.serializer, dumped.version, dumped.header


def load(
    serializer: str,
    version: int,
    header: Header,
    buffers: list[memoryview],
    *,
    allow_pickle: bool = True,
    readonly: bool = False,
) -> Any:
    """The object that was dumped.

    Args:
        serializer, version, header: As dumped.
        buffers: As dumped, each writable, aligned, and nobody else's.
        allow_pickle: Take artifacts that can run code of their writer's choice when they are loaded.
        readonly: Let nobody write to what comes back, where its type knows of that.

    Raises:
        FormatError: The serializer is not known here, or not as new, or the header does not fit the buffers.
        UntrustedPickle: Loading could run code, and `allow_pickle` is false.
        SerializationError: Code that a pickle names is not here.
    """
    reader = reader_of(serializer, version, allow_pickle=allow_pickle)
    try:
        return reader.load(version, header, buffers, readonly=readonly)
    except FastDatastoreError:
        raise
    except (MemoryError, ImportError):
        raise
    except Exception as error:  # pyarrow and pandas raise whatever they like over what does not fit
        if reader.uses_pickle:  # out of the code that was pickled
            raise
        raise _misfit(serializer, version, error) from error


def reader_of(serializer: str, version: int, *, allow_pickle: bool = True) -> Serializer:
    """What loads such an artifact: to be asked before its bytes are fetched.

    Raises:
        FormatError, UntrustedPickle: As for load().
    """
    reader = _named(serializer, version)
    if version > reader.version:
        raise FormatError(
            f"it needs version {version} of the serializer {serializer!r}, here is version {reader.version}",
            place=_PLACE,
            hint=f"upgrade {'fastdatastore' if _is_ours(serializer) else 'the package that provides it'}",
        )
    if reader.uses_pickle and not allow_pickle:
        raise UntrustedPickle(
            f"this artifact was pickled (serializer {serializer!r}), so that loading it can run code of its writer's "
            "choice; nothing was run. If you trust whoever can write to this store, allow it with allow_pickle=True"
        )
    return reader


def describe(
    serializer: str, version: int, header: Header, lengths: Sequence[int], buffers: Sequence[memoryview | None]
) -> Description:
    """What an object is, as far as its serializer can tell here.

    Args:
        serializer, version, header: As dumped.
        lengths: Of all buffers, in bytes.
        buffers: Those that naming() names; None for those that nobody has read.

    Raises:
        FormatError: The header does not fit.
    """
    try:
        reader = reader_of(serializer, version)
    except (ConfigurationError, FormatError):  # a library or a package is not here
        return Description(f"(by the serializer {serializer})")
    if not isinstance(reader, Describes):
        return Description(f"(by the serializer {serializer})")
    try:
        return reader.describe(header, lengths, buffers).checked()
    except Exception as error:  # no code of the artifact's runs here, so it is the header in any case
        raise _misfit(serializer, version, error) from error


def naming(serializer: str, version: int, header: Header, lengths: Sequence[int]) -> list[int]:
    """The numbers of the buffers to be read before describe() knows a table's schema; all small ones, if it is unknown.

    Raises:
        FormatError: The header does not fit.
    """
    reader = reader_of(serializer, version)
    if not isinstance(reader, Naming):
        return [number for number, length in enumerate(lengths) if length < _SMALL]
    try:
        numbers = sorted(reader.naming(header, len(lengths)))
        if any(type(number) is not int or not 0 <= number < len(lengths) for number in numbers):
            raise ValueError(f"buffers {numbers} of {len(lengths)}")
    except Exception as error:
        raise _misfit(serializer, version, error) from error
    return numbers


def _taker(obj: object) -> Serializer:
    for serializer in _candidates():
        if serializer.accepts(obj):
            return serializer
    raise SerializationError(f"no serializer takes a {type(obj).__qualname__}; store something made of it instead")


def _candidates() -> Iterator[Serializer]:
    for builtin in SINGLE_TYPES:
        if builtin.can_dump():
            yield builtin.serializer()
    for loaded in third_parties().values():
        yield loaded()
    for builtin in PICKLES:
        if builtin.can_dump():
            yield builtin.serializer()


def _misfit(serializer: str, version: int, error: Exception) -> FormatError:
    return FormatError(
        f"its header (serializer {serializer!r} version {version}) does not fit its buffers: "
        f"{type(error).__name__}: {error}",
        place=_PLACE,
        hint="put it again: it was damaged before it was stored, or made to deceive",
    )


def _is_ours(serializer: str) -> bool:
    return any(builtin.id == serializer for builtin in (*SINGLE_TYPES, *PICKLES))


def _named(serializer: str, version: int) -> Serializer:
    for builtin in (*SINGLE_TYPES, *PICKLES):
        if builtin.id == serializer:
            return builtin.serializer()
    if serializer not in third_parties():
        raise FormatError(
            f"it needs the serializer {serializer!r}, version {version}, and nothing here provides it",
            place=_PLACE,
            hint=f"upgrade fastdatastore, or install the package that has it as an entry point of the group {GROUP!r}",
        )
    return third_parties()[serializer]()
