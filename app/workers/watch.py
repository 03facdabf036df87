"""Notices workers that live but do nothing any more: their loops hang, or the system has stopped them."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NoReturn

from app.workers.messages import BEAT_S
from app.workers.processes import QUIET_BEATS, WorkerProcess

logger = logging.getLogger("gyoza.workers")


class Watch:
    """Counts what workers should have told meanwhile, and kills those that are lost.

    It counts its own turns rather than seconds: where the supervisor, or the whole machine, stood still for a while, no worker
    is to blame.

    Args:
        workers: Those that are there now.
        on_change: Called whenever one begins to hang, or does so no more.
    """

    def __init__(self, workers: Callable[[], Sequence[WorkerProcess]], on_change: Callable[[], None]) -> None:
        """Count nothing yet."""
        self._workers = workers
        self._on_change = on_change

    async def run(self) -> NoReturn:
        """Watch for ever."""
        while True:
            await asyncio.sleep(BEAT_S)
            for worker in self._workers():
                self._look_at(worker)

    def heard(self, worker: WorkerProcess) -> None:
        """Note that a worker has told something."""
        hung, worker.missed_beats = worker.hangs, 0
        if hung:
            logger.warning("%s answers again", worker.name)
            self._on_change()

    def _look_at(self, worker: WorkerProcess) -> None:
        worker.missed_beats += 1
        if worker.hangs and worker.missed_beats == QUIET_BEATS:
            logger.warning("%s does not answer", worker.name)
            self._on_change()
        if worker.is_lost:
            logger.error("%s has not answered for %g s and is killed", worker.name, worker.missed_beats * BEAT_S)
            worker.kill()
