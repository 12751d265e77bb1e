"""What a serializer is: an object becomes a small header and its buffers, handed on as they lie in memory."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from fastdatastore.errors import ConfigurationError

# What canonical JSON can hold: str, int within ±(2^53 - 1), bool, None, and lists and dicts of them; no floats.
Json = Any
Header = dict[str, Json]

# A cache line, and the width of the widest vectors.
ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class BufferSpec:
    """Bytes of an object.

    Attributes:
        view: C-contiguous bytes (format "B"); it keeps alive what owns them. They must not change while it is in use.
        align: Bytes; where it starts in memory when it is loaded is a multiple of this power of two.
        item: Bytes; the size of the items that it is made of, 1 where there is no such thing.
    """

    view: memoryview
    align: int = ALIGNMENT
    item: int = 1


@dataclass(frozen=True, slots=True)
class Serialized:
    """An object as it is stored: what names its serializer, and what that made of it."""

    serializer: str
    version: int
    header: Header
    buffers: list[BufferSpec]


@dataclass(frozen=True, slots=True)
class Description:
    """What a person wants to know of an object without loading it.

    Attributes:
        type: Qualified name of its type, such as "pandas.DataFrame".
        shape: Of an array; of a table its rows and columns; else None.
        dtype: Of an array; else None.
        schema: Name and type of each column of a table; None for what is none, and where it is not known.
    """

    type: str
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    schema: tuple[tuple[str, str], ...] | None = None

    @property
    def is_table(self) -> bool:
        """It has rows and columns, each column with a type of its own."""
        return self.shape is not None and len(self.shape) == 2 and self.dtype is None

    def checked(self) -> Description:
        """Itself.

        Raises:
            ValueError: It is not of these types, because the header that it was made from is not.
        """
        is_shape = self.shape is None or all(type(length) is int and length >= 0 for length in self.shape)
        texts = [self.type, self.dtype or "", *(text for column in self.schema or () for text in column)]
        if not is_shape or not all(type(text) is str for text in texts):
            raise ValueError(f"type {self.type!r}, shape {self.shape!r}, dtype {self.dtype!r}")
        return self


@runtime_checkable
class Describes(Protocol):
    """What a serializer may do beside: all of ours do, so that `stat` has something to show."""

    def describe(self, header: Header, lengths: Sequence[int], buffers: Sequence[memoryview | None]) -> Description:
        """What the object is.

        Args:
            header: As for Serializer.load().
            lengths: Of all buffers, in bytes.
            buffers: The small ones, or of a table those that naming() names, where they are; None for those that nobody
                has read.

        Raises:
            KeyError, IndexError, TypeError, ValueError: As for Serializer.load().
        """
        ...


@runtime_checkable
class Naming(Protocol):
    """What a serializer of tables may do beside describe(), so that `stat` reads no more than it needs."""

    def naming(self, header: Header, count: int) -> Collection[int]:
        """The numbers of the buffers that describe() needs for the schema.

        Args:
            header: As for Serializer.load().
            count: Of all buffers.

        Raises:
            KeyError, IndexError, TypeError, ValueError: As for Serializer.load().
        """
        ...


class Sink(Protocol):
    """Takes the buffers of an object while they are made. What a method raises ends the serializing."""

    def piece(self, view: memoryview, is_copy: bool) -> None:
        """The next stretch of a pickle; all pieces come before all other buffers.

        Args:
            is_copy: Its memory was made for it, and nobody else needs it.
        """
        ...

    def buffer(self, spec: BufferSpec) -> None:
        """The next one of the others."""
        ...

    def restart(self) -> None:
        """All that came so far is not of the object: it is begun anew."""
        ...


class Collected:
    """A sink that keeps all."""

    def __init__(self) -> None:
        self._pieces: list[BufferSpec] = []
        self._others: list[BufferSpec] = []

    def piece(self, view: memoryview, is_copy: bool) -> None:
        self._pieces.append(BufferSpec(view))

    def buffer(self, spec: BufferSpec) -> None:
        self._others.append(spec)

    def restart(self) -> None:
        self._pieces.clear()
        self._others.clear()

    @property
    def buffers(self) -> list[BufferSpec]:
        """In the order in which they are stored."""
        return [*self._pieces, *self._others]


class Serializer(Protocol):
    """Turns objects of some types into bytes and back.

    The same object must give the same header and bytes in every process, on every machine: refs are digests of them.

    Attributes:
        id: Its name in the store, for ever.
        version: Of what it writes; it reads this one and all before it.
        uses_pickle: Loading may run code that the bytes name.
    """

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def uses_pickle(self) -> bool: ...

    def accepts(self, obj: object) -> bool:
        """Whether the object is one that comes back equal and of the same type. Cheap: by type, not by contents."""
        ...

    def dump(self, obj: Any) -> Serialized:
        """The object as header and buffers. No I/O, and no copy of large contiguous memory.

        Raises:
            SerializationError: A part of it cannot be serialized.
        """
        ...

    # One that has a method `stream(obj, sink) -> Header` hands on its buffers by that, see Streaming.

    def load(self, version: int, header: Header, buffers: list[memoryview], *, readonly: bool) -> Any:
        """The object again, over the buffers themselves where it can be.

        Args:
            version: What it was written by, at most its own.
            header: As dumped; from a store that anyone may have written, so not to be trusted.
            buffers: As many as were dumped and as long, each writable, aligned, and nobody else's.
            readonly: Let nobody write to what comes back, where its type knows of that.

        Raises:
            KeyError, IndexError, TypeError, ValueError: The header does not fit the buffers; the registry makes a
                FormatError of it.
        """
        ...


class Streaming(Serializer, Protocol):
    """A serializer whose buffers need not all be in memory at once."""

    def stream(self, obj: Any, sink: Sink) -> Header:
        """As dump(), which gives the same header and buffers; may run in another thread than the caller's."""
        ...


def require(module: str) -> Any:
    """A library without which an artifact cannot be loaded.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ConfigurationError(f"this artifact needs {module}; run: python -m pip install {module}") from None


def bytes_of(data: Any) -> memoryview:
    """The bytes of anything with a contiguous buffer, flat."""
    view = memoryview(data)
    # cast() refuses views that have a zero in their shape.
    return view.cast("B") if view.nbytes else memoryview(b"")
