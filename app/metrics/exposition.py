"""The text format of Prometheus, from the numbers of all workers."""

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

import gyoza
from app.metrics.families import FAMILIES, Family, Kind
from app.metrics.sheet import Key, Numbers

CONTENT_TYPE = CONTENT_TYPE_LATEST
Labels = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Shown(Collector):
    """Families as ``prometheus_client`` collects them."""

    families: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self.families


def exposition(items: Iterable[tuple[Key, Numbers]], others: Iterable[Metric]) -> bytes:
    """Write all metrics.

    Args:
        items: Keys with their numbers; a key that several workers have comes several times.
        others: Families that are there already.
    """
    families = [family_of(FAMILIES[name], found) for name, found in sorted(gathered(items).items())]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Shown([*families, *others, build_info()]))
    return generate_latest(registry)


def gathered(items: Iterable[tuple[Key, Numbers]]) -> Mapping[str, Mapping[Labels, list[Numbers]]]:
    """Sort numbers by family and labels; what is known of several workers is in one list."""
    families: dict[str, dict[Labels, list[Numbers]]] = {name: {} for name in FAMILIES}
    for (name, *labels), numbers in items:
        families[name].setdefault(tuple(labels), []).append(numbers)
    return families


def family_of(family: Family, found: Mapping[Labels, Sequence[Numbers]]) -> Metric:
    """Make a family of the numbers of all workers."""
    merged = {
        labels: [family.over_workers(column) for column in zip(*numbers, strict=True)]
        for labels, numbers in sorted(found.items())
    }
    if family.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(family.name, family.text, labels=family.labels)
        for labels, (*counts, total) in merged.items():
            histogram.add_metric(labels, [*buckets(family.bounds, counts)], total)
        return histogram
    is_counter = family.kind is Kind.COUNTER
    kind: type[CounterMetricFamily | GaugeMetricFamily] = CounterMetricFamily if is_counter else GaugeMetricFamily
    simple = kind(family.name, family.text, labels=family.labels)
    for labels, (value,) in merged.items():
        simple.add_metric(labels, value)
    return simple


def buckets(bounds: Sequence[float], counts: Sequence[float]) -> Iterator[tuple[str, float]]:
    """Yield each bucket's upper bound and how many values are no larger."""
    yield from zip([*map(floatToGoString, bounds), "+Inf"], accumulate(counts), strict=True)


def build_info() -> Metric:
    """Tell the versions of what serves."""
    info = GaugeMetricFamily("gyoza_build_info", "What serves; always 1.", labels=("version", "python"))
    info.add_metric((gyoza.__version__, platform.python_version()), 1)
    return info
