"""Counting, and what is shown of it."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import gyoza
from app.engine.engine import Lane
from app.exchange import Exchange
from app.metrics import Metrics
from app.metrics.families import FAMILIES, LOAD_SECONDS, QUEUE_ROWS, SECONDS, Kind
from app.metrics.shared import sheet_files
from app.metrics.sheet import Key
from app.primitives import Primitive
from app.timings import Timings
from tests.app.servers import ROOT

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
ENCODE = {"route": "/encode", "model": "tiny", "version": "1"}


def samples(text: bytes) -> Samples:
    """The value of each sample, by its name and labels."""
    families = text_string_to_metric_families(text.decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    """The value of one sample, None where there is none."""
    return found.get((name, frozenset(labels.items())))


def exchange(seconds: float = 0.5, status: int = 200, problem: str | None = None, **timings: float) -> Exchange:
    """A request to encode."""
    route, model, version = ENCODE.values()
    found = Exchange("abc", 0.0, Timings(**timings), route, model, version, problem)  # type: ignore[arg-type]
    found.method, found.status, found.seconds = "POST", status, seconds
    return found


def test_requests_are_counted() -> None:
    """Requests, rows, and times in their buckets, to which the upper bound belongs; the sum is of all values."""
    metrics = Metrics()
    metrics.answered(exchange(0.5, rows=3, queue_start=1.0, queue=0.001, compute_start=1.0, compute=0.004))
    metrics.answered(exchange(0.75, rows=2, queue_start=1.0, queue=100.0))
    found = samples(metrics.text())
    assert value(found, "gyoza_requests_total", method="POST", **ENCODE, status="200") == 2
    assert value(found, "gyoza_rows_total", **ENCODE) == 5
    whole = [value(found, "gyoza_request_seconds_bucket", **ENCODE, le=str(bound)) for bound in (0.25, 0.5, 1.0)]
    assert whole == [0, 1, 2]
    assert value(found, "gyoza_request_seconds_sum", **ENCODE) == 1.25
    assert value(found, "gyoza_queue_seconds_bucket", **ENCODE, le="0.001") == 1
    assert value(found, "gyoza_queue_seconds_bucket", **ENCODE, le="30.0") == 1
    assert value(found, "gyoza_queue_seconds_bucket", **ENCODE, le="+Inf") == 2
    assert value(found, "gyoza_compute_seconds_count", **ENCODE) == 1
    build = {"version": gyoza.__version__, "python": platform.python_version()}
    assert value(found, "gyoza_build_info", **build) == 1


def test_problems_are_counted_by_their_kind() -> None:
    """A request that got no results counts by model and kind of problem, and its rows do not count."""
    metrics = Metrics()
    metrics.answered(exchange(status=504, problem="deadline-exceeded", rows=3, queue_start=1.0))
    found = samples(metrics.text())
    assert value(found, "gyoza_rejected_total", model="tiny", reason="deadline-exceeded") == 1
    assert value(found, "gyoza_requests_total", method="POST", **ENCODE, status="504") == 1
    assert not any(name.startswith(("gyoza_rows", "gyoza_compute")) for name, _ in found)


def test_passes_are_counted_by_their_rows() -> None:
    """A pass counts in the bucket of its rows, and the sum is of the rows of all passes."""
    metrics = Metrics()
    for rows in (1, 3, 4, 5000):
        metrics.passes(Lane("tiny", 1, Primitive.ENCODE))(rows)
    found, lane = samples(metrics.text()), {"model": "tiny", "version": "1", "primitive": "encode"}
    counts = [value(found, "gyoza_batch_rows_bucket", **lane, le=le) for le in ("1.0", "2.0", "4.0", "4096.0", "+Inf")]
    assert counts == [1, 1, 3, 3, 4]
    assert value(found, "gyoza_batch_rows_sum", **lane) == 5008


def test_what_is_gone_is_shown_no_more() -> None:
    """A gauge that is not shown again is gone, and comes back."""
    metrics, key = Metrics(), (QUEUE_ROWS.name, "tiny", "1", "encode")
    steps: tuple[dict[Key, float], ...] = ({key: 7.0}, {}, {key: 8.0})
    for gauges in steps:
        metrics.show(gauges)
        found = samples(metrics.text())
        shown = value(found, "gyoza_queue_rows", model="tiny", version="1", primitive="encode")
        assert shown == gauges.get(key)


def test_workers_count_together() -> None:
    """Counts and gauges of workers add up, but for what is as long as the longest; a worker without a sheet is none."""
    with sheet_files(3) as files:
        workers = [Metrics(files, number) for number in (1, 2)]
        for number, metrics in enumerate(workers, start=1):
            metrics.answered(exchange(0.5))
            gauges = {(QUEUE_ROWS.name, "tiny", "1", "encode"): 2.0, (LOAD_SECONDS.name, "tiny", "1"): float(number)}
            metrics.show(gauges)
        for metrics in workers:
            found = samples(metrics.text())
            assert value(found, "gyoza_requests_total", method="POST", **ENCODE, status="200") == 2
            assert value(found, "gyoza_request_seconds_bucket", **ENCODE, le="0.5") == 2
            assert value(found, "gyoza_queue_rows", model="tiny", version="1", primitive="encode") == 4
            assert value(found, "gyoza_model_load_seconds", model="tiny", version="1") == 2
            assert value(found, "gyoza_worker_starts_total", worker="2") == 1
            assert value(found, "gyoza_worker_starts_total", worker="3") is None


COUNT_AND_END = """
import sys
from app.exchange import Exchange
from app.metrics import Metrics
metrics = Metrics([int(file) for file in sys.argv[1:]], 2)
metrics.show({("gyoza_queue_rows", "tiny", "1", "encode"): 9.0})
metrics.answered(Exchange("abc", 0.0, route="/encode", model="tiny", version="1", status=200, method="POST"))
"""


def test_a_worker_that_ended_leaves_its_counts_alone() -> None:
    """Of a worker that ended the counts stay and the gauges go; its successor goes on counting, with gauges of its own."""
    with sheet_files(2) as files:
        metrics = Metrics(files, 1)
        names = [str(file) for file in files]
        subprocess.run([sys.executable, "-c", COUNT_AND_END, *names], cwd=ROOT, pass_fds=files, check=True)
        found = samples(metrics.text())
        assert value(found, "gyoza_requests_total", method="POST", **ENCODE, status="200") == 1
        assert not any(name == "gyoza_queue_rows" for name, _ in found)
        Metrics(files, 2).answered(exchange())
        found = samples(metrics.text())
        assert value(found, "gyoza_requests_total", method="POST", **ENCODE, status="200") == 2
        assert value(found, "gyoza_worker_starts_total", worker="2") == 2
        assert not any(name == "gyoza_queue_rows" for name, _ in found)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs the system to tell")
def test_the_process_is_shown() -> None:
    """Memory, time and files of the process are shown by worker."""
    found = samples(Metrics().text())
    for name in ("resident_memory_bytes", "cpu_seconds_total", "open_fds", "start_time_seconds"):
        assert value(found, f"gyoza_process_{name}", worker="1")


def test_the_table_is_sound() -> None:
    """Names follow the conventions: counters end in _total, times are in seconds, histograms reach from .5 ms to 30 s."""
    for name, family in FAMILIES.items():
        assert name.startswith("gyoza_")
        assert name.endswith("_total") == (family.kind is Kind.COUNTER)
        assert bool(family.bounds) == (family.kind is Kind.HISTOGRAM)
        assert [*family.bounds] == sorted(family.bounds)
    assert min(SECONDS) <= 0.0005
    assert max(SECONDS) >= 30
