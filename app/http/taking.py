"""Whether a client takes what waits for it."""

import asyncio
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from app.http import limits

fcntl: Any = import_module("fcntl") if find_spec("fcntl") else None
termios: Any = import_module("termios") if find_spec("termios") else None


class Taking:
    """Remembers when a client last took enough."""

    def __init__(self) -> None:
        """Begin with nothing that waits."""
        self._waiting = self._last = 0
        self._since = 0.0

    def forgive(self, pause: float) -> None:
        """Leave out so many seconds in which nobody could see what the client took."""
        self._since += pause

    def is_stuck(self, waiting: int, now: float) -> bool:
        """Tell how many bytes wait, and learn whether the client has taken too little of them for too long.

        More bytes than before count as taken ones: below TLS only those are seen that the system holds, and it takes others
        only when it got rid of a good part of them.
        """
        took_enough = waiting <= self._waiting - limits.LEAST_TAKEN
        if waiting == 0 or waiting > self._last or took_enough:
            self._waiting, self._since = waiting, now
        self._last = waiting
        return waiting > 0 and now - self._since > limits.TAKE_TIMEOUT_S


def waiting_in(transport: asyncio.Transport) -> int:
    """Count the bytes that were written to a connection and have not reached the other end, as far as can be told."""
    return transport.get_write_buffer_size() + unacknowledged(transport)


def unacknowledged(transport: asyncio.Transport) -> int:
    """Count the bytes that the system holds; it takes many at once, so its queue tells much sooner that one moves."""
    if fcntl is not None:
        with suppress(OSError, ValueError, AttributeError):  # There is no socket any more, or the system does not tell.
            file = transport.get_extra_info("socket").fileno()
            return int.from_bytes(fcntl.ioctl(file, termios.TIOCOUTQ, bytes(4)), "little")
    return 0
