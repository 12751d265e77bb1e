"""What can go wrong when a test server is started."""

from __future__ import annotations

__all__ = ["ServerError", "ServerStartFailed", "ServerUnavailable"]


class ServerError(RuntimeError):
    """A test server could not be had."""


class ServerUnavailable(ServerError):
    """A program or package is not on this machine; the message ends with the command that mends it."""


class ServerStartFailed(ServerError):
    """The program is here but did not come up; the message ends with a part of its log. Nothing is left."""
