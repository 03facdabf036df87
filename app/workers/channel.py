"""The socket by which one worker gets its connections: open files go one way, counts come back.

A count tells how many connections the worker has taken so far, and how many are open. So the supervisor knows who is awake:
a worker that hangs, or that holds its interpreter for long, takes none, and gets no more until it does, while there are others.
What a worker had not taken when it died goes to another one.
"""

import asyncio
import logging
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

logger = logging.getLogger("gyoza.workers")

COUNTS = struct.Struct("<QQ")
MOST_WAITING = 8
"""So many connections may be on their way to a worker, and are held up if it hangs; others wait in the port's own queue."""
LATE_S = 0.05
"""A worker that takes nothing for so long is passed over; one that is awake takes less, on a busy machine, too."""
CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Channel:
    """The supervisor's end.

    Args:
        end: The socket.
        on_taken: Called whenever the worker took connections.
    """

    def __init__(self, end: socket.socket, on_taken: Callable[[], None]) -> None:
        """Listen for counts."""
        end.setblocking(False)
        self._end = end
        self._on_taken = on_taken
        self._waiting: deque[socket.socket] = deque()
        self._taken = self._open = 0
        self._last_handed = self._waiting_since = 0.0
        asyncio.get_running_loop().add_reader(end, self._read_counts)

    @property
    def waiting(self) -> int:
        """How many connections are on their way."""
        return len(self._waiting)

    @property
    def load(self) -> tuple[bool, int, float]:
        """Whether it is late to take one, how many it has, and when it got the last: the least is given the next one."""
        late = self.waiting > 0 and time.monotonic() - self._waiting_since > LATE_S
        return late, self.waiting + self._open, self._last_handed

    @property
    def is_full(self) -> bool:
        """Whether so many are on their way that another one should wait."""
        return self.waiting >= MOST_WAITING

    def hand_over(self, connection: socket.socket) -> bool:
        """Give the worker a connection, and return whether that can be done: a worker may have died just now.

        This process's own file of it is kept until the worker has taken it.
        """
        try:
            socket.send_fds(self._end, [b"c"], [connection.fileno()])
        except OSError:
            return False
        self._last_handed = time.monotonic()
        if not self.waiting:
            self._waiting_since = self._last_handed
        self._waiting.append(connection)
        return True

    def close(self) -> list[socket.socket]:
        """Hear no more of a worker that has ended, and return the connections that it had not taken."""
        while self._read():
            pass
        asyncio.get_running_loop().remove_reader(self._end)
        self._end.close()
        waiting, self._waiting = self._waiting, deque()
        return [*waiting]

    def _read_counts(self) -> None:
        if self._read():
            self._on_taken()
        else:
            asyncio.get_running_loop().remove_reader(self._end)

    def _read(self) -> bool:
        try:
            counts = self._end.recv(64 * COUNTS.size)
        except OSError:  # The worker died with connections in here that it had not taken.
            return False
        if not counts:
            return False
        before = self._taken
        self._taken, self._open = COUNTS.unpack(counts[-COUNTS.size :])
        for _ in range(self._taken - before):
            self._waiting.popleft().close()
        self._waiting_since = time.monotonic()
        return True


class Reception:
    """The worker's end.

    Args:
        end: The socket.
        welcome: Serves a connection from now on.
        count_open: Counts those that are open.
    """

    def __init__(
        self, end: socket.socket, welcome: Callable[[socket.socket], None], count_open: Callable[[], int]
    ) -> None:
        """Take connections as they come."""
        end.setblocking(False)
        self._end = end
        self._welcome = welcome
        self._count_open = count_open
        self._taken = 0
        self._told = (0, 0)
        asyncio.get_running_loop().add_reader(end, self._take)

    def tell(self) -> None:
        """Tell how many were taken and are open, if that changed."""
        counts = self._taken, self._count_open()
        if counts != self._told:
            with suppress(OSError):  # A supervisor that is busy learns of it by the next count; one that died, never.
                self._end.send(COUNTS.pack(*counts))
                self._told = counts

    def close(self) -> None:
        """Take what is on its way, and no more."""
        while self._take():
            pass
        asyncio.get_running_loop().remove_reader(self._end)
        self._end.close()

    def _take(self) -> bool:
        try:
            sent, files, _, _ = socket.recv_fds(self._end, 1, 1, CLOSE_ON_EXEC)
        except OSError:
            return False
        if not sent:
            asyncio.get_running_loop().remove_reader(self._end)
            return False
        self._taken += 1
        if files:
            self._welcome(socket.socket(fileno=files[0]))
        else:
            logger.error("a connection was lost, since this process may not open more files: raise ulimit -n")
        self.tell()
        return True
