"""What the store does with a serialized object, without the store: its buffers copied to aligned private memory."""

from __future__ import annotations

import ctypes
import hashlib
import json
from typing import Any

from fastdatastore.store.serializers import registry
from fastdatastore.store.serializers.base import Serialized


def aligned(view: memoryview, align: int) -> memoryview:
    """A private writable copy of the bytes that starts at a multiple of `align`."""
    memory = bytearray(view.nbytes + align)
    address = ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory))
    start = -address % align
    copy = memoryview(memory)[start : start + view.nbytes]
    copy[:] = view
    return copy


def stored(dumped: Serialized) -> tuple[dict[str, Any], list[memoryview]]:
    """Header and buffers as they come back from a store."""
    for spec in dumped.buffers:
        assert spec.view.format == "B"
        assert spec.view.c_contiguous
        assert spec.view.ndim == 1
        assert spec.item >= 1
    check_canonical(dumped.header)
    return json.loads(json.dumps(dumped.header)), [aligned(spec.view, spec.align) for spec in dumped.buffers]


def check_canonical(value: Any, level: int = 1) -> None:
    assert level <= 30
    if isinstance(value, dict):
        for name, member in value.items():
            assert type(name) is str
            check_canonical(member, level + 1)
    elif isinstance(value, list):
        for member in value:
            check_canonical(member, level + 1)
    else:
        assert value is None or type(value) in (str, bool, int), value
        if type(value) is int:
            assert abs(value) < 2**53


def load(dumped: Serialized, **options: Any) -> Any:
    header, buffers = stored(dumped)
    return registry.load(dumped.serializer, dumped.version, header, buffers, **options)


def round_trip(obj: object, **options: Any) -> Any:
    return load(registry.dump(obj), **options)


def fingerprint(obj: object) -> str:
    """A digest of all that a ref is made from."""
    dumped = registry.dump(obj)
    digest = hashlib.sha256(json.dumps([dumped.serializer, dumped.version, dumped.header], sort_keys=True).encode())
    for spec in dumped.buffers:
        digest.update(json.dumps([spec.view.nbytes, spec.align, spec.item]).encode())
        digest.update(spec.view)
    return digest.hexdigest()[:16]
