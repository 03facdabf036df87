"""The server of a worker: with connections from the supervisor, and an ear for it."""

import asyncio
import signal
import socket
from contextlib import suppress
from types import FrameType

import uvicorn

from app import peers
from app.engine import Engine
from app.lifecycle import Lifecycle
from app.server import Server
from app.settings import Settings
from app.workers.channel import Reception
from app.workers.control import SharedControl
from app.workers.messages import (
    BEAT_S,
    LONGEST_LINE,
    Alive,
    Answered,
    Drain,
    Draining,
    FromSupervisor,
    FromWorker,
    Leaving,
    Order,
    Peers,
    Serving,
    Stop,
    from_supervisor,
    line_of,
)


class WorkerServer(Server):
    """Serves connections that the supervisor accepted, until it says to drain, or is gone.

    Args:
        config: How uvicorn serves.
        settings: How it ends.
        lifecycle: Kept up to date.
        pipe: The worker's end of the pipe.
        channel: The worker's end of the channel.
        known: What is known of the other workers; kept up to date.
        control: What loads and unloads in all workers.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what every server has, and what joins this one to its supervisor
        self,
        config: uvicorn.Config,
        settings: Settings,
        lifecycle: Lifecycle,
        pipe: socket.socket,
        channel: socket.socket,
        known: peers.Peers,
        control: SharedControl,
    ) -> None:
        """Serve nothing yet."""
        super().__init__(config, settings, lifecycle)
        self._pipe = pipe
        self._channel = channel
        self._known = known
        self._control = control
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application and take connections."""
        reader, self._writer = await asyncio.open_connection(sock=self._pipe, limit=LONGEST_LINE)
        self._loop = asyncio.get_running_loop()
        self._ear = self._loop.create_task(self._listen(reader))
        await super().startup(sockets=[])
        self._reception = Reception(self._channel, self.welcome, lambda: self.open_connections)
        self.tell(Serving())
        self._heart = self._loop.create_task(self._beat())

    async def on_tick(self, counter: int) -> bool:
        """Tell of connections that were closed; called ten times a second."""
        self._reception.tell()
        return await super().on_tick(counter)

    def stop_accepting(self) -> None:
        """Take what is on its way, and no more."""
        self._reception.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Leave when this worker is asked to; Ctrl+C reaches every process of a terminal, and is the supervisor's."""
        if sig == signal.SIGTERM:
            self.should_exit = self.should_exit or self._loop is None
            self.tell_from_thread(Leaving())

    def tell(self, message: FromWorker) -> None:
        """Send a message to the supervisor."""
        self._writer.write(line_of(message))

    def tell_from_thread(self, message: FromWorker) -> None:
        """Send a message from another thread, or from the handler of a signal."""
        with suppress(RuntimeError):  # The loop is closed: whatever it was, this process ends.
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self.tell, message)

    async def _beat(self) -> None:
        """Tell that the loop turns, until the process ends."""
        engine: Engine = self.lifespan.state["services"].engine
        while True:
            self.tell(Alive(fault=engine.fault))
            await asyncio.sleep(BEAT_S)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            with suppress(ConnectionError):
                async for line in reader:
                    if line.endswith(b"\n"):  # The last one may have been cut off.
                        self._hear(from_supervisor.validate_json(line))
        finally:
            self._hear(Drain())  # Without a supervisor there is no port.
            self._control.abandon()

    def _hear(self, message: FromSupervisor) -> None:
        if isinstance(message, Peers):
            self._known.waiting = message.waiting
        elif isinstance(message, Order):
            self._control.obey(message)
        elif isinstance(message, Answered):
            self._control.hear(message)
        else:
            self._lifecycle.draining = True
            self.should_exit = self.should_exit or not isinstance(message, Draining)
            self.force_exit = self.force_exit or isinstance(message, Stop)
