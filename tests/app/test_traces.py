"""Traces, as a collector gets them."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.app.servers import ROOT, SECONDS, serving, start
from tests.app.worlds import LATENTS

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
BODY = {"latents": LATENTS}
PARTS = ("decode", "queue", "compute", "encode")
Collected = list[tuple[dict[str, object], Span]]


class Collector(ThreadingHTTPServer):
    """Takes traces by OTLP over HTTP, on a free port."""

    def __init__(self) -> None:
        """Begin with no spans."""
        super().__init__(("127.0.0.1", 0), Taking)
        self.spans: Collected = []
        self.came = threading.Condition()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def wait(self, enough: Callable[[Collected], bool]) -> Collected:
        """Return the spans, each with the attributes of what sent it, once there are enough."""
        with self.came:
            assert self.came.wait_for(lambda: enough(self.spans), SECONDS), self.spans
            return [*self.spans]


class Taking(BaseHTTPRequestHandler):
    """Takes one message."""

    server: Collector

    def do_POST(self) -> None:
        """Keep its spans."""
        assert self.path == "/v1/traces"
        message = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.came:
            for source in message.resource_spans:
                resource = values(source.resource.attributes)
                self.server.spans += [(resource, span) for scope in source.scope_spans for span in scope.spans]
            self.server.came.notify_all()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def values(attributes: list[KeyValue]) -> dict[str, object]:
    """Attributes by their names."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value") or "") for each in attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that listens."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextmanager
