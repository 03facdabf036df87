"""What is written down of each request: the line in the log, and the counts of the metrics."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from app.api.exchange import model_of, route_of
from app.exchange import Exchange
from app.metrics import Metrics

logger = logging.getLogger("gyoza.access")

KEY = "gyoza.key"
"""Where the scope of a request holds whose key came, an ``app.keys.Key``, or None; absent where no keys are set."""
TOGETHER_S = 0.01
"""Requests of so long are written down together: one at a time, each costs several times as much, while its client waits."""
LINE = "%s %s %d %.1fms %s"
LINE_WITH_KEY = LINE + " by %s"
TRACE_CONTEXT = frozenset({b"traceparent", b"tracestate"})
SAME = vars(logging.LogRecord(logger.name, logging.INFO, __file__, 0, LINE, None, None))
"""What is the same in every record."""


class AccessLog:
    """Writes requests down a moment after they were answered.

    Args:
        metrics: Where they are counted.
        trace: What makes spans of each, if traces are wanted.
    """

    def __init__(self, metrics: Metrics | None = None, trace: Callable[[Exchange], None] | None = None) -> None:
        """Begin with nothing to write."""
        self._metrics = metrics or Metrics()
        self._trace = trace
        self._answered: list[Exchange] = []
        self._logged: list[Exchange] = []

    def note(self, scope: Mapping[str, Any], exchange: Exchange) -> None:
        """Write a request down that was answered."""
        if not self._answered:
            asyncio.get_running_loop().call_later(TOGETHER_S, self.flush)
        key = scope.get(KEY)
        exchange.key = key.name if key else None
        exchange.method, exchange.path = scope["method"], scope["path"]
        exchange.route, exchange.model = route_of(scope, exchange), model_of(scope, exchange)
        exchange.seconds, exchange.ended = time.monotonic() - exchange.start, time.time()
        if self._trace is not None:
            exchange.scheme, exchange.caller = scope["scheme"], caller_of(scope)
        self._answered.append(exchange)
        if logger.isEnabledFor(logging.INFO):
            self._logged.append(exchange)

    def flush(self) -> None:
        """Write what was noted."""
        answered, self._answered = self._answered, []
        logged, self._logged = self._logged, []
        for exchange in logged:
            logger.handle(record_of(exchange, is_last=exchange is logged[-1]))
        for exchange in answered:
            self._metrics.answered(exchange)
            if self._trace is not None:
                self._trace(exchange)


def caller_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that tell in which trace the client is."""
    return {name.decode("ascii"): value.decode("latin-1") for name, value in scope["headers"] if name in TRACE_CONTEXT}


def record_of(exchange: Exchange, *, is_last: bool) -> logging.LogRecord:
    """Make a record by hand: a logger looks through the stack for its caller, and a record for its thread and its task."""
    path = exchange.path.encode("unicode_escape").decode("ascii").replace(" ", "\\x20")
    values: tuple[str | float, ...] = (
        exchange.method,
        path,
        exchange.status,
        1e3 * exchange.seconds,
        exchange.request_id,
    )
    line, values = (LINE, values) if exchange.key is None else (LINE_WITH_KEY, (*values, exchange.key))
    record = object.__new__(logging.LogRecord)
    vars(record).update(SAME)
    record.msg, record.args = line, values
    record.created, record.msecs = exchange.ended, 1e3 * (exchange.ended % 1)
    record.fields, record.more = partial(fields_of, exchange), not is_last
    return record


def fields_of(exchange: Exchange) -> dict[str, str | int | float | None]:
    """Return what a log for machines tells of a request, each fact by its name."""
    timings = exchange.timings
    return {
        "method": exchange.method,
        "path": exchange.path,
        "status": exchange.status,
        "milliseconds": milliseconds(exchange.seconds),
        "request_id": exchange.request_id,
        "route": exchange.route,
        "model": exchange.model or None,
        "version": exchange.version,
        "rows": timings.rows or None,
        "decode_ms": milliseconds(timings.decode) if timings.decode_start else None,
        "queue_ms": milliseconds(timings.queue) if timings.queue_start else None,
        "compute_ms": milliseconds(timings.compute) if timings.compute_start else None,
        "encode_ms": milliseconds(timings.encode) if timings.encode_start else None,
        "problem": exchange.problem,
        "key": exchange.key,
    }


def milliseconds(seconds: float) -> float:
    """Return seconds as milliseconds, to the microsecond."""
    return round(1e3 * seconds, 3)
