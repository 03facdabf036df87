"""What a batcher has done so far, and how long its next rows will take."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil

MEMORY = 0.9
"""A pass weighs so much less with each that follows."""


class Refusal(StrEnum):
    """Why a request got no results."""

    OVERLOADED = "overloaded"
    """The queue was full."""
    DEADLINE = "deadline"
    """Its deadline passed."""
    DISCONNECTED = "disconnected"
    """Whoever waited went away."""
    CLOSED = "closed"
    """The process was about to end."""
    FAILED = "failed"
    """Its pass raised an error."""


@dataclass(slots=True)
class Batches:
    """What passes of one count of rows came to."""

    passes: int = 0
    seconds: float = 0.0
    """Summed over these passes."""


@dataclass(frozen=True)
class Stats:
    """What a batcher has done so far. Everything but ``waiting_rows`` only grows."""

    requests: int
    """Those that got results."""
    passes: int
    rows: int
    """Those that went through passes, whether anyone still waited for their results or not."""
    waiting_rows: int
    """Those in the queue now."""
    refused: Mapping[Refusal, int]
    queue_seconds: float
    """From the arrival to the begin of the first pass, summed over requests that got results."""
    compute_seconds: float
    """Summed over passes."""
    answered_compute_seconds: float
    """Of the passes that a request took part in, summed over requests that got results: one shared by ten counts ten times."""
    last_answer: float | None
    """When results were last given, on the clock of ``time.monotonic``."""
    batches: Mapping[int, Batches]
    """Rows of a pass to the passes of so many rows."""

    @property
    def failures(self) -> int:
        """The requests that got no results, for whatever reason."""
        return sum(self.refused.values())


class Tally:
    """Counts what a batcher does, and learns its pace.

    Args:
        seconds: How long a pass of so many rows took at warm-up.
    """

    def __init__(self, seconds: Mapping[int, float]) -> None:
        """Begin with the pace of the largest pass at warm-up."""
        self.refused: Counter[Refusal] = Counter()
        self._requests = self._passes = self._rows = 0
        self._queue_seconds = self._compute_seconds = self._answered_compute_seconds = 0.0
        self._last_answer: float | None = None
        self._batches: defaultdict[int, Batches] = defaultdict(Batches)
        self._recent_rows = float(max(seconds, default=0))
        self._recent_seconds = max(seconds.values(), default=0.0)

    def answered(self, queue_seconds: float, compute_seconds: float, now: float) -> None:
        """Count a request that gets its results now, after so long in the queue and in passes."""
        self._requests += 1
        self._queue_seconds += queue_seconds
        self._answered_compute_seconds += compute_seconds
        self._last_answer = now

    def passed(self, rows: int, compute_seconds: float, seconds: float) -> None:
        """Count a pass that computed for so long, and kept the queue waiting for ``seconds``."""
        self._passes += 1
        self._rows += rows
        self._compute_seconds += compute_seconds
        batches = self._batches[rows]
        batches.passes += 1
        batches.seconds += compute_seconds
        self._recent_rows = MEMORY * self._recent_rows + rows
        self._recent_seconds = MEMORY * self._recent_seconds + seconds

    def retry_after(self, rows: int) -> int:
        """Return the whole seconds, at least 1, that so many rows take at the pace of the recent passes."""
        return max(1, ceil(rows * self._recent_seconds / max(self._recent_rows, 1.0)))

    def stats(self, waiting_rows: int) -> Stats:
        """Return what was counted until now."""
        return Stats(
            self._requests,
            self._passes,
            self._rows,
            waiting_rows,
            dict(self.refused),
            self._queue_seconds,
            self._compute_seconds,
            self._answered_compute_seconds,
            self._last_answer,
            {rows: replace(batches) for rows, batches in sorted(self._batches.items())},
        )
