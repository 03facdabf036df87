"""Time one way of computing every flow, in this process alone, after its numbers were compared with the layers'."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from statistics import median
from time import perf_counter, process_time
from typing import Protocol

from benchmarks.flows.specs import FLOWS, ROWS, Floats, FlowSpec, answers, largest
from benchmarks.results import Timing
from benchmarks.service.processes import machine_seconds

__all__ = ["Flow", "Way", "check", "main", "median_ms", "time_flow"]

TOLERANCE = 1e-3
"""In units of 1 + max|row|: rounding is far below, a wrong row far above."""
LEAST_CALLS = 3


class Flow(Protocol):
    """A flow on NumPy arrays, whichever way it computes."""

    def encode(self, latents: Floats) -> tuple[Floats, Floats]:
        """Map latents [n, D] to codes [n, D] and logdet [n]."""

    def invert(self, codes: Floats) -> Floats:
        """Map codes [n, D] to latents [n, D]."""


Way = Callable[[FlowSpec], Flow]


def main(ways: dict[str, Way]) -> None:
    """Print a line of JSON for each timing. Arguments: the way, seconds for each timing, names of flows."""
    way, seconds, *names = sys.argv[1:]
    for name in names:
        spec = FLOWS[name]
        for timing in time_flow(way, ways[way](spec), spec, float(seconds)):
            sys.stdout.write(json.dumps(asdict(timing)) + "\n")


def time_flow(way: str, flow: Flow, spec: FlowSpec, seconds: float) -> Iterator[Timing]:
    """Check a flow, then yield its timings in either direction and at every size of a batch.

    Raises:
        ArithmeticError: Its numbers are not those of the layers.
    """
    expected = answers(spec)
    for rows in ROWS:
        check(flow, {name: array[:rows] for name, array in expected.items()}, f"{way} of {spec.name} at {rows} rows")
        for direction, call in (
            ("encode", partial(flow.encode, expected["latents"][:rows])),
            ("invert", partial(flow.invert, expected["codes"][:rows])),
        ):
            yield Timing(way, spec.name, direction, rows, *median_ms(call, seconds))


def check(flow: Flow, expected: dict[str, Floats], title: str) -> None:
    """Compare a flow's numbers with what the layers answered.

    Raises:
        ArithmeticError: They differ by more than rounding does.
    """
    codes, logdet = flow.encode(expected["latents"])
    error = max(
        largest(codes, expected["codes"]),
        largest(logdet, expected["logdet"]),
        largest(flow.invert(expected["codes"]), expected["returned"]),
    )
    if not error <= TOLERANCE:
        raise ArithmeticError(
            f"{title} must answer as the layers do, to {TOLERANCE:g}. Received: an error of {error:.3g}"
        )


def median_ms(call: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Call for so many seconds, after one call that does not count.

    Returns:
        The median milliseconds of a call, and how many CPUs other processes used meanwhile.
    """
    call()
    times: list[float] = []
    machine, own, begin = machine_seconds(), process_time(), perf_counter()
    while len(times) < LEAST_CALLS or perf_counter() < begin + seconds:
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    foreign = (machine_seconds() - machine) - (process_time() - own)
    return 1e3 * median(times), max(0.0, foreign) / (perf_counter() - begin)
