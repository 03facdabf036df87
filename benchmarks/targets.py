"""What the figures must show: one table of targets, each with how it is read from the results of a run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

from benchmarks.flows.specs import FLOWS, LAWS
from benchmarks.results import Load, Results
from benchmarks.service.formats import FORMATS
from benchmarks.service.servers import CEILING, NAIVE, OURS, SERVERS
from benchmarks.service.startup import ECHO_START, FROM_KERAS, FROM_PLAN, TENSORFLOW

__all__ = ["BEST_PEERS", "TARGETS", "Target", "best_peer", "form_of", "ratio"]

SMALL, LARGE = "small-additive", "large-additive"
BEST_PEERS = (NAIVE, "mlserver", "triton")
ROWS = (1, 64, 1024)
P50, P99, RATE = attrgetter("p50_ms"), attrgetter("p99_ms"), attrgetter("requests_s")
"""Figures of a ``Load``."""
HELD, SECONDS = attrgetter("held_mib"), attrgetter("seconds")
"""Figures of a ``Start``."""
Measure = Callable[[Results], float | None]


@dataclass(frozen=True)
class Target:
    """One target, met or not."""

    what: str
    limit: float
    at_most: bool
    """False: at least."""
    measure: Measure
    """The results of a run to the figure; None where it was not measured."""

    def met(self, found: float) -> bool:
        """Whether a figure meets the target."""
        return found <= self.limit if self.at_most else found >= self.limit


def ratio(above: float | None, below: float | None) -> float | None:
    """Divide, where both were measured."""
    return None if above is None or not below else above / below


def plan_over_floor(direction: str, rows: int, results: Results) -> float | None:
    """Return by how much the plan takes longer than the floor, for the flow for which that is most."""
    found = [ratio(*(results.ms(way, flow, direction, rows) for way in ("plan", "floor"))) for flow in FLOWS]
    return max((value for value in found if value is not None), default=None)


def faster_than(way: str, results: Results) -> float | None:
    """Return how many times as fast the plan is at one row of the small flows, where that is least."""
    found = [
        ratio(*(results.ms(name, f"small-{law}", direction, 1) for name in (way, "plan")))
        for law in LAWS
        for direction in ("encode", "invert")
    ]
    return min((value for value in found if value is not None), default=None)


def beside_ceiling(form: str, scenario: str, figure: Callable[[Load], float], results: Results) -> float | None:
    """Return a figure of ours divided by the ceiling's."""
    return ratio(*(results.load(server, SMALL, form, scenario, figure) for server in (OURS, CEILING)))


def beside_safetensors(scenario: str, results: Results) -> float | None:
    """Return the requests a second in the Open Inference Protocol divided by those in safetensors."""
    return ratio(*(results.load(OURS, SMALL, form, scenario, RATE) for form in ("v2-binary", "safetensors")))


def spread(form: str, results: Results) -> float | None:
    """Return p99 over p50 of the service with 16 clients."""
    return ratio(*(results.load(OURS, SMALL, form, "r1c16", figure) for figure in (P99, P50)))


def form_of(server: str, family: str) -> str | None:
    """Return the wire format of a family that a server speaks; None where it speaks none."""
    return next((form for form in SERVERS[server].forms if FORMATS[form].family == family), None)


def best_peer(flow: str, family: str, scenario: str, results: Results) -> tuple[str, float] | None:
    """Return the best peer, and its p50 with one client, else its requests a second.

    None unless every peer that speaks a format of the family was measured: the best of fewer would be no mark.
    """
    figure, best = (P50, min) if scenario == "r1c1" else (RATE, max)
    forms = {server: form for server in BEST_PEERS if (form := form_of(server, family))}
    found = {server: results.load(server, flow, form, scenario, figure) for server, form in forms.items()}
    known = [(value, server) for server, value in found.items() if value is not None]
    if len(known) < len(forms):
        return None
    value, server = best(known)
    return server, value


def beside_best_peer(flow: str, family: str, scenario: str, results: Results) -> float | None:
    """Return how many times as good the service is: above 1, better than every peer."""
    best, form = best_peer(flow, family, scenario, results), form_of(OURS, family)
    if best is None or form is None:
        return None
    own = results.load(OURS, flow, form, scenario, P50 if scenario == "r1c1" else RATE)
    return ratio(best[1], own) if scenario == "r1c1" else ratio(own, best[1])


