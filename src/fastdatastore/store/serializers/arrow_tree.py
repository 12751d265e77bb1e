"""Arrow arrays as a list of nodes and the buffers that they are made of, cut to what the arrays refer to.

A node is [type, length, nulls, offset, [buffers], [children], dictionary]: the type as its number among the types,
buffers by number or null, children and the dictionary (or null) as the numbers of nodes before it, offset and length in
items, nulls -1 where nobody has counted them. The buffers are those of Arrow's columnar format for that type. The types
themselves are the fields of one schema, in Arrow's IPC encapsulation: that is the first buffer.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fastdatastore.errors import SerializationError
from fastdatastore.store.serializers.arrow_exact import Data, data_of, exact, storage_of
from fastdatastore.store.serializers.base import BufferSpec, Json, require

pa = require("pyarrow")


def takes(schema: Any) -> bool:
    """Whether its types come back as they are: not dictionaries of dictionaries, nor types that nobody registered."""
    return bool(pa.ipc.read_schema(pa.py_buffer(schema.serialize())).equals(schema, check_metadata=True))


class Writer:
    """Collects arrays; a dictionary that several of them share is written once."""

    def __init__(self) -> None:
        self.nodes: list[Json] = []
        self._types: list[Any] = []
        self._buffers: list[BufferSpec] = []
        # The data too, so that no other has its address meanwhile.
        self._dictionaries: dict[tuple[Any, ...], tuple[int, Data]] = {}

    def add(self, array: Any) -> int:
        """The number of the array's node.

        Raises:
            SerializationError: The array is not valid, so that a Reader would refuse it.
        """
        try:
            array.validate()
            return self._node(exact(data_of(array)))
        except pa.ArrowInvalid as error:
            raise SerializationError(
                f"an Arrow array of {array.type} is not valid: {error}; mend what made it (its validate(full=True) "
                "says the same)"
            ) from error

    def type(self, kind: Any) -> int:
        for number, known in enumerate(self._types):
            if known.equals(kind, check_metadata=True):
                return number
        self._types.append(kind)
        return len(self._types) - 1

    def buffers(self) -> list[BufferSpec]:
        """All, the types first."""
        types = pa.schema([pa.field(str(number), kind) for number, kind in enumerate(self._types)])
        return [BufferSpec(memoryview(types.serialize()).cast("B")), *self._buffers]

    def _node(self, data: Data) -> int:
        _check_indices(data)
        kind, length, _, offset, buffers, children, dictionary = data
        numbers = [
            None if buffer is None else self._buffer(buffer, _item(kind, at)) for at, buffer in enumerate(buffers)
        ]
        inner = [self._node(child) for child in children]
        nulls = _nulls(kind, length, buffers)  # whether somebody has counted them already is no part of the data
        words = None if dictionary is None else self._dictionary(dictionary)
        self.nodes.append([self.type(kind), length, nulls, offset, numbers, inner, words])
        return len(self.nodes) - 1

    def _dictionary(self, data: Data) -> int:
        key = _identity(data)
        if key not in self._dictionaries:
            self._dictionaries[key] = self._node(exact(data)), data
        return self._dictionaries[key][0]

    def _buffer(self, buffer: Any, item: int) -> int:
        view = memoryview(buffer).cast("B") if buffer.size else memoryview(b"")
        self._buffers.append(BufferSpec(view, item=item))
        return len(self._buffers)


class Reader:
    """Builds arrays from nodes that anyone may have written.

    Nothing in them leads out of their buffers: neither a length nor an offset or an index, which are looked at one by
    one. What is in the buffers is not, such as whether text is valid UTF-8. Only what is asked for is looked at; the
    buffers of all else need not be there.
    """

    def __init__(self, nodes: list[Json], buffers: list[memoryview]) -> None:
        self._buffers = [pa.py_buffer(buffer) for buffer in buffers]
        self.types = pa.ipc.read_schema(self._buffers[0]).types
        self._nodes = nodes
        self._data: dict[int, tuple[Any, ...]] = {}
        self._sound: set[int] = set()

    def array(self, number: int) -> Any:
        self._look_at(number)
        array = pa.lib._restore_array(self._data[_natural(number)])
        array.validate()
        self._check_indices(number)
        return array

    def _look_at(self, number: int) -> None:
        """At a node and all that it is made of, which comes before it."""
        wanted: set[int] = set()
        pending = [number]
        while pending:
            at = _natural(pending.pop())
            if at not in wanted and at not in self._data:
                wanted.add(at)
                pending += self._parts(at)
        for at in sorted(wanted):
            self._data[at] = self._checked(self._nodes[at])

    def _check_indices(self, number: int) -> None:
        """Of a node and those in it; of each once, however many columns say that it is theirs."""
        if number not in self._sound:
            self._sound.add(number)
            _check_indices(self._data[number])
            for part in self._parts(number):
                self._check_indices(part)

    def _parts(self, number: int) -> list[Json]:
        """The nodes that this one is made of."""
        *_, inner, words = self._nodes[number]
        return inner if words is None else [*inner, words]

    def _checked(self, node: Json) -> tuple[Any, ...]:
        number, length, nulls, offset, numbers, inner, words = node
        kind = self.types[_natural(number)]
        storage = storage_of(kind)
        buffers = [None if at is None else self._buffers[_natural(at)] for at in numbers]
        children = [self._data[_natural(at)] for at in inner]
        dictionary = None if words is None else self._data[_natural(words)]
        fits = (
            _fits(len(buffers), storage)
            and [child[0] for child in children] == children_of(storage)
            and (dictionary is not None) == pa.types.is_dictionary(storage)
            and (dictionary is None or dictionary[0] == storage.value_type)
        )
        if not fits:
            raise ValueError(f"{len(buffers)} buffers and {len(children)} children of {kind}")
        if type(nulls) is not int or nulls != _nulls(kind, length, buffers):
            raise ValueError(f"{nulls!r} nulls")
        return kind, _natural(length), nulls, _natural(offset), buffers, children, dictionary


def buffers_of(nodes: list[Json], numbers: Collection[int]) -> set[int]:
    """The numbers of the buffers that these nodes, and those in them, are made of."""
    wanted: set[int] = set()
    seen: set[int] = set()
    pending = [*numbers]
    while pending:
        at = _natural(pending.pop())
        if at not in seen:
            seen.add(at)
            *_, buffers, inner, words = nodes[at]
            wanted.update(number for number in buffers if number is not None)
            pending += inner if words is None else [*inner, words]
    return wanted


def _natural(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no size or number")
    return value


def _nulls(kind: Any, length: int, buffers: list[Any]) -> int:
    """How many an array has; -1 where they are to be counted."""
    if pa.types.is_null(storage_of(kind)):
        return length
    return 0 if not buffers or buffers[0] is None else -1


def _check_indices(data: tuple[Any, ...]) -> None:
    """Raises ValueError if an offset or index in the buffers leads out of other buffers or of the children."""
    kind, length, nulls, offset, buffers, children, dictionary = data
    storage = storage_of(kind)
    if (hollow := _hollow(storage)) is None:
        return
    inner = [_nothing(child[1]) for child in children]
    if pa.types.is_run_end_encoded(storage):
        inner[0] = children[0]
    words = None if dictionary is None else _nothing(dictionary[1])
    pa.lib._restore_array((hollow, length, nulls, offset, buffers, inner, words)).validate(full=True)


def _hollow(kind: Any) -> Any:
    """A type with the same offsets or indices as this one and nothing else to validate; None where there are none."""
    types, nothing = pa.types, pa.null()
    if types.is_string(kind) or types.is_binary(kind):
        return pa.binary()
    if types.is_large_string(kind) or types.is_large_binary(kind):
        return pa.large_binary()
    if types.is_string_view(kind) or types.is_binary_view(kind):
        return pa.binary_view()
    if types.is_list(kind) or types.is_map(kind):
        return pa.list_(nothing)
    if types.is_large_list(kind):
        return pa.large_list(nothing)
    if types.is_list_view(kind):
        return pa.list_view(nothing)
    if types.is_large_list_view(kind):
        return pa.large_list_view(nothing)
    if types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, nothing)
    if types.is_run_end_encoded(kind):
        return pa.run_end_encoded(kind.run_end_type, nothing)
    if types.is_union(kind):
        fields = [pa.field(str(number), nothing) for number in range(kind.num_fields)]
        return pa.union(fields, mode=kind.mode, type_codes=kind.type_codes)
    return None


def _nothing(length: int) -> tuple[Any, ...]:
    """The data of an array of so many nulls."""
    return pa.null(), length, length, 0, [None], [], None


def children_of(kind: Any) -> list[Any]:
    """The types of an array's children."""
    if pa.types.is_run_end_encoded(kind):
        return [kind.run_end_type, kind.value_type]
    if pa.types.is_dictionary(kind):
        return []
    return [kind.field(at).type for at in range(kind.num_fields)]


