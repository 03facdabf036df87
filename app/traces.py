"""Traces of requests, sent to an OpenTelemetry collector in the background; needs the extra ``telemetry``.

Spans are made when a request was answered, of what was noted of it: while it is answered, tracing takes no time.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from threading import Thread

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

import gyoza
from app.exchange import METHODS, UNKNOWN, Exchange
from app.timings import PARTS, Timings

logger = logging.getLogger("gyoza.traces")

SENT_EVERY_S = 1.0
TIMEOUT_S = 2.0
"""So long the collector may take, and so long it holds up the end of the process."""


class ToldOnce(SpanExporter):
    """Sends spans, and says when that begins to fail.

    Args:
        exporter: What sends them.
        endpoint: Where they go.
    """

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        """Send nothing yet."""
        self._exporter = exporter
        self._endpoint = endpoint
        self._fails = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans, or drop them."""
        result = self._exporter.export(spans)
        fails = result is not SpanExportResult.SUCCESS
        if fails and not self._fails:
            logger.warning("traces can't be sent to %s, and are dropped while that is so", self._endpoint)
        self._fails = fails
        return result

    def shutdown(self) -> None:
        """Send nothing more."""
        self._exporter.shutdown()


class Traces:
    """Makes a span of each request, with its parts as children.

    Args:
        endpoint: The collector's address, for OTLP over HTTP.
    """

    def __init__(self, endpoint: str) -> None:
        """Start the thread that sends."""
        # Its own words about a collector that is down come with every attempt.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=TIMEOUT_S)
        resource = Resource.create(
            {"service.name": "gyoza", "service.version": gyoza.__version__, "process.pid": os.getpid()}
        )
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        told = ToldOnce(exporter, endpoint)
        self._provider.add_span_processor(BatchSpanProcessor(told, schedule_delay_millis=1e3 * SENT_EVERY_S))
        self._tracer = self._provider.get_tracer("gyoza", gyoza.__version__)
        self._propagator = TraceContextTextMapPropagator()

    def answered(self, exchange: Exchange) -> None:
        """Make the spans of a request."""
        parent = self._propagator.extract(exchange.caller or {}, Context())
        end, begin = exchange.ended, exchange.ended - exchange.seconds
        span = self._tracer.start_span(
            name_of(exchange),
            context=parent,
            kind=SpanKind.SERVER,
            attributes=attributes(exchange),
            start_time=nanoseconds(begin),
        )
        if span.is_recording():
            inside = set_span_in_context(span)
            for name, start, seconds in parts(exchange.timings):
                first = begin + start - exchange.start
                child = self._tracer.start_span(name, context=inside, start_time=nanoseconds(first))
                child.end(nanoseconds(first + seconds))
            if exchange.status >= 500:
                span.set_status(Status(StatusCode.ERROR))
        span.end(nanoseconds(end))

    def close(self) -> None:
        """Send what is left, if that can be done soon."""
        # A daemon, since the provider waits longer than anybody would for a collector that is down.
        closing = Thread(target=self._provider.shutdown, name="gyoza-traces", daemon=True)
        closing.start()
        closing.join(TIMEOUT_S)


def name_of(exchange: Exchange) -> str:
    """Name the span of a request, as the semantic conventions do: without anything that clients make up."""
    method = exchange.method if exchange.method in METHODS else "HTTP"
    return method if exchange.route in {None, UNKNOWN} else f"{method} {exchange.route}"


def attributes(exchange: Exchange) -> dict[str, AttributeValue]:
    """Name what is known of a request by the semantic conventions, and by names of our own where there are none."""
    known = exchange.method in METHODS
    found: dict[str, AttributeValue | None] = {
        "http.request.method": exchange.method if known else "_OTHER",
        "http.request.method_original": None if known else exchange.method,
        "http.route": None if exchange.route == UNKNOWN else exchange.route,
        "http.response.status_code": exchange.status or None,
        "url.path": exchange.path,
        "url.scheme": exchange.scheme,
        "error.type": (exchange.problem or str(exchange.status)) if exchange.status >= 500 else None,
        "gyoza.request_id": exchange.request_id,
        "gyoza.model": exchange.model or None,
        "gyoza.version": exchange.version,
        "gyoza.rows": exchange.timings.rows or None,
        "gyoza.problem": exchange.problem,
    }
    return {name: value for name, value in found.items() if value is not None}


def parts(timings: Timings) -> Iterator[tuple[str, float, float]]:
    """Yield each part that began: its name, when it began, and the seconds that it took."""
    for name in PARTS:
        start = getattr(timings, f"{name}_start")
        if start:
            yield name, start, getattr(timings, name)


def nanoseconds(seconds: float) -> int:
    """Return seconds as nanoseconds."""
    return int(1e9 * seconds)
