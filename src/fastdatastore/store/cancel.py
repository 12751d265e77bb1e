"""To call off what a store is doing, from another thread."""

from __future__ import annotations

from typing import Final


class Cancelled(Exception):
    """What was going on has been called off; whoever did so knows, so no user ever sees it."""


class Cancel:
    """Set by any thread, noticed within a tenth of a second by the one that works."""

    def __init__(self) -> None:
        self._is_set = False

    def __repr__(self) -> str:
        return f"<Cancel [{'set' if self._is_set else 'not set'}]>"

    def set(self) -> None:
        """Calls it off."""
        self._is_set = True

    def check(self) -> None:
        """Raises Cancelled if it has been called off."""
        if self._is_set:
            raise Cancelled


NEVER: Final = Cancel()
"""Of what nobody calls off."""
