"""The server of a process: uvicorn's, with connections that are accepted elsewhere, and an end that loses no request."""

import asyncio
import logging
import socket
import time
from contextlib import suppress
from types import FrameType
from typing import Protocol, cast

import uvicorn

from app.http.taking import unacknowledged
from app.lifecycle import Lifecycle
from app.listener import Listener
from app.settings import Settings

logger = logging.getLogger("gyoza.serving")

HANDSHAKE_S = 10
"""So long a client may take to begin with TLS."""
SHUTDOWN_S = 86_400
"""So long TLS may take to end: longer than any answer on its way, since it would be cut off without a word. The protocol
sees to it that clients don't dawdle."""
MOST_FAREWELL = 2**10
"""Bytes of a farewell, which TLS sends when all else is sent."""
LINGER_S = 0.5
"""So long a connection without a request stays open once the port is closed: one may be on its way."""
FAREWELL_S = 1.0
"""So much longer clients have to say farewell, as TLS wants it."""
END_S = 1.0
"""So long what is left of requests that were cut may take to end."""
POLL_S = 0.05


class Cycle(Protocol):
    """A request and its answer."""

    response_complete: bool


class Connection(Protocol):
    """What speaks HTTP on a connection, as uvicorn makes it."""

    transport: asyncio.Transport
    cycle: Cycle | None

    def shutdown(self) -> None:
        """Close as soon as no request runs."""


class Server(uvicorn.Server):
    """Serves connections that it is given, and answers what has come before it ends.

    Args:
        config: How uvicorn serves.
        settings: How it ends.
        lifecycle: Kept up to date.
    """

    def __init__(self, config: uvicorn.Config, settings: Settings, lifecycle: Lifecycle) -> None:
        """Serve nothing yet."""
        super().__init__(config)
        self.code = 0
        """What the process should end with: 1 if it was asked twice, or requests were cut."""
        self._settings = settings
        self._lifecycle = lifecycle
        self._welcomes: set[asyncio.Task[None]] = set()

    def welcome(self, connection: socket.socket) -> None:
        """Serve a connection from now on."""
        connection.setblocking(False)
        task = asyncio.create_task(self._serve_on(connection))
        self._welcomes.add(task)
        task.add_done_callback(self._welcomes.discard)

    @property
    def open_connections(self) -> int:
        """How many there are, those that begin with TLS among them."""
        return len(self.server_state.connections) + len(self._welcomes)

    def stop_accepting(self) -> None:
        """Take what has come, and no more."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what is on its way, finish what runs, or cut it short, and close the application."""
        self._lifecycle.draining = True
        self.stop_accepting()
        begin, lingered = time.monotonic(), 0.0
        while self._is_needed(time.monotonic() - begin, lingered):
            if lingered >= LINGER_S:
                self._close_idle()
            await asyncio.sleep(POLL_S)
            # Not by the clock: where the machine stood still, so did what is on its way.
            lingered += POLL_S
        await self._cut_short()
        await self.lifespan.shutdown()

    def _is_needed(self, passed: float, lingered: float) -> bool:
        """Whether to wait, so many seconds after the port was closed, and so many that idle connections were kept."""
        if self.force_exit or passed >= self._settings.drain_timeout_s:
            return False
        return bool(self.open_connections and lingered < LINGER_S + FAREWELL_S) or bool(self._unanswered())

    def _close_idle(self) -> None:
        for task in self._welcomes:
            task.cancel()
        for connection in self._connections():
            connection.shutdown()

    async def _cut_short(self) -> None:
        """End what is left, and tell of it."""
        cut = self._unanswered()
        if cut or self.force_exit:
            self.code = 1
            reason = "it was asked to end at once" if self.force_exit else "GYOZA_DRAIN_TIMEOUT_S is over"
            logger.warning("%d requests were cut, since %s", len(cut), reason)
        self._close_idle()
        for connection in self._connections():
            connection.transport.abort()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=END_S)

    def _unanswered(self) -> list[Connection]:
        return [connection for connection in self._connections() if is_unanswered(connection)]

    def _connections(self) -> list[Connection]:
        return [cast("Connection", connection) for connection in self.server_state.connections]

    async def _serve_on(self, connection: socket.socket) -> None:
        with suppress(OSError):  # The client has gone, or speaks no TLS.
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self.config.ssl,
                ssl_handshake_timeout=HANDSHAKE_S if self.config.ssl else None,
                ssl_shutdown_timeout=SHUTDOWN_S if self.config.ssl else None,
            )

    def _protocol(self) -> asyncio.Protocol:
        """Make what speaks HTTP on one connection, as uvicorn does for the connections that it accepts itself."""
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


class PortServer(Server):
    """Accepts by itself, and ends when a signal asks for it.

    Args:
        config: How uvicorn serves.
        settings: How it ends.
        lifecycle: Kept up to date.
        port: The socket that listens.
    """

    def __init__(self, config: uvicorn.Config, settings: Settings, lifecycle: Lifecycle, port: socket.socket) -> None:
        """Accept nothing yet."""
        super().__init__(config, settings, lifecycle)
        self._listener = Listener(port, self.welcome)
        self._exit_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, and accept."""
        await super().startup(sockets=[])
        self._listener.go_on()

    async def on_tick(self, counter: int) -> bool:
        """End when the load balancers had time to see that it is not ready any more; called ten times a second."""
        if self._exit_at is not None and time.monotonic() >= self._exit_at:
            self.should_exit = True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain; asked for the second time, end at once."""
        if self._lifecycle.draining:
            self.force_exit = self.should_exit = True
        self._lifecycle.draining = True
        delay_s = self._settings.pre_stop_delay_s if self._lifecycle.loaded else 0.0
        self._exit_at = time.monotonic() + delay_s

    def stop_accepting(self) -> None:
        """Take what has come, and no more."""
        self._listener.close()


def is_unanswered(connection: Connection) -> bool:
    """Whether the head of a request has come whose answer has not gone out as a whole."""
    cycle = connection.cycle
    runs = cycle is not None and not cycle.response_complete
    return runs or connection.transport.get_write_buffer_size() > 0 or is_held_up(connection.transport)


def is_held_up(transport: asyncio.Transport) -> bool:
    """Whether TLS may have encrypted more than the system takes: how much that is can't be told, but then it holds much."""
    return transport.get_extra_info("ssl_object") is not None and unacknowledged(transport) > MOST_FAREWELL
