"""The table of what is measured; the README's table of metrics shows it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0)
REQUEST = ("route", "model", "version")
LANE = ("model", "version", "primitive")


class Kind(StrEnum):
    """What a number is, in the words of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Family:
    """Numbers of one name, which their labels tell apart."""

    kind: Kind
    name: str
    text: str
    """What it is, in words."""
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """The upper bounds of a histogram's buckets, but for infinity; each belongs to its bucket."""
    over_workers: Callable[[Iterable[float]], float] = sum
    """Makes one number of those of several workers."""

    @property
    def size(self) -> int:
        """How many numbers are kept under each combination of labels: a histogram's buckets, and the sum of all values."""
        return len(self.bounds) + 2 if self.bounds else 1


REQUESTS = Family(Kind.COUNTER, "gyoza_requests_total", "Requests that were answered.", ("method", *REQUEST, "status"))
REQUEST_SECONDS = Family(
    Kind.HISTOGRAM, "gyoza_request_seconds", "From a request's head to the end of its answer.", REQUEST, SECONDS
)
QUEUE_SECONDS = Family(
    Kind.HISTOGRAM, "gyoza_queue_seconds", "From a request's rows to the begin of their first pass.", REQUEST, SECONDS
)
COMPUTE_SECONDS = Family(
    Kind.HISTOGRAM, "gyoza_compute_seconds", "The passes that a request's rows were in.", REQUEST, SECONDS
)
ANSWERED_ROWS = Family(Kind.COUNTER, "gyoza_rows_total", "Rows of requests that got results.", REQUEST)
REJECTED = Family(
    Kind.COUNTER, "gyoza_rejected_total", "Requests that got no results, by the kind of problem.", ("model", "reason")
)
BATCH_ROWS = Family(Kind.HISTOGRAM, "gyoza_batch_rows", "Rows of a pass.", LANE, ROWS)
QUEUE_ROWS = Family(Kind.GAUGE, "gyoza_queue_rows", "Rows that wait.", LANE)
MODEL_STATE = Family(
    Kind.GAUGE, "gyoza_model_state", "Processes in which a version is in a state.", ("model", "version", "state")
)
READY = Family(Kind.GAUGE, "gyoza_ready", "Whether /readyz is 200; of several workers, the least.", over_workers=min)
LOAD_SECONDS = Family(
    Kind.GAUGE,
    "gyoza_model_load_seconds",
    "How long a version took to load, prove and warm up.",
    ("model", "version"),
    over_workers=max,
)
LOAD_FAILURES = Family(
    Kind.COUNTER,
    "gyoza_model_load_failures_total",
    "Loads that were asked for and failed, in each process.",
    ("model",),
)
STARTS = Family(Kind.COUNTER, "gyoza_worker_starts_total", "Processes that were started as this worker.", ("worker",))

FAMILIES = {
    family.name: family
    for family in (
        REQUESTS,
        REQUEST_SECONDS,
        QUEUE_SECONDS,
        COMPUTE_SECONDS,
        ANSWERED_ROWS,
        REJECTED,
        BATCH_ROWS,
        QUEUE_ROWS,
        READY,
        MODEL_STATE,
        LOAD_SECONDS,
        LOAD_FAILURES,
        STARTS,
    )
}
