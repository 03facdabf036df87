"""One worker's process, as the supervisor sees it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from app.settings import Settings
from app.threads import threads_of, variables_of
from app.workers.channel import Channel
from app.workers.messages import (
    LONGEST_LINE,
    Assignment,
    FromSupervisor,
    FromWorker,
    Loaded,
    Version,
    from_worker,
    line_of,
)

COMMAND = (
    sys.executable,
    "-P",
    "-c",
    f"import sys; sys.path[:] = {sys.path!r}; from app.workers.worker import work; work()",
)
"""What runs a worker: an interpreter of its own, since threads and TensorFlow do not survive a fork.

It finds what this one found: with ``-m`` it would look into the working directory first, where another ``app`` may be.
"""
HEARD_BY_SUPERVISOR = (signal.SIGINT, signal.SIGTERM)
QUIET_BEATS = 3
"""A worker that has not told so often that it is alive makes the server not ready, and gets no more connections."""
LOST_BEATS = 15
"""One that misses so many is killed."""
LOADING_BEATS = 120
"""One that has not loaded yet is killed if it misses so many."""
END_S = 5
"""So long a process may take to end after it closed its pipe."""


class WorkerProcess:
    """A process that serves.

    Args:
        number: Which of the workers it is, from 1.
        process: The process.
        pipe: This end of the pipe.
        channel: Where its connections go.
    """

    def __init__(
        self,
        number: int,
        process: subprocess.Popen[bytes],
        pipe: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        channel: Channel,
    ) -> None:
        """Take over what belongs to the process; it does not serve yet."""
        self.number = number
        self.channel = channel
        self.serving = False
        self.leaving = False
        self.loaded: Loaded | None = None
        self.fault: str | None = None
        self.orders = 0
        """How many orders it is not done with."""
        self.missed_beats = 0
        """How often it should have told that it lives, and has not."""
        self.code = 0
        """What it ended with, once it did so by itself; below 0, the signal that ended it."""
        self._process = process
        self._reader, self._writer = pipe

    @property
    def name(self) -> str:
        """How it is called in the log."""
        return f"worker {self.number} (process {self._process.pid})"

    @property
    def hangs(self) -> bool:
        """Whether it served, and has told nothing for too long."""
        return self.serving and self.missed_beats >= QUIET_BEATS

    @property
    def is_lost(self) -> bool:
        """Whether it has told nothing for so long that there is no hope; a load may hold everything up for long."""
        return self.missed_beats >= (LOADING_BEATS if self.orders or not self.loaded else LOST_BEATS)

    def tell(self, message: FromSupervisor) -> None:
        """Send a message; one to a worker that has died is lost."""
        self._writer.write(line_of(message))

    async def messages(self) -> AsyncIterator[FromWorker]:
        """Yield its messages until its pipe ends, as it does when the process does."""
        with suppress(ConnectionError):
            async for line in self._reader:
                if line.endswith(b"\n"):  # It may have died within its last line.
                    yield from_worker.validate_json(line)

    async def end(self) -> str:
        """Wait for the process to end, and tell how it did; its channel is still to be closed."""
        self._writer.close()
        try:
            code = self.code = await asyncio.to_thread(self._process.wait, END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            code = await asyncio.to_thread(self._process.wait)
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


@dataclass
class Served:
    """What workers serve."""

    versions: tuple[Version, ...] | None = None
    """As the last of them told it; None: none has yet."""


@dataclass(frozen=True)
class Launcher:
    """Starts workers that all serve in the same way."""

    settings: Settings
    url: str
    """Where the server is reached."""
    log_lock: int
    """The open file that is locked while a line is written to the log."""
    command: Sequence[str]
    """What runs a worker."""
    sheets: tuple[int, ...] = ()
    """An open file for the metrics of each worker."""
    served: Served = field(default_factory=Served)
    """What the workers serve when another one is started."""

    async def start(self, number: int, on_taken: Callable[[], None]) -> WorkerProcess:
        """Start a worker.

        Args:
            number: Which of the workers it is, from 1.
            on_taken: Called whenever it took connections.

        Raises:
            OSError: The system starts no process.
        """
        (pipe, its_pipe), (channel, its_channel) = socket.socketpair(), socket.socketpair()
        with its_pipe, its_channel:
            try:
                process = self._launch(number, its_pipe.fileno(), its_channel.fileno())
            except OSError:
                pipe.close()
                channel.close()
                raise
        streams = await asyncio.open_connection(sock=pipe, limit=LONGEST_LINE)
        return WorkerProcess(number, process, streams, Channel(channel, on_taken))

    def _launch(self, number: int, pipe: int, channel: int) -> subprocess.Popen[bytes]:
        """Start a process with its assignment, which no signal can reach before it knows what to do with it."""
        assignment = Assignment(
            number=number,
            url=self.url,
            settings=self.settings,
            pipe=pipe,
            channel=channel,
            log_lock=self.log_lock,
            sheets=self.sheets,
            known=self.served.versions,
        )
        files = pipe, channel, self.log_lock, *self.sheets
        environment = {**os.environ, **variables_of(threads_of(self.settings.workers), os.environ)}
        with tempfile.TemporaryFile() as told:
            told.write(assignment.model_dump_json().encode())
            told.seek(0)
            before = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD_BY_SUPERVISOR)
            try:
                return subprocess.Popen(self.command, stdin=told, pass_fds=files, env=environment)  # noqa: S603 - ours.
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
