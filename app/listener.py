"""Accepts the connections of a port."""

import asyncio
import logging
import socket
from collections.abc import Callable

logger = logging.getLogger("gyoza.listener")

BACKLOG = 2048
"""So many connections wait in the port's own queue."""
AT_ONCE = 64
"""So many are accepted before others have their turn on the loop."""
PAUSE_S = 0.1
"""After a connection that could not be accepted, lest the loop spins where the system is out of files."""


class Listener:
    """Accepts connections while they are wanted; others wait in the port's own queue.

    Args:
        port: The socket that listens.
        welcome: Takes a connection over.
        is_wanted: Whether another one may be accepted now.
    """

    def __init__(
        self,
        port: socket.socket,
        welcome: Callable[[socket.socket], None],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Accept nothing yet."""
        port.setblocking(False)
        self._port = port
        self._welcome = welcome
        self._is_wanted = is_wanted
        self._accepts = self._closed = False

    def go_on(self) -> None:
        """Accept, since there may be a use for connections now."""
        if not self._accepts and not self._closed:
            self._accepts = True
            asyncio.get_running_loop().add_reader(self._port, self._accept_some)

    def close(self) -> None:
        """Accept what has come so far, wanted or not, and close the port."""
        self._pause()
        self._closed = True
        for _ in range(BACKLOG):
            if not self._accept():
                break
        self._port.close()

    def _pause(self) -> None:
        self._accepts = False
        asyncio.get_running_loop().remove_reader(self._port)

    def _accept_some(self) -> None:
        for _ in range(AT_ONCE):
            if not self._is_wanted():
                self._pause()
                return
            if not self._accept():
                return

    def _accept(self) -> bool:
        try:
            connection, _ = self._port.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            self._pause()
            asyncio.get_running_loop().call_later(PAUSE_S, self.go_on)
            logger.debug("no connection could be accepted: %s", error.strerror)
            return False
        self._welcome(connection)
        return True
