"""The metrics of one process, and of the workers beside it."""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from app.engine.engine import Lane
from app.exchange import METHODS, UNKNOWN, Exchange
from app.metrics.counts import Labels, Requests, counter, histogram
from app.metrics.exposition import exposition
from app.metrics.families import BATCH_ROWS, FAMILIES, LOAD_FAILURES, STARTS, Kind
from app.metrics.processes import lives, process_families
from app.metrics.shared import SharedSheet, read_sheet
from app.metrics.sheet import Key, Numbers, Sheet

PROCESS = "process"
"""Where a sheet keeps the id of the process that writes it."""


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
        self._requests: dict[Labels, Requests] = {}
        self.show({})
        counter(self._sheet, STARTS, str(number))[0] += 1

    def answered(self, exchange: Exchange) -> None:
        """Count a request whose route, model and version are known, or said to be unknown."""
        labels = labels_of(exchange)
        requests = self._requests.get(labels)
        if requests is None:
            requests = self._requests[labels] = Requests(self._sheet, labels)
        requests.count(exchange)

    def passes(self, lane: Lane) -> Callable[[int], None]:
        """Return what counts a pass of so many rows."""
        return histogram(self._sheet, BATCH_ROWS, lane.model, str(lane.version), lane.primitive.value).observe

    def load_failed(self, model: str) -> None:
        """Count a load that failed of a model that exists."""
        counter(self._sheet, LOAD_FAILURES, model)[0] += 1

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


def labels_of(exchange: Exchange) -> Labels:
    """Return what a request is counted under."""
    return (
        exchange.method if exchange.method in METHODS else UNKNOWN,
        exchange.route or UNKNOWN,
        exchange.model or "",
        exchange.version or "",
        exchange.status,
        exchange.problem,
    )


def is_gauge(key: Key) -> bool:
    """Whether a key is that of a gauge."""
    return key[0] in FAMILIES and FAMILIES[key[0]].kind is Kind.GAUGE