def _fits(count: int, kind: Any) -> bool:
    """Whether an array of the type has that many buffers."""
    types = pa.types
    if types.is_string_view(kind) or types.is_binary_view(kind):
        return count >= 2
    if types.is_null(kind) or types.is_struct(kind) or types.is_fixed_size_list(kind):
        return count == 1
    if types.is_run_end_encoded(kind):
        return count == 1
    if types.is_union(kind):
        return count == (2 if kind.mode == "sparse" else 3)
    if types.is_list_view(kind) or types.is_large_list_view(kind):
        return count == 3
    if types.is_binary(kind) or types.is_string(kind) or types.is_large_binary(kind) or types.is_large_string(kind):
        return count == 3
    return count == 2


def _item(kind: Any, at: int) -> int:
    """The size in bytes of what the buffer repeats."""
    storage = storage_of(kind)
    try:
        return max(1, storage.bit_width // 8) if at == 1 else 1
    except ValueError:  # a type of no fixed width: offsets, or characters
        if at == 1 and not (pa.types.is_union(storage) or pa.types.is_run_end_encoded(storage)):
            large = (pa.types.is_large_list, pa.types.is_large_string, pa.types.is_large_binary)
            return 8 if any(is_large(storage) for is_large in large) else 4
        return 1


def _identity(data: tuple[Any, ...]) -> tuple[Any, ...]:
    """Equal for arrays over the same memory."""
    kind, length, _, offset, buffers, children, dictionary = data
    memory = tuple(None if buffer is None else (buffer.address, buffer.size) for buffer in buffers)
    inner = tuple(_identity(child) for child in children)
    return str(kind), length, offset, memory, inner, None if dictionary is None else _identity(dictionary)
