"""The supervisor: keeps N workers alive, gives them connections, passes on what they tell, and ends them together."""

import asyncio
import logging
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

import typer

from app.announcement import headline
from app.logs import configure_logging
from app.metrics.shared import sheet_files
from app.repository import State
from app.serving import grace_s
from app.settings import Settings
from app.workers.channel import Channel
from app.workers.dispatcher import Dispatcher
from app.workers.messages import Ask, Done, Drain, FromWorker, Leaving, Loaded, Peers, Serving
from app.workers.orders import Orders
from app.workers.processes import COMMAND, END_S, HEARD_BY_SUPERVISOR, Launcher, WorkerProcess

logger = logging.getLogger("gyoza.workers")

YOUNG_S = 10
"""A worker that lived no longer than this died at once: the next one waits for a while, lest processes start for ever."""
LONGEST_PAUSE_S = 30


class Supervisor:
    """Serves by several processes.

    Args:
        launcher: Starts workers.
        listener: The port, open.
    """

    def __init__(self, launcher: Launcher, listener: socket.socket) -> None:
        """Start nothing yet."""
        self._launcher = launcher
        self._settings = launcher.settings
        self._workers: dict[int, WorkerProcess] = {}
        self._dispatcher = Dispatcher(listener, self._channels)
        self._orders = Orders(self._workers.values, launcher.unloaded)
        self._stopping = asyncio.Event()
        self._start = time.monotonic()
        self._announced = False
        self._code = 0

    async def run(self) -> int:
        """Serve until a signal asks to stop.

        Returns:
            The code to end with: 0 when every request was finished, 1 when that took too long or a second signal came.
        """
        for number in HEARD_BY_SUPERVISOR:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        keepers = [asyncio.create_task(self._keep(number)) for number in self._numbers]
        stopping = asyncio.create_task(self._until_stopping())
        # A keeper ends before that by a bug alone: then all end, and it is told.
        await asyncio.wait([stopping, *keepers], return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()
        self._dispatcher.close()
        for worker in self._workers.values():
            worker.tell(Drain())
        _, late = await asyncio.wait(keepers, timeout=grace_s(self._settings) + END_S)
        if late:
            self._cut_short()
        await asyncio.gather(*keepers)
        return self._code

    @property
    def _numbers(self) -> range:
        return range(1, self._settings.workers + 1)

    async def _until_stopping(self) -> None:
        await self._stopping.wait()

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            self._cut_short()
        self._stopping.set()

    def _cut_short(self) -> None:
        self._code = 1
        for worker in self._workers.values():
            logger.warning("%s is killed before it has answered every request", worker.name)
            worker.kill()

    async def _keep(self, number: int) -> None:
        """Keep one worker alive, by a new process after each that dies."""
        early_deaths = 0
        while not self._stopping.is_set():
            start = time.monotonic()
            how = await self._live(number)
            if self._stopping.is_set():
                return
            early_deaths = early_deaths + 1 if time.monotonic() - start < YOUNG_S else 0
            pause = pause_after(early_deaths)
            logger.warning("%s; another one starts%s", how, f" in {pause} s" if pause else "")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _live(self, number: int) -> str:
        """Accompany one process from its start to its end, and tell how it ended."""
        unloaded = frozenset(self._launcher.unloaded)
        try:
            worker = await self._launcher.start(number, self._dispatcher.go_on)
        except OSError as error:
            return f"worker {number} can't be started: {error.strerror}"
        self._workers[number] = worker
        self._orders.greet(worker, unloaded)
        self._tell_peers()
        if self._stopping.is_set():  # The signal came while it was started.
            worker.tell(Drain())
        async for message in worker.messages():
            self._hear(worker, message)
        del self._workers[number]
        self._orders.lose(worker)
        self._tell_peers()
        return f"{worker.name} {await worker.end()}"

    def _hear(self, worker: WorkerProcess, message: FromWorker) -> None:
        if isinstance(message, Serving):
            worker.serving = True
        elif isinstance(message, Leaving):
            worker.leaving = True
            worker.tell(Drain())
        elif isinstance(message, Ask):
            self._orders.give(worker, message)
        elif isinstance(message, Done):
            self._orders.hear(worker, message)
        else:
            worker.loaded = message
            logger.info("%s has loaded: %d of %d versions READY", worker.name, *counted(message))
            self._tell_peers()
            self._announce()
        self._dispatcher.go_on()

    def _channels(self) -> Iterator[Channel]:
        """The workers that have loaded get the connections; while none has, those that serve at all, to say so."""
        serving = [worker for worker in self._workers.values() if worker.serving and not worker.leaving]
        loaded = [worker for worker in serving if worker.loaded]
        return (worker.channel for worker in loaded or serving)

    def _tell_peers(self) -> None:
        waiting = tuple(text for number in self._numbers for text in self._waiting_for(number))
        for worker in self._workers.values():
            worker.tell(Peers(waiting=waiting))

    def _waiting_for(self, number: int) -> Iterator[str]:
        worker = self._workers.get(number)
        if worker is None:
            yield f"worker {number} is being started"
        elif worker.loaded is None:
            yield f"{worker.name} is loading"
        elif not worker.loaded.ready:
            yield f"{worker.name}: {faults(worker.loaded)}"

    def _announce(self) -> None:
        """When all workers have loaded for the first time, tell what is served: by the one that serves least."""
        all_loaded = [worker.loaded for worker in self._workers.values() if worker.loaded]
        if self._announced or len(all_loaded) < self._settings.workers:
            return
        self._announced = True
        least = min(all_loaded, key=counted)
        typer.echo(headline(self._launcher.url, *counted(least), time.monotonic() - self._start, len(all_loaded)))
        typer.echo(least.story)


def counted(loaded: Loaded) -> tuple[int, int]:
    """Count the versions that are READY, and all."""
    return sum(version.state == State.READY for version in loaded.versions), len(loaded.versions)


def faults(loaded: Loaded) -> str:
    """Tell the versions that are not READY, and why."""
    told = (
        f"{v.name} version {v.version} is {v.state} ({v.reason})" for v in loaded.versions if v.state != State.READY
    )
    return ", ".join(told) or "it has found no model"


def pause_after(early_deaths: int) -> int:
    """Return the seconds before another process starts: 0, then 1, 2, 4, … while processes die at once."""
    return min(2 ** (early_deaths - 2), LONGEST_PAUSE_S) if early_deaths > 1 else 0


def supervise(settings: Settings, listener: socket.socket, url: str, command: Sequence[str] = COMMAND) -> int:
    """Serve by ``settings.workers`` processes until a signal asks to stop.

    Args:
        settings: How.
        listener: The port, open.
        url: Where it is reached.
        command: What runs a worker.

    Returns:
        The code to end with.
    """
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # Every connection inherits it.
    with tempfile.TemporaryFile() as log_lock, sheet_files(settings.workers) as sheets:
        configure_logging(settings, log_lock.fileno())
        launcher = Launcher(settings, url, log_lock.fileno(), command, sheets)

        async def serve() -> int:
            return await Supervisor(launcher, listener).run()

        return asyncio.run(serve())
