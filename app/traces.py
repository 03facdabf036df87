"""Traces of requests, sent to an OpenTelemetry collector in the background; needs the extra ``telemetry``.

Spans are made when a request was answered, of what was noted of it: while it is answered, tracing takes no time.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from functools import partial
from threading import Thread

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

import gyoza
from app.exchange import METHODS, UNKNOWN, Exchange
from app.timings import PARTS

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
        self._sender = BatchSpanProcessor(ToldOnce(exporter, endpoint), schedule_delay_millis=1e3 * SENT_EVERY_S)
        self._provider.add_span_processor(self._sender)
        scope = InstrumentationScope("gyoza", gyoza.__version__)
        # Made as a whole: a span that is begun and ended takes several times as long.
        self._span = partial(ReadableSpan, resource=resource, instrumentation_scope=scope)
        self._propagator = TraceContextTextMapPropagator()

    def answered(self, exchange: Exchange) -> None:
        """Make the spans of a request, unless its trace is not kept."""
        context = self._propagator.extract(exchange.caller or {}, Context())
        caller = get_current_span(context).get_span_context()
        trace_id = caller.trace_id if caller.is_valid else self._provider.id_generator.generate_trace_id()
        name, known = name_of(exchange), attributes(exchange)
        sampled = self._provider.sampler.should_sample(context, trace_id, name, SpanKind.SERVER, known)
        if sampled.decision is not Decision.RECORD_AND_SAMPLE:
            return
        whole, offset = self._place(trace_id, caller), offset_of(exchange)
        for part in self._parts(exchange, whole, offset):
            self._sender.on_end(part)
        self._sender.on_end(
            self._span(
                name,
                whole,
                caller if caller.is_valid else None,
                attributes=sampled.attributes,
                kind=SpanKind.SERVER,
                status=Status(StatusCode.ERROR if exchange.status >= 500 else StatusCode.UNSET),
                start_time=offset + nanoseconds(exchange.start),
                end_time=offset + nanoseconds(exchange.start + exchange.seconds),
            )
        )

    def _parts(self, exchange: Exchange, whole: SpanContext, offset: int) -> Iterator[ReadableSpan]:
        """Yield a span of each part that began."""
        for name in PARTS:
            start, seconds = getattr(exchange.timings, f"{name}_start"), getattr(exchange.timings, name)
            if start:
                begin, end = offset + nanoseconds(start), offset + nanoseconds(start + seconds)
                yield self._span(name, self._place(whole.trace_id, whole), whole, start_time=begin, end_time=end)

    def _place(self, trace_id: int, parent: SpanContext) -> SpanContext:
        """Return the place of a new span in a trace."""
        span_id, sampled = self._provider.id_generator.generate_span_id(), TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(trace_id, span_id, is_remote=False, trace_flags=sampled, trace_state=parent.trace_state)

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


def offset_of(exchange: Exchange) -> int:
    """Return by how many nanoseconds the clock of spans, that of ``time.time``, is ahead of ``time.monotonic``."""
    return nanoseconds(exchange.ended - exchange.seconds - exchange.start)


def nanoseconds(seconds: float) -> int:
    """Return seconds as nanoseconds."""
    return int(1e9 * seconds)