def traced(folder: Path, endpoint: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """A server process that sends traces, and a client of it."""
    with (
        serving(folder, "--otel-endpoint", endpoint, *arguments) as (server, address, _),
        httpx.Client(base_url=address, timeout=SECONDS) as client,
    ):
        yield server, client


def ended(server: subprocess.Popen[str]) -> str:
    """End a server, and return what it wrote to its log."""
    server.send_signal(signal.SIGTERM)
    _, log = server.communicate(timeout=SECONDS)
    assert server.returncode == 0
    return log


def named(spans: Collected, name: str) -> Span:
    """The one span of a name."""
    (found,) = [span for _, span in spans if span.name == name]
    return found


def test_a_request_is_a_span_with_its_parts(folder: Path, collector: Collector) -> None:
    """A request is a span in its client's trace, with attributes of the conventions, and its parts within it, in order."""
    with traced(folder, collector.url) as (server, client):
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Request-ID": "abc"}
        assert client.post("/encode", json=BODY, headers=headers).status_code == 200
        spans = collector.wait(lambda spans: any(span.name == "POST /encode" for _, span in spans))
        ended(server)
    whole = named(spans, "POST /encode")
    assert (whole.trace_id.hex(), whole.parent_span_id.hex(), whole.kind) == (TRACE, CALLER, Span.SPAN_KIND_SERVER)
    assert values([*whole.attributes]) == {
        "http.request.method": "POST",
        "http.route": "/encode",
        "http.response.status_code": 200,
        "url.path": "/encode",
        "url.scheme": "http",
        "gyoza.request_id": "abc",
        "gyoza.model": "tiny",
        "gyoza.version": "1",
        "gyoza.rows": 2,
    }
    children = [span for _, span in spans if span.parent_span_id == whole.span_id]
    assert tuple(span.name for span in children) == PARTS
    times = [time for span in children for time in (span.start_time_unix_nano, span.end_time_unix_nano)]
    assert times == sorted(times)
    assert whole.start_time_unix_nano <= times[0]
    assert times[-1] <= whole.end_time_unix_nano
    assert {resource["service.name"] for resource, _ in spans} == {"gyoza"}


def test_what_went_wrong_is_told(folder: Path, collector: Collector) -> None:
    """Problems are named; only those of the service are errors; and no name of a span is of a client's making."""
    with traced(folder, collector.url, "--request-timeout-s", "0.000001") as (server, client):
        client.post("/encode", json=BODY)
        client.get("/made/up")
        client.request("PROPFIND", "/livez")
        client.get("/livez")
        ended(server)
    spans = collector.wait(lambda spans: len(spans) >= 4)
    late, unknown, rare, fine = (named(spans, name) for name in ("POST /encode", "GET", "HTTP /livez", "GET /livez"))
    assert late.status.code == Status.STATUS_CODE_ERROR
    assert values([*late.attributes])["error.type"] == "deadline-exceeded"
    assert unknown.status.code == rare.status.code == fine.status.code == Status.STATUS_CODE_UNSET
    found = values([*unknown.attributes])
    assert (found["gyoza.problem"], found["url.path"]) == ("not-found", "/made/up")
    assert found.keys().isdisjoint({"error.type", "http.route", "gyoza.model"})
    found = values([*rare.attributes])
    assert (found["http.request.method"], found["http.request.method_original"]) == ("_OTHER", "PROPFIND")


def test_a_trace_that_is_not_kept_is_not_sent(folder: Path, collector: Collector) -> None:
    """Where a client says that its trace is not kept, nothing of it is sent; what can't be read says nothing."""
    with traced(folder, collector.url) as (server, client):
        client.get("/livez", headers={"traceparent": f"00-{TRACE}-{CALLER}-00"})
        client.get("/livez", headers={"traceparent": "nonsense"})
        ended(server)
    (span,) = [span for _, span in collector.wait(bool)]
    assert span.trace_id.hex() != TRACE
    assert not span.parent_span_id


def test_every_worker_sends(folder: Path, collector: Collector) -> None:
    """The spans of all workers come, each with the process that made it."""
    with traced(folder, collector.url, "--workers", "2") as (server, client):
        processes: set[object] = set()
        while len(processes) < 2:
            assert httpx.post(f"{client.base_url}/encode", json=BODY, timeout=SECONDS).status_code == 200
            spans = collector.wait(bool)
            processes = {resource["process.pid"] for resource, span in spans if span.name == "POST /encode"}
        ended(server)
    assert str(server.pid) not in map(str, processes)


def test_a_collector_that_is_down_is_told_once(folder: Path) -> None:
    """Without a collector every request is answered, the log says so once, and the server ends as ever."""
    with Collector() as closed:
        url = closed.url
    with traced(folder, url) as (server, client):
        for _ in range(3):
            assert client.post("/encode", json=BODY).status_code == 200
        log = ended(server)
    assert log.count("can't be sent") == 1
    assert f"WARNING gyoza.traces: traces can't be sent to {url}, and are dropped while that is so" in log
    assert "opentelemetry" not in log


def test_without_the_extra_it_says_what_to_install(folder: Path) -> None:
    """Where OpenTelemetry is not installed the server does not start, and says which extra is missing."""
    script = (
        "import sys; sys.modules['opentelemetry.sdk'] = None; from app.cli import main; "
        f"main(['serve', '--models-dir', {str(folder)!r}, '--otel-endpoint', 'http://localhost:1'])"
    )
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "GYOZA_OTEL_ENDPOINT: needs OpenTelemetry" in found.stderr
    assert (
        "Install the extra telemetry of gyoza-serve: pip install '.[telemetry]' in the checkout; or leave it out."
        in found.stderr
    )


UNTRACED = """
import sys
from app.main import create_app
create_app()
print(*(name for name in sys.modules if name.startswith(("opentelemetry.sdk", "app.traces"))))
"""


def test_nothing_is_imported_where_no_traces_are_wanted(folder: Path) -> None:
    """Without an endpoint OpenTelemetry's SDK is not even imported."""
    environment = {**os.environ, "GYOZA_MODELS_DIR": str(folder)}
    found = subprocess.run([sys.executable, "-c", UNTRACED], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert found.stdout.strip() == b""


@pytest.mark.parametrize("endpoint", ["localhost:4318", "grpc://localhost:4317", "http://a?b"])
def test_what_is_no_collector_is_refused(folder: Path, endpoint: str) -> None:
    """An endpoint must be an address that OTLP over HTTP can go to."""
    with start("serve", "--models-dir", str(folder), "--otel-endpoint", endpoint) as server:
        _, log = server.communicate(timeout=SECONDS)
    assert server.returncode == 2
    assert "GYOZA_OTEL_ENDPOINT: must be an address such as http://localhost:4318" in log
    assert endpoint in log
