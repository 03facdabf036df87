"""What a server under measurement can do wrong."""

# ruff: noqa: N818 - what they are stands in their names and in that of their base.

__all__ = ["NeverReady", "ServerError", "Unspoken", "WrongAnswer"]


class ServerError(Exception):
    """A server is not as it must be to be measured."""


class WrongAnswer(ServerError):
    """It answered something else than what the layers answer."""


class Unspoken(ServerError):
    """It does not speak a wire format."""


class NeverReady(ServerError):
    """It ended, or can't become ready."""
