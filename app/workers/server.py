"""The server of a worker: uvicorn's, with connections from the supervisor, and an ear for it."""

import asyncio
import signal
import socket
from contextlib import suppress
from types import FrameType

import uvicorn

from app import peers
from app.workers.channel import Reception
from app.workers.control import SharedControl
from app.workers.messages import (
    LONGEST_LINE,
    Answered,
    FromWorker,
    Leaving,
    Order,
    Peers,
    Serving,
    from_supervisor,
    line_of,
)

HANDSHAKE_S = 10
"""So long a client may take to begin with TLS; one that dawdles would keep the worker from its end."""


class WorkerServer(uvicorn.Server):
    """Serves connections that the supervisor accepted, until it says to drain, or is gone.

    Args:
        config: How uvicorn serves.
        pipe: The worker's end of the pipe.
        channel: The worker's end of the channel.
        known: What is known of the other workers; kept up to date.
        control: What loads and unloads in all workers.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        pipe: socket.socket,
        channel: socket.socket,
        known: peers.Peers,
        control: SharedControl,
    ) -> None:
        """Serve nothing yet."""
        super().__init__(config)
        self._pipe = pipe
        self._channel = channel
        self._known = known
        self._control = control
        self._loop: asyncio.AbstractEventLoop | None = None
        self._welcomes: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application and take connections; ``sockets`` must be none, since the supervisor has the port."""
        reader, self._writer = await asyncio.open_connection(sock=self._pipe, limit=LONGEST_LINE)
        self._loop = asyncio.get_running_loop()
        self._ear = self._loop.create_task(self._listen(reader))
        await super().startup(sockets=sockets or [])
        self._reception = Reception(self._channel, self._welcome, self._count_open)
        self.tell(Serving())

    async def on_tick(self, counter: int) -> bool:
        """Tell of connections that were closed; called ten times a second."""
        self._reception.tell()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what is on its way, then finish what runs."""
        self._reception.close()
        await asyncio.gather(*self._welcomes)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Leave when this worker is asked to; Ctrl+C reaches every process of a terminal, and is the supervisor's."""
        if sig == signal.SIGTERM:
            self.should_exit = self._loop is None
            self.tell_from_thread(Leaving())

    def tell(self, message: FromWorker) -> None:
        """Send a message to the supervisor."""
        self._writer.write(line_of(message))

    def tell_from_thread(self, message: FromWorker) -> None:
        """Send a message from another thread, or from the handler of a signal."""
        with suppress(RuntimeError):  # The loop is closed: whatever it was, this process ends.
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self.tell, message)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            async for line in reader:
                message = from_supervisor.validate_json(line)
                if isinstance(message, Peers):
                    self._known.waiting = message.waiting
                elif isinstance(message, Order):
                    self._control.obey(message)
                elif isinstance(message, Answered):
                    self._control.hear(message)
                else:
                    self.should_exit = True
        self.should_exit = True  # Without a supervisor there is no port.

    def _welcome(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        task = asyncio.create_task(self._serve_on(connection))
        self._welcomes.add(task)
        task.add_done_callback(self._welcomes.discard)

    async def _serve_on(self, connection: socket.socket) -> None:
        with suppress(OSError):  # The client has gone, or speaks no TLS.
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self.config.ssl,
                ssl_handshake_timeout=HANDSHAKE_S if self.config.ssl else None,
            )

    def _count_open(self) -> int:
        return len(self.server_state.connections) + len(self._welcomes)

    def _protocol(self) -> asyncio.Protocol:
        """Make what speaks HTTP on one connection, as uvicorn does for the connections that it accepts itself."""
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
