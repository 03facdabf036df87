"""A job is rows that wait and who waits for them; a piece is what one pass takes of it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from app.timings import Timings
from gyoza.inference.plan import Floats

Results: TypeAlias = tuple[Floats, ...]
"""Arrays [n, …] of as many rows as went in."""
Function: TypeAlias = Callable[[Floats], Results]
"""Rows [n, …] to their results; rows must not influence each other."""


@dataclass(eq=False, slots=True)
class Job:
    """The rows [n, …] of one request."""

    rows: Floats
    future: asyncio.Future[Results]
    """Whoever waits; once it is done, for whatever reason, nothing more is computed for it."""
    deadline: float
    """On the clock of ``time.monotonic``."""
    arrived: float
    """On the same clock."""
    waiting_rows: int = 0
    """So many rows, the last ones, wait in the queue."""
    timer: asyncio.TimerHandle | None = None
    """Ends the wait at the deadline."""
    started: float | None = None
    """When its first pass began."""
    computed_s: float = 0.0
    """How long the passes took that its rows were in."""
    results: Results = ()

    @property
    def waited_s(self) -> float:
        """From its arrival to the begin of its first pass; 0 before that."""
        return 0.0 if self.started is None else self.started - self.arrived

    def note(self, timings: Timings) -> None:
        """Add how long the job waited, until now if it still does, and was computed."""
        timings.rows = len(self.rows)
        timings.queue_start = timings.queue_start or self.arrived
        timings.compute_start = timings.compute_start or self.started or 0.0
        timings.compute += self.computed_s
        timings.queue += time.monotonic() - self.arrived if self.started is None else self.waited_s

    def keep(self, start: int, found: Results) -> None:
        """Keep the results of the rows from ``start`` on: as they are where those are all rows, else put together."""
        if len(found[0]) == len(self.rows):
            self.results = found
            return
        if not self.results:
            self.results = tuple(np.empty((len(self.rows), *array.shape[1:]), array.dtype) for array in found)
        for whole, part in zip(self.results, found, strict=True):
            whole[start : start + len(part)] = part


class Piece(NamedTuple):
    """The rows from ``start`` to ``stop`` of a job."""

    job: Job
    start: int
    stop: int

    @property
    def rows(self) -> Floats:
        """The rows themselves, [stop − start, …]."""
        return self.job.rows[self.start : self.stop]

    @property
    def is_last(self) -> bool:
        """Whether the job has all its results when this piece has."""
        return self.stop == len(self.job.rows)


class Computed(NamedTuple):
    """How a pass went."""

    rows: int
    """So many were computed; 0 where nobody waited any more."""
    seconds: float
    error: BaseException | None = None
    """Why there are no results."""


def compute(function: Function, pieces: Sequence[Piece]) -> Computed:
    """Run one pass over the pieces that are still waited for, and leave the results with their jobs.

    Args:
        function: What to run.
        pieces: Of jobs that no other pass is at work on.

    Returns:
        How it went; whatever the function raises is in there too.
    """
    start = time.monotonic()
    waited = [piece for piece in pieces if not piece.job.future.done()]
    if not waited:
        return Computed(0, 0.0)
    for job, _, _ in waited:
        job.started = start if job.started is None else job.started
    rows = waited[0].rows if len(waited) == 1 else np.concatenate([piece.rows for piece in waited])
    try:
        hand_out(waited, function(rows))
    except BaseException as error:  # noqa: BLE001 - those who wait get to know it, and the log; none may end the loop.
        return Computed(len(rows), time.monotonic() - start, error)
    return Computed(len(rows), time.monotonic() - start)


def hand_out(pieces: Sequence[Piece], found: Results) -> None:
    """Give each piece its rows of the results of a pass."""
    end = 0
    for job, first, stop in pieces:
        begin, end = end, end + stop - first
        job.keep(first, tuple([array[begin:end] for array in found]))
