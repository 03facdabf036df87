"""Accepts the connections of a port and deals them out to workers."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable

from app.workers.channel import Channel

logger = logging.getLogger("gyoza.workers")

PAUSE_S = 0.1
"""After a connection that could not be accepted, lest the loop spins where the system is out of files."""


class Dispatcher:
    """Hands each connection to the worker that has least to take and least open; while there is none, connections wait.

    Args:
        listener: The port.
        channels: Those of the workers that may be given connections.
    """

    def __init__(self, listener: socket.socket, channels: Callable[[], Iterable[Channel]]) -> None:
        """Accept nothing yet."""
        listener.setblocking(False)
        self._listener = listener
        self._channels = channels
        self._accepts = False
        self._closed = False

    def go_on(self) -> None:
        """Accept, since there may be a worker now that takes connections."""
        if not self._accepts and not self._closed:
            self._accepts = True
            asyncio.get_running_loop().add_reader(self._listener, self._deal)

    def close(self) -> None:
        """Accept no more, and close the port."""
        self._pause()
        self._closed = True
        self._listener.close()

    def _pause(self) -> None:
        self._accepts = False
        asyncio.get_running_loop().remove_reader(self._listener)

    def _deal(self) -> None:
        channels = sorted((channel for channel in self._channels() if not channel.is_full), key=lambda one: one.load)
        if not channels:
            self._pause()
            return
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            self._pause()
            asyncio.get_running_loop().call_later(PAUSE_S, self.go_on)
            logger.debug("no connection could be accepted: %s", error.strerror)
            return
        with connection:  # Closes this process's own file of it; the worker has another one.
            if not any(channel.hand_over(connection) for channel in channels):
                logger.warning("a connection was closed, since every worker ended just now")
