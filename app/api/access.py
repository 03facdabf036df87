"""What is written down of each request: the line in the log, and the counts of the metrics."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from app.api.exchange import UNKNOWN, exchange_of, model_of, route_of
from app.metrics import Metrics, Outcome

logger = logging.getLogger("gyoza.access")

KEY = "gyoza.key"
"""Where the scope of a request holds whose key came, an ``app.keys.Key``, or None; absent where no keys are set."""
TOGETHER_S = 0.01
"""Requests of so long are written down together: one at a time, each costs several times as much, while its client waits."""
LINE = "%s %s %d %.1fms %s"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
LINE_WITH_KEY = LINE + " by %s"


class Entry(NamedTuple):
    """What is written down of a request."""

    created: float
    """When it was answered, on the clock of ``time.time``."""
    path: str
    request_id: str
    outcome: Outcome
    is_logged: bool
    key: str | None = None
    """Whose key came, by the name in its file."""

    def fields(self) -> dict[str, str | int | float | None]:
        """Return what a log for machines tells, each fact by its name."""
        outcome, timings = self.outcome, self.outcome.timings
        return {
            "method": outcome.method,
            "path": self.path,
            "status": outcome.status,
            "milliseconds": milliseconds(outcome.seconds),
            "request_id": self.request_id,
            "route": outcome.route,
            "model": outcome.model or None,
            "version": outcome.version or None,
            "rows": timings.rows or None,
            "decode_ms": milliseconds(timings.decode) if timings.decode_start else None,
            "queue_ms": milliseconds(timings.queue) if timings.queue_start else None,
            "compute_ms": milliseconds(timings.compute) if timings.compute_start else None,
            "encode_ms": milliseconds(timings.encode) if timings.encode_start else None,
            "problem": outcome.problem,
            "key": self.key,
        }


class AccessLog:
    """Writes requests down a moment after they were answered.

    Args:
        metrics: Where they are counted.
    """

    def __init__(self, metrics: Metrics | None = None) -> None:
        """Begin with nothing to write."""
        self._metrics = metrics or Metrics()
        self._entries: list[Entry] = []

    def note(self, scope: Mapping[str, Any], status: int, seconds: float, request_id: str) -> None:
        """Write a request down that got the status and took so long."""
        if not self._entries:
            asyncio.get_running_loop().call_later(TOGETHER_S, self.flush)
        key = scope.get(KEY)
        exchange = exchange_of(scope)
        outcome = Outcome(
            scope["method"],
            route_of(scope, exchange),
            model_of(scope, exchange),
            exchange.version or "",
            status,
            seconds,
            exchange.problem,
            exchange.timings,
        )
        is_logged = logger.isEnabledFor(logging.INFO)
        name = key.name if key else None
        self._entries.append(Entry(time.time(), scope["path"], request_id, outcome, is_logged, name))

    def flush(self) -> None:
        """Write what was noted."""
        entries, self._entries = self._entries, []
        for entry in entries:
            if entry.is_logged:
                logger.handle(record_of(entry))
        for entry in entries:
            self._metrics.answered(countable(entry.outcome))


def countable(outcome: Outcome) -> Outcome:
    """Leave out a method that the client made up."""
    return outcome if outcome.method in METHODS else outcome._replace(method=UNKNOWN)


def record_of(entry: Entry) -> logging.LogRecord:
    """Make a record by hand, since a logger looks through the stack for its caller first."""
    outcome, created = entry.outcome, entry.created
    path = entry.path.encode("unicode_escape").decode("ascii")
    values: tuple[str | float, ...] = outcome.method, path, outcome.status, 1e3 * outcome.seconds, entry.request_id
    line, values = (LINE, values) if entry.key is None else (LINE_WITH_KEY, (*values, entry.key))
    record = logging.LogRecord(logger.name, logging.INFO, __file__, 0, line, values, None)
    record.created, record.msecs = created, 1e3 * (created % 1)
    record.fields = entry.fields
    return record


def milliseconds(seconds: float) -> float:
    """Return seconds as milliseconds, to the microsecond."""
    return round(1e3 * seconds, 3)
