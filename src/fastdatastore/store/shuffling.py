"""The byte shuffle of docs/format.md, by the native module where there is one."""

from __future__ import annotations

try:
    from fastdatastore._native import shuffle, unshuffle
except ImportError:  # built without it
    from fastdatastore.store.portable_shuffle import shuffle, unshuffle

__all__ = ["shuffle", "unshuffle"]
