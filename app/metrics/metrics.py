"""The metrics of one process, and of the workers beside it."""

import math
import os
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from app.engine.engine import Lane
from app.metrics.exposition import exposition
from app.metrics.families import (
    ANSWERED_ROWS,
    BATCH_ROWS,
    COMPUTE_SECONDS,
    FAMILIES,
    LOAD_FAILURES,
    QUEUE_SECONDS,
    REJECTED,
    REQUEST_SECONDS,
    REQUESTS,
    STARTS,
    Family,
    Kind,
)
from app.metrics.processes import lives, process_families
from app.metrics.shared import SharedSheet, read_sheet
from app.metrics.sheet import Key, Numbers, Sheet
from app.timings import Timings

PROCESS = "process"
"""Where a sheet keeps the id of the process that writes it."""


class Outcome(NamedTuple):
    """What became of one request. None of the texts may be a client's own."""

    method: str
    route: str
    model: str
    version: str
    status: int
    seconds: float
    problem: str | None
    timings: Timings


class Metrics:
    """Counts what happens, and shows it with what the other workers count.

    Args:
        files: File descriptors of the sheets of all workers, this one's among them; none where there are no others.
        number: Which of the workers this is, from 1.
    """

    def __init__(self, files: Sequence[int] = (), number: int = 1) -> None:
        """Go on with what former processes of this worker have counted."""
        self.is_shared = bool(files)
        self._number = number
        self._others = {each: file for each, file in enumerate(files, start=1) if each != number}
        self._sheet = SharedSheet(files[number - 1]) if files else Sheet()
        self._sheet.place((PROCESS,), 1)[0] = os.getpid()
        self.show({})
        self._add(STARTS, (str(number),), 1)

    def answered(self, outcome: Outcome) -> None:
        """Count a request."""
        method, route, model, version, status, seconds, problem, timings = outcome
        labels = route, model, version
        self._add(REQUESTS, (method, *labels, str(status)), 1)
        self._observe(REQUEST_SECONDS, labels, seconds)
        if timings.queue_start:
            self._observe(QUEUE_SECONDS, labels, timings.queue)
        if timings.compute_start:
            self._observe(COMPUTE_SECONDS, labels, timings.compute)
        if problem is not None:
            self._add(REJECTED, (model, problem), 1)
        elif timings.rows:
            self._add(ANSWERED_ROWS, labels, timings.rows)

    def passed(self, lane: Lane, rows: int) -> None:
        """Count a pass."""
        self._observe(BATCH_ROWS, (lane.model, str(lane.version), lane.primitive.value), rows)

    def load_failed(self, model: str) -> None:
        """Count a load that failed of a model that exists."""
        self._add(LOAD_FAILURES, (model,), 1)

    def show(self, gauges: Mapping[Key, float]) -> None:
        """Show what is as it is now; gauges that were shown before and are not here are shown no more."""
        gone = [key for key in self._sheet.known() if is_gauge(key) and key not in gauges]
        for key in gone:
            self._sheet.place(key, 1)[0] = math.nan
        for key, value in gauges.items():
            self._sheet.place(key, 1)[0] = value

    def text(self) -> bytes:
        """Write the metrics of all workers in the text format of Prometheus."""
        sheets = dict(self._sheets())
        processes = {number: int(dict(sheet)[PROCESS,][0]) for number, sheet in sheets.items()}
        living = {number: process for number, process in processes.items() if lives(process)}
        shown = (
            (key, numbers)
            for number, sheet in sheets.items()
            for key, numbers in sheet
            if key[0] in FAMILIES and (number in living or not is_gauge(key)) and not math.isnan(numbers[0])
        )
        return exposition(shown, process_families(living))

    def _sheets(self) -> Iterator[tuple[int, Sequence[tuple[Key, Numbers]]]]:
        """Yield the sheet of each worker that has begun to write one."""
        yield self._number, self._sheet.items()
        for number, file in self._others.items():
            if sheet := read_sheet(file):
                yield number, sheet

    def _add(self, family: Family, labels: tuple[str, ...], value: float) -> None:
        self._sheet.place((family.name, *labels), 1)[0] += value

    def _observe(self, family: Family, labels: tuple[str, ...], value: float) -> None:
        numbers = self._sheet.place((family.name, *labels), family.size)
        numbers[bisect_left(family.bounds, value)] += 1
        numbers[-1] += value


def is_gauge(key: Key) -> bool:
    """Whether a key is that of a gauge."""
    return key[0] in FAMILIES and FAMILIES[key[0]].kind is Kind.GAUGE
