"""One queue in front of one function: rows in, rows out, bounded, with deadlines."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from app.engine.jobs import Computed, Function, Job, Piece, Results, compute
from app.engine.pace import Pace
from app.engine.queue import RowQueue
from app.engine.returning import Returning
from app.engine.stats import Refusal, Stats, Tally
from app.errors import DeadlineExceeded, NotReady, Overloaded, PassFailed
from app.timings import Timings
from gyoza.inference.plan import Floats

logger = logging.getLogger("gyoza.engine")

OnPass: TypeAlias = Callable[[int], None]
"""Told of each pass how many rows it had."""


def unobserved(rows: int) -> None:
    """Let a pass go by."""


@dataclass(frozen=True)
class Limits:
    """How much a batcher takes at once."""

    max_batch_rows: int
    """The most rows in one pass."""
    max_queue_rows: int
    """The most rows that wait; see ``RowQueue`` about larger requests."""
    delay_s: float = 0.0
    """So long an incomplete batch waits for more rows; at 0 just for those that two turns of the loop read,
    and for clients that come back (``Returning``)."""


class Batcher:
    """Runs a function on rows; those of requests that come together, or while it is busy, go through it together.

    All of it happens on the event loop but the passes themselves: one at a time, a quick one on the loop as well, any
    other in the pool.

    Args:
        function: What to run.
        pool: Where it runs.
        seconds: How long a pass of so many rows took at warm-up.
        limits: How much at once.
        on_pass: Told of each pass, on the loop.
    """

    def __init__(
        self,
        function: Function,
        pool: Executor,
        seconds: Mapping[int, float],
        limits: Limits,
        on_pass: OnPass = unobserved,
    ) -> None:
        """Start with an empty queue."""
        self._function = function
        self._pool = pool
        self._on_pass = on_pass
        self._pace = Pace(seconds)
        self._returning = Returning(self._pace, limits.max_batch_rows)
        self._delay_s = limits.delay_s
        self._queue = RowQueue(limits.max_batch_rows, limits.max_queue_rows)
        self._tally = Tally(seconds)
        self.running_since: float | None = None
        """When the pass began that is computed in the pool now, on the clock of ``time.monotonic``; None: it waits its turn."""
        self._running_rows = 0
        self._next: asyncio.Handle | None = None
        self._is_patient = False

    @property
    def stats(self) -> Stats:
        """What was done so far."""
        return self._tally.stats(self._queue.waiting_rows)

    async def run(self, rows: Floats, deadline: float, timings: Timings | None = None) -> Results:
        """Run the function on rows.

        Args:
            rows: [n, …].
            deadline: On the clock of ``time.monotonic``; what still waits then is not computed.
            timings: Where to note how long the rows waited and were computed, whatever comes of it.

        Returns:
            The function's results for these rows.

        Raises:
            DeadlineExceeded: The deadline passed.
            Overloaded: The queue is full.
            NotReady: It was closed while the rows waited.
            PassFailed: The function raised an error.
        """
        job = self._admit(rows, deadline)
        try:
            return await job.future
        except asyncio.CancelledError:
            self._forget(job)
            raise
        finally:
            self._queue.drop(job)
            if job.timer is not None:
                job.timer.cancel()
            if timings is not None:
                job.note(timings)

    def close(self) -> None:
        """End what waits as not ready; what runs finishes, and nothing may come any more."""
        for job in self._queue:
            self._refuse(job, Refusal.CLOSED, ending())

    def _admit(self, rows: Floats, deadline: float) -> Job:
        now = time.monotonic()
        if now >= deadline:
            raise self._refused(Refusal.DEADLINE, too_late())
        if not self._queue.has_room(len(rows)):
            raise self._refused(Refusal.OVERLOADED, self._overloaded(len(rows)))
        job = Job(rows, asyncio.get_running_loop().create_future(), deadline, now)
        self._queue.add(job)
        self._returning.arrived(len(rows))
        if not self._running_rows:
            self._begin_or_wait(now)
        if self._running_rows or self._is_patient:
            self._watch(job)
        return job

    def _begin_or_wait(self, now: float) -> None:
        """Begin a complete batch at once, another when no more can be waited for."""
        if self._queue.is_complete:
            self._begin()
        elif self._next is None or (self._is_patient and self._patience_s(now) <= 0):
            self._begin_later(now)

    def _patience_s(self, now: float) -> float:
        """Return how long what waits should still wait: for its delay, and for clients that were just answered."""
        delay_s = self._delay_s and self._queue.waiting_since + self._delay_s - now
        return max(delay_s, self._returning.patience_s(self._queue.waiting_rows, now))

    def _begin_later(self, now: float) -> None:
        patience_s, loop = self._patience_s(now), asyncio.get_running_loop()
        if patience_s > 0:
            self._is_patient = True
            self._next = loop.call_later(patience_s, self._lose_patience)
        else:
            self._forget_next()
            self._next = loop.call_soon(self._wait_a_turn)

    def _lose_patience(self) -> None:
        """Begin, unless so many have come meanwhile that it pays to wait for the rest of them too."""
        self._next = None
        if self._queue.waiting_rows:
            self._begin_later(time.monotonic())
        else:
            self._forget_next()

    def _forget_next(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._is_patient:
            self._is_patient = False
            self._returning.stop_waiting()

    def _wait_a_turn(self) -> None:
        """Let the loop read from its sockets once more: clients that were answered together ask again together."""
        self._next = asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._forget_next()
        pieces = self._queue.take()
        rows = sum(stop - start for _, start, stop in pieces)
        if rows <= self._pace.quick_rows:
            self._run_here(pieces)
        else:
            self._run_in_pool(pieces, rows)

    def _run_here(self, pieces: Sequence[Piece]) -> None:
        now = time.monotonic()
        for job, _, _ in pieces:
            if now >= job.deadline:
                self._expire(job)
        computed = compute(self._function, pieces)
        self._deliver(pieces, computed, computed.seconds)
        if self._queue.waiting_rows and self._next is None:
            self._begin_later(time.monotonic())

    def _run_in_pool(self, pieces: Sequence[Piece], rows: int) -> None:
        self._running_rows = rows
        for job in (*self._queue, *(piece.job for piece in pieces)):
            self._watch(job)
        start, loop = time.monotonic(), asyncio.get_running_loop()

        def finish_soon(done: Future[Computed]) -> None:
            with suppress(RuntimeError):  # The loop is closed: nobody waits.
                loop.call_soon_threadsafe(self._finish, pieces, done, start)

        self._pool.submit(self._compute, pieces).add_done_callback(finish_soon)

    def _compute(self, pieces: Sequence[Piece]) -> Computed:
        self.running_since = time.monotonic()
        return compute(self._function, pieces)

    def _finish(self, pieces: Sequence[Piece], done: Future[Computed], start: float) -> None:
        now = time.monotonic()
        self.running_since, self._running_rows = None, 0
        if done.cancelled():
            for job, _, _ in pieces:
                self._refuse(job, Refusal.CLOSED, ending())
        else:
            self._deliver(pieces, done.result(), now - start)
        if not self._queue.waiting_rows:
            return
        if self._patience_s(now) > 0:
            self._begin_or_wait(now)
        else:
            self._begin()

    def _deliver(self, pieces: Sequence[Piece], computed: Computed, seconds: float) -> None:
        if computed.rows:
            self._tally.passed(computed.rows, computed.seconds, seconds)
            self._pace.learn(computed.rows, seconds)
            self._on_pass(computed.rows)
        for job, _, _ in pieces:
            job.computed_s += computed.seconds
        if computed.error is not None:
            text = "a pass of %d rows failed, and with it %d requests"
            logger.error(text, computed.rows, len(pieces), exc_info=computed.error)
        answered, now = 0, time.monotonic()
        for job in (piece.job for piece in pieces if computed.error is not None or piece.is_last):
            if computed.error is not None:
                self._refuse(job, Refusal.FAILED, failed(computed.error))
            elif not job.future.done():
                self._answer(job, now)
                answered += len(job.rows)
        self._returning.answered(answered, now)

    def _answer(self, job: Job, now: float) -> None:
        self._tally.answered(job.waited_s, job.computed_s, now)
        job.future.set_result(job.results)

    def _watch(self, job: Job) -> None:
        """End the wait of a job at its deadline."""
        if job.timer is None and not job.future.done():
            delay_s = max(0.0, job.deadline - time.monotonic())
            job.timer = asyncio.get_running_loop().call_later(delay_s, self._expire, job)

    def _expire(self, job: Job) -> None:
        self._refuse(job, Refusal.DEADLINE, too_late())

    def _refuse(self, job: Job, reason: Refusal, error: Exception) -> None:
        if not job.future.done():
            job.future.set_exception(self._refused(reason, error))
            self._queue.drop(job)

    def _refused(self, reason: Refusal, error: Exception) -> Exception:
        self._tally.refused[reason] += 1
        return error

    def _forget(self, job: Job) -> None:
        """Note that nobody waits for a job any more."""
        if job.future.cancelled():
            self._tally.refused[Refusal.DISCONNECTED] += 1
        else:
            job.future.exception()  # It came in the same turn of the loop; asyncio would complain that nobody saw it.

    def _overloaded(self, rows: int) -> Overloaded:
        waiting = self._queue.waiting_rows
        return Overloaded(
            f"At most {self._queue.max_rows} rows may wait for one model. Received: {rows} rows while {waiting} wait. "
            "Try again after the time in Retry-After.",
            self._tally.retry_after(waiting + self._running_rows),
        )


def too_late() -> DeadlineExceeded:
    """Say that the deadline passed."""
    return DeadlineExceeded(
        "There must be an answer within the request's deadline, and there was none. Send fewer rows at once, try again "
        "later, or raise GYOZA_REQUEST_TIMEOUT_S."
    )


def ending() -> NotReady:
    """Say that the process ends."""
    return NotReady("This process is about to end. Try again.")


def failed(error: BaseException) -> PassFailed:
    """Say that a pass failed, and of what."""
    found = PassFailed(f"the pass raised {type(error).__name__}")
    found.__cause__ = error
    return found
