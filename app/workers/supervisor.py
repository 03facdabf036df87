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
from app.settings import Settings
from app.workers.channel import Channel
from app.workers.dispatcher import Dispatcher
from app.workers.messages import (
    Alive,
    Ask,
    Done,
    Drain,
    Draining,
    FromSupervisor,
    FromWorker,
    Leaving,
    Loaded,
    Peers,
    Serving,
    Stop,
)
from app.workers.orders import Orders
from app.workers.processes import COMMAND, END_S, HEARD_BY_SUPERVISOR, Launcher, WorkerProcess
from app.workers.watch import Watch

logger = logging.getLogger("gyoza.workers")

YOUNG_S = 10
"""A worker that lived no longer than this died at once: the next one waits for a while, lest processes start for ever."""
LONGEST_PAUSE_S = 30
ASKED_TOGETHER_S = 0.2
"""Signals to all processes of a group come to each of them within less."""


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
        self._watch = Watch(lambda: tuple(self._workers.values()), self._tell_peers)
        self._orders = Orders(self._workers.values)
        self._stopping, self._closing, self._cut = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._start = time.monotonic()
        self._announced = False
        self._code = 0

    async def run(self) -> int:
        """Serve until a signal asks to stop.

        Returns:
            The code to end with: 0 when every request was answered, 1 when that took too long or a second signal came.
        """
        for number in HEARD_BY_SUPERVISOR:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        watching = asyncio.create_task(self._watch.run())
        keepers = [asyncio.create_task(self._keep(number)) for number in self._numbers]
        stopping = asyncio.create_task(until(self._stopping))
        # A keeper ends before that by a bug alone: then all end, and it is told.
        await asyncio.wait([stopping, *keepers], return_when=asyncio.FIRST_COMPLETED)
        self._stop()
        await until(self._cut, self._pre_stop_s)
        self._close()
        _, late = await asyncio.wait(keepers, timeout=self._settings.drain_timeout_s + END_S)
        if late:
            self._kill_all()
        await asyncio.gather(*keepers)
        watching.cancel()
        return self._code

    @property
    def _numbers(self) -> range:
        return range(1, self._settings.workers + 1)

    @property
    def _pre_stop_s(self) -> float:
        """What never was ready need not be seen to be so no more."""
        return self._settings.pre_stop_delay_s if any(worker.loaded for worker in self._workers.values()) else 0.0

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            self._cut_short()
        self._stop()

    def _stop(self) -> None:
        """Be ready no more, and go on for now."""
        self._stopping.set()
        self._tell(Draining())

    def _close(self) -> None:
        """Take no more connections, and let the workers finish."""
        self._closing.set()
        self._dispatcher.close()
        self._tell(Drain())

    def _cut_short(self) -> None:
        """End at once; whoever does not is killed."""
        self._code = 1
        self._cut.set()
        self._tell(Stop())
        asyncio.get_running_loop().call_later(END_S, self._kill_all)

    def _kill_all(self) -> None:
        for worker in self._workers.values():
            self._code = 1
            logger.warning("%s is killed before it has answered every request", worker.name)
            worker.kill()

    def _tell(self, message: FromSupervisor) -> None:
        for worker in self._workers.values():
            worker.tell(message)

    async def _keep(self, number: int) -> None:
        """Keep one worker alive, by a new process after each that dies."""
        early_deaths = 0
        while not self._closing.is_set():
            start = time.monotonic()
            how = await self._live(number)
            if self._closing.is_set():
                return
            early_deaths = early_deaths + 1 if time.monotonic() - start < YOUNG_S else 0
            pause = pause_after(early_deaths)
            logger.warning("%s; another one starts%s", how, f" in {pause} s" if pause else "")
            await until(self._closing, pause)

    async def _live(self, number: int) -> str:
        """Accompany one process from its start to its end, and tell how it ended."""
        self._orders.begin(number)
        try:
            worker = await self._launcher.start(number, self._dispatcher.go_on)
        except OSError as error:
            return f"worker {number} can't be started: {error.strerror}"
        self._workers[number] = worker
        self._orders.greet(number, worker)
        self._tell_peers()
        self._greet(worker)
        async for message in worker.messages():
            self._hear(worker, message)
        del self._workers[number]
        self._orders.lose(worker)
        self._tell_peers()
        how = f"{worker.name} {await worker.end()}"
        for connection in worker.channel.close():
            self._dispatcher.deal(connection)
        if self._closing.is_set() and worker.serving and worker.code:
            self._code = 1
            logger.warning("%s", how)
        return how

    def _greet(self, worker: WorkerProcess) -> None:
        """Tell a worker what the others were told before it was started."""
        for told, message in ((self._stopping, Draining()), (self._closing, Drain()), (self._cut, Stop())):
            if told.is_set():
                worker.tell(message)

    def _hear(self, worker: WorkerProcess, message: FromWorker) -> None:
        self._watch.heard(worker)
        if isinstance(message, Serving):
            worker.serving = True
        elif isinstance(message, Leaving):
            # Whoever asked may have asked all processes, and this one will hear of it just now.
            asyncio.get_running_loop().call_later(ASKED_TOGETHER_S, self._let_go, worker)
        elif isinstance(message, Alive):
            self._look_at(worker, message.fault)
        elif isinstance(message, Ask):
            self._orders.give(worker, message)
        elif isinstance(message, Done):
            self._orders.hear(worker, message)
        else:
            worker.loaded = message
            self._launcher.served.versions = message.versions
            logger.info("%s has loaded: %d of %d versions READY", worker.name, *counted(message))
            self._tell_peers()
            self._announce()
        self._dispatcher.go_on()

    def _look_at(self, worker: WorkerProcess, fault: str | None) -> None:
        """Replace a worker whose pass does not come back; only a new process has all its threads."""
        if worker.fault != fault:
            worker.fault = fault
            self._tell_peers()
        if fault and not worker.leaving:
            logger.error("%s is replaced: %s", worker.name, fault)
            self._let_go(worker)

    def _let_go(self, worker: WorkerProcess) -> None:
        """Let one worker end, unless all do."""
        if not self._stopping.is_set():
            worker.leaving = True
            worker.tell(Drain())

    def _channels(self) -> Iterator[Channel]:
        """The workers that have loaded get the connections; while none has, those that serve at all, to say so."""
        serving = [worker for worker in self._workers.values() if worker.serving and not worker.leaving]
        awake = [worker for worker in serving if not worker.hangs]
        loaded = [worker for worker in awake if worker.loaded]
        return (worker.channel for worker in loaded or awake)

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
        elif worker.hangs:
            yield f"{worker.name} does not answer"
        elif worker.fault:
            yield f"{worker.name} is replaced: {worker.fault}"
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


async def until(event: asyncio.Event, seconds: float | None = None) -> None:
    """Wait until something happens, at most so many seconds; None: for ever."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


def counted(loaded: Loaded) -> tuple[int, int]:
    """Count the versions that are READY, and all."""
    return sum(version.state == State.READY for version in loaded.versions), len(loaded.versions)


def faults(loaded: Loaded) -> str:
    """Tell the versions that are awaited and not READY, or if there are none all that are not, and why."""
    waiting = [version for version in loaded.versions if version.state != State.READY]
    awaited = [version for version in waiting if version.is_awaited] or waiting
    told = (f"{v.name} version {v.version} is {v.state} ({v.reason})" for v in awaited)
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
