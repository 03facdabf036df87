"""Deals the connections of a port out to workers."""

import logging
import socket
from collections.abc import Callable, Iterable

from app.listener import Listener
from app.workers.channel import Channel

logger = logging.getLogger("gyoza.workers")


class Dispatcher:
    """Hands each connection to the worker that has least to take and least open; while there is none, connections wait.

    Args:
        port: The socket that listens.
        channels: Those of the workers that may be given connections.
    """

    def __init__(self, port: socket.socket, channels: Callable[[], Iterable[Channel]]) -> None:
        """Accept nothing yet."""
        self._channels = channels
        self._listener = Listener(port, self.deal, self._is_room)

    def go_on(self) -> None:
        """Accept, since there may be a worker now that takes connections."""
        self._listener.go_on()

    def close(self) -> None:
        """Hand over what has come so far, also to workers that have much to take, and close the port."""
        self._listener.close()

    def deal(self, connection: socket.socket) -> None:
        """Hand one connection over."""
        channels = sorted(self._channels(), key=lambda channel: (channel.is_full, channel.load))
        if not any(channel.hand_over(connection) for channel in channels):
            connection.close()
            logger.warning("a connection was closed, since every worker ended just now")

    def _is_room(self) -> bool:
        return any(not channel.is_full for channel in self._channels())
