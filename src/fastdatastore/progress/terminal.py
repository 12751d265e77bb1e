"""What a stream can show: a live line, colours, more than ASCII."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TextIO

_IN_ASCII = {"\N{MULTIPLICATION SIGN}": "x", "·": "|", "…": "...", "█": "#", "░": "-"}
_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"


@dataclass(frozen=True)
class Terminal:
    """A stream and what may be written to it.

    Attributes:
        is_live: A terminal on which a line can be written over.
        has_colour: A terminal, and NO_COLOR (no-color.org) is not set.
    """

    stream: TextIO
    is_live: bool
    has_colour: bool

    @classmethod
    def of(cls, stream: TextIO) -> Terminal:
        """What this stream can show."""
        is_live = stream.isatty() and os.environ.get("TERM") != "dumb"
        return cls(stream, is_live, is_live and not os.environ.get("NO_COLOR"))

    @property
    def width(self) -> int:
        """Columns."""
        return shutil.get_terminal_size((100, 24)).columns

    def can_show(self, text: str) -> bool:
        """Whether the stream's encoding has these characters."""
        try:
            text.encode(self.stream.encoding or "utf-8")
        except UnicodeEncodeError:
            return False
        return True

    def plain(self, text: str) -> str:
        """The text, in ASCII where the stream has no more."""
        if self.can_show(text):
            return text
        for character, ascii_one in _IN_ASCII.items():
            text = text.replace(character, ascii_one)
        return text.encode("ascii", "replace").decode()

    def bold(self, text: str) -> str:
        return f"{_BOLD}{text}{_RESET}" if self.has_colour else text

    def dim(self, text: str) -> str:
        return f"{_DIM}{text}{_RESET}" if self.has_colour else text
