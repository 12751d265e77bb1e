"""Which serializer takes an object, and what is said of one that cannot be read here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from fastdatastore.errors import ConfigurationError, FormatError, SerializationError
from fastdatastore.store.serializers import registry
from fastdatastore.store.serializers.base import BufferSpec, Header, Serialized
from tests.support.serialized import load, round_trip


class Celsius:
    def __init__(self, degrees: int) -> None:
        self.degrees = degrees


class Thermometer:
    """A serializer of a third party."""

    id = "celsius"
    version = 2
    uses_pickle = False

    def accepts(self, obj: object) -> bool:
        return type(obj) is Celsius

    def dump(self, obj: Celsius) -> Serialized:
        return Serialized(self.id, self.version, {"degrees": obj.degrees}, [])

    def load(self, version: int, header: Header, buffers: list[memoryview], *, readonly: bool) -> Celsius:
        return Celsius(header["degrees"] if version == 2 else header["half-degrees"] // 2)


THERMOMETER = Thermometer()


@pytest.fixture
def thermometer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    point = EntryPoint("celsius", f"{__name__}:THERMOMETER", registry.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: THERMOMETER)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point] if group == registry.GROUP else [])
    registry.third_parties.cache_clear()
    yield
    registry.third_parties.cache_clear()


def test_an_entry_point_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("celsius", "no.such.module:SERIALIZER", registry.GROUP)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point])
    registry.third_parties.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match=r"\(no.such.module:SERIALIZER\) cannot be loaded: Module"):
            registry.dump({})
        assert registry.dump(b"").serializer == "raw"
        assert registry.describe("celsius", 1, {}, [], []).type == "(by the serializer celsius)"
    finally:
        registry.third_parties.cache_clear()


@pytest.mark.usefixtures("thermometer")
def test_an_entry_point_serializes_its_own_type() -> None:
    assert registry.dump(Celsius(21)).serializer == "celsius"
    assert round_trip(Celsius(21), allow_pickle=False).degrees == 21


@pytest.mark.usefixtures("thermometer")
def test_an_older_version_is_read() -> None:
    assert registry.load("celsius", 1, {"half-degrees": 42}, []).degrees == 21


@pytest.mark.usefixtures("thermometer")
def test_a_newer_version_is_refused_naming_the_version_needed() -> None:
    with pytest.raises(FormatError, match=r"needs version 3 of the serializer 'celsius', here is version 2"):
        registry.load("celsius", 3, {}, [])


def test_a_newer_version_of_ours_asks_for_a_newer_fastdatastore() -> None:
    with pytest.raises(FormatError, match=r"needs version 2 of the serializer 'raw', .*upgrade fastdatastore"):
        registry.load("raw", 2, {}, [])


def test_an_unknown_serializer_is_named() -> None:
    with pytest.raises(FormatError, match=r"needs the serializer 'kelvin', version 1, and nothing here provides it"):
        registry.load("kelvin", 1, {}, [])


@pytest.mark.parametrize(
    "header", [{}, {"type": "int"}, {"type": 1}, {"type": "memoryview", "format": "s", "shape": [1]}]
)
def test_a_header_that_makes_no_sense_is_a_format_error(header: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match=r"header \(serializer 'raw' version 1\) does not fit"):
        registry.load("raw", 1, header, [memoryview(bytearray(8))])


def test_buffers_that_are_missing_are_a_format_error() -> None:
    dumped = Serialized("raw", 1, {"type": "bytes"}, list[BufferSpec]())
    with pytest.raises(FormatError):
        load(dumped)


def test_a_serialization_error_can_be_pickled() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(SerializationError("cannot", "['a'].b")))
    assert (str(error), error.path) == ("cannot", "['a'].b")


def test_nothing_heavy_is_imported_for_objects_that_need_nothing() -> None:
    program = (
        "import sys; from fastdatastore.store.serializers import registry; registry.dump(b'bytes'); "
        "print(sorted({'numpy', 'pyarrow', 'pandas', 'polars', 'cloudpickle', 'botocore'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