def start_ratio(
    what: str, reference: str, figure: Callable[..., float], extra: float, results: Results
) -> float | None:
    """Return a figure of a start divided by a reference's, after ``extra`` was taken off."""
    found = results.start(what, figure)
    return None if found is None else ratio(found - extra, results.start(reference, figure))


def compute_targets() -> Iterator[Target]:
    """Yield what holds in process."""
    for direction in ("encode", "invert"):
        for rows in ROWS:
            title = f"{direction} of {rows:,} rows: plan / floor, the worst flow"
            yield Target(title, 1.3, at_most=True, measure=partial(plan_over_floor, direction, rows))
    yield Target(
        "1 row, small flows: tf.function / plan", 4, at_most=False, measure=partial(faster_than, "tf.function")
    )
    yield Target("1 row, small flows: layers / plan", 100, at_most=False, measure=partial(faster_than, "layers"))


def ceiling_targets() -> Iterator[Target]:
    """Yield what holds of the service beside the ceiling."""
    for form in ("json", "safetensors"):
        beside = partial(partial, beside_ceiling, form)
        yield Target(f"{form} r1c1: p50 / ceiling", 1.2, at_most=True, measure=beside("r1c1", P50))
        yield Target(f"{form} r1c16: requests/s / ceiling", 0.85, at_most=False, measure=beside("r1c16", RATE))
        yield Target(f"{form} r1c16: p99 / p50", 4, at_most=True, measure=partial(spread, form))
        for scenario in ("r64c4", "r1024c2"):
            yield Target(f"{form} {scenario}: rows/s / ceiling", 1, at_most=False, measure=beside(scenario, RATE))


def v2_targets() -> Iterator[Target]:
    """Yield what holds of the Open Inference Protocol with binary tensors, beside the ceiling and beside safetensors."""
    for scenario in ("r64c4", "r1024c2"):
        against_ceiling = partial(beside_ceiling, "v2-binary", scenario, RATE)
        yield Target(f"v2-binary {scenario}: rows/s / ceiling", 1, at_most=False, measure=against_ceiling)
        against_files = partial(beside_safetensors, scenario)
        yield Target(f"v2-binary {scenario}: rows/s / safetensors", 0.97, at_most=False, measure=against_files)


PEER_LIMITS = {
    SMALL: {"r1c1": 4, "r1c16": 3.8, "r64c4": 1.8, "r1024c2": 1.5},
    LARGE: {"r1c1": 1.8, "r1c16": 0.9, "r64c4": 1.1, "r1024c2": 1.1},
}
"""Flow and load to how many times as good as the best peer the service is."""


def peer_targets() -> Iterator[Target]:
    """Yield what holds of the service beside the best peer in a format of the same family."""
    for flow, limits in PEER_LIMITS.items():
        for family in ("JSON", "binary"):
            for scenario, limit in limits.items():
                better = "shorter p50" if scenario == "r1c1" else "more requests/s"
                title = f"{flow}, {family} {scenario}: times {better} than the best peer"
                yield Target(title, limit, at_most=False, measure=partial(beside_best_peer, flow, family, scenario))


def start_targets() -> Iterator[Target]:
    """Yield what holds of the start."""
    for what, reference, limits, extra in (
        (FROM_KERAS, TENSORFLOW, (1.2, 1.5), 2.0),
        (FROM_PLAN, ECHO_START, (2.5, 3.0), 0.0),
    ):
        memory, ready = limits
        yield Target(
            f"{what}: memory / {reference}",
            memory,
            at_most=True,
            measure=partial(start_ratio, what, reference, HELD, 0),
        )
        less = f" less {extra:g} s" if extra else ""
        yield Target(
            f"{what}: time until ready{less} / {reference}",
            ready,
            at_most=True,
            measure=partial(start_ratio, what, reference, SECONDS, extra),
        )


TARGETS = (*compute_targets(), *ceiling_targets(), *v2_targets(), *peer_targets(), *start_targets())
