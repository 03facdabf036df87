"""What a batcher has done so far, and how long its next rows will take."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
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


class Tally:
    """Counts what a batcher does, and learns its pace.

    Args:
        seconds: How long a pass of so many rows took at warm-up.
    """

    def __init__(self, seconds: Mapping[int, float]) -> None:
        """Begin with the pace of the largest pass at warm-up."""
        self.refused: Counter[Refusal] = Counter()
        self._requests = self._passes = self._rows = 0
        self._queue_seconds = self._compute_seconds = 0.0
        self._recent_rows = float(max(seconds, default=0))
        self._recent_seconds = max(seconds.values(), default=0.0)

    def answered(self, queue_seconds: float) -> None:
        """Count a request that got its results after so long in the queue."""
        self._requests += 1
        self._queue_seconds += queue_seconds

    def passed(self, rows: int, compute_seconds: float, seconds: float) -> None:
        """Count a pass that computed for so long, and kept the queue waiting for ``seconds``."""
        self._passes += 1
        self._rows += rows
        self._compute_seconds += compute_seconds
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
        )
