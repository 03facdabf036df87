"""One queue in front of one function: rows in, rows out, bounded, with deadlines."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

import numpy as np

from app.errors import DeadlineExceeded, NotReady, Overloaded
from gyoza.inference.plan import Floats

Results: TypeAlias = tuple[Floats, ...]
"""Arrays [n, …] of as many rows as went in."""
INLINE_SECONDS = 1e-3
"""A pass that takes less runs at once: handing it to a thread would cost more than it holds up others."""


@dataclass(frozen=True, eq=False)
class Job:
    """Rows [n, …] that wait, and who waits for them."""

    rows: Floats
    future: asyncio.Future[Results]


class Batcher:
    """Runs a function on rows; what waits while it runs goes through it together next time.

    Args:
        function: Rows [n, …] to results; rows must not influence each other.
        pool: Where it runs, unless it is quick.
        seconds: How long a pass of so many rows takes.
        max_batch_rows: The most rows in one pass.
        max_queue_rows: The most rows that wait; one larger request may wait alone.
    """

    def __init__(
        self,
        function: Callable[[Floats], Results],
        pool: Executor,
        seconds: Mapping[int, float],
        *,
        max_batch_rows: int,
        max_queue_rows: int,
    ) -> None:
        """Start with an empty queue."""
        self._function = function
        self._pool = pool
        self._quick_rows = max((rows for rows, taken in seconds.items() if taken < INLINE_SECONDS), default=0)
        self._max_batch_rows = max_batch_rows
        self._max_queue_rows = max_queue_rows
        self._queue: deque[Job] = deque()
        self._waiting_rows = 0
        self._worker: asyncio.Task[None] | None = None

    async def run(self, rows: Floats, deadline: float) -> Results:
        """Run the function on rows.

        Args:
            rows: [n, …].
            deadline: On the clock of ``time.monotonic``; what still waits then is not computed.

        Returns:
            The function's results for these rows.

        Raises:
            DeadlineExceeded: The deadline passed.
            Overloaded: The queue is full.
        """
        if time.monotonic() >= deadline:
            raise too_late()
        if self._worker is None and len(rows) <= self._quick_rows:
            return self._function(rows)
        job = self._enqueue(rows)
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await job.future
        except TimeoutError as error:
            raise too_late() from error
        finally:
            with suppress(ValueError):
                self._queue.remove(job)
                self._waiting_rows -= len(rows)

    def _enqueue(self, rows: Floats) -> Job:
        if self._queue and self._waiting_rows + len(rows) > self._max_queue_rows:
            raise Overloaded(
                f"At most {self._max_queue_rows} rows may wait for one model. Received: {len(rows)} rows while "
                f"{self._waiting_rows} wait. Try again after the time in Retry-After."
            )
        job = Job(rows, asyncio.get_running_loop().create_future())
        self._queue.append(job)
        self._waiting_rows += len(rows)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return job

    async def _work(self) -> None:
        try:
            while self._queue:
                jobs = self._next_jobs()
                computed = self._submit(jobs)
                await asyncio.wait([computed])
                deliver(jobs, computed)
        finally:
            self._worker = None

    def _submit(self, jobs: Sequence[Job]) -> asyncio.Future[list[Results]]:
        loop = asyncio.get_running_loop()
        try:
            return loop.run_in_executor(self._pool, self._compute, jobs)
        except RuntimeError:  # The pool is closed: those who wait must hear of it as of a pass that was cancelled.
            refused: asyncio.Future[list[Results]] = loop.create_future()
            refused.cancel()
            return refused

    def _next_jobs(self) -> list[Job]:
        jobs = [self._queue.popleft()]
        count = len(jobs[0].rows)
        while self._queue and count + len(self._queue[0].rows) <= self._max_batch_rows:
            jobs.append(self._queue.popleft())
            count += len(jobs[-1].rows)
        self._waiting_rows -= count
        return jobs

    def _compute(self, jobs: Sequence[Job]) -> list[Results]:
        rows = jobs[0].rows if len(jobs) == 1 else np.concatenate([job.rows for job in jobs])
        pieces = []
        for start in range(0, len(rows), self._max_batch_rows):
            if all(job.future.done() for job in jobs):
                return []
            pieces.append(self._function(rows[start : start + self._max_batch_rows]))
        joined = pieces[0] if len(pieces) == 1 else tuple(map(np.concatenate, zip(*pieces, strict=True)))
        ends = list(accumulate(len(job.rows) for job in jobs))
        return [
            tuple(array[end - len(job.rows) : end] for array in joined) for job, end in zip(jobs, ends, strict=True)
        ]


def too_late() -> DeadlineExceeded:
    """Say that the deadline passed."""
    return DeadlineExceeded(
        "There must be an answer within the request's deadline, and there was none. Send fewer rows at once, try again "
        "later, or raise GYOZA_REQUEST_TIMEOUT_S."
    )


def deliver(jobs: Sequence[Job], computed: asyncio.Future[list[Results]]) -> None:
    """Hand each job that is still waited for its results, or the error that there was instead."""
    error = NotReady("This process is about to end. Try again.") if computed.cancelled() else computed.exception()
    for number, job in enumerate(jobs):
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(computed.result()[number])
        else:
            job.future.set_exception(error)
