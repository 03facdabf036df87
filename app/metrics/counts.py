"""Where things are counted: each place is looked up once, since that takes longer than counting there."""

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from typing import TypeAlias

from app.exchange import Exchange
from app.metrics.families import (
    ANSWERED_ROWS,
    COMPUTE_SECONDS,
    QUEUE_SECONDS,
    REJECTED,
    REQUEST_SECONDS,
    REQUESTS,
    Family,
)
from app.metrics.sheet import Place, Sheet


class Histogram:
    """Counts values by their size, and sums them up.

    Args:
        bounds: The upper bounds of the buckets, but for infinity.
        numbers: Where to count: a number for each bucket, then the sum.
    """

    __slots__ = ("_bounds", "_numbers")

    def __init__(self, bounds: Sequence[float], numbers: Place) -> None:
        """Count nothing yet."""
        self._bounds = bounds
        self._numbers = numbers

    def observe(self, value: float) -> None:
        """Count a value."""
        self._numbers[bisect_left(self._bounds, value)] += 1
        self._numbers[-1] += value


def counter(sheet: Sheet, family: Family, *labels: str) -> Place:
    """Return where one number of a family is counted, as its first."""
    return sheet.place((family.name, *labels), family.size)


def histogram(sheet: Sheet, family: Family, *labels: str) -> Histogram:
    """Return what counts values of a family."""
    return Histogram(family.bounds, sheet.place((family.name, *labels), family.size))


Labels: TypeAlias = tuple[str, str, str, str, int, str | None]
"""What tells requests apart that are counted apart: method, route, model, version, status, kind of problem. None of the texts
may be a client's own."""


class Requests:
    """Counts the requests of some labels; what none of them had is in no metric.

    Args:
        sheet: Where to count.
        labels: Those.
    """

    def __init__(self, sheet: Sheet, labels: Labels) -> None:
        """Count none yet."""
        method, route, model, version, status, problem = labels
        self._sheet = sheet
        self._request = route, model, version
        self._refusal = model, str(problem)
        self._count = counter(sheet, REQUESTS, method, *self._request, str(status))
        self._seconds = histogram(sheet, REQUEST_SECONDS, *self._request)

    def count(self, exchange: Exchange) -> None:
        """Count a request."""
        timings = exchange.timings
        self._count[0] += 1
        self._seconds.observe(exchange.seconds)
        if timings.queue_start:
            self._queue_seconds.observe(timings.queue)
        if timings.compute_start:
            self._compute_seconds.observe(timings.compute)
        if exchange.problem is not None:
            self._rejected[0] += 1
        elif timings.rows:
            self._rows[0] += timings.rows

    @cached_property
    def _queue_seconds(self) -> Histogram:
        return histogram(self._sheet, QUEUE_SECONDS, *self._request)

    @cached_property
    def _compute_seconds(self) -> Histogram:
        return histogram(self._sheet, COMPUTE_SECONDS, *self._request)

    @cached_property
    def _rejected(self) -> Place:
        return counter(self._sheet, REJECTED, *self._refusal)

    @cached_property
    def _rows(self) -> Place:
        return counter(self._sheet, ANSWERED_ROWS, *self._request)
