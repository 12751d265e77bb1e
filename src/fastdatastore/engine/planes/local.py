"""What needs no network, from the plane that this process has: CRCs, recycled memory, the constants of reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdatastore.engine.planes import select

__all__ = ["local"]

if TYPE_CHECKING:
    from fastdatastore import _native as local
else:
    local = select()
