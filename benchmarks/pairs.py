"""How long it takes to build a sampler of pairs and to draw batches, beside plain NumPy in the same run.

Run it from the repository's root: ``PYTHONPATH=. python benchmarks/pairs.py [ROWS]``.
"""

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

# Before Keras is imported, so that its backend keeps quiet.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from gyoza.data import FactorPairs

DIMENSIONS = 32
PAIRS = 1024
BUILDS = 5
BATCHES = 200
SEED = 0


@dataclass(frozen=True)
class Timing:
    """What one row of the table says."""

    what: str
    seconds: float
    reference: str
    reference_seconds: float


def measure(function: Callable[[int], Any], repeats: int) -> float:
    """Return the median seconds of calls, each given its number, after one call that does not count."""
    function(0)
    seconds = []
    for number in range(1, repeats + 1):
        start = perf_counter()
        function(number)
        seconds.append(perf_counter() - start)
    return median(seconds)


def time_pairs(name: str, latents: Any, labels: dict[str, Any]) -> list[Timing]:
    """Time the build of a data set and its batches, and what the least of them would take in NumPy."""
    pairs = FactorPairs(latents, labels, batch_size=PAIRS, seed=SEED)
    column = np.ascontiguousarray(latents[:, 0])
    rows = np.random.default_rng(SEED).integers(len(latents), size=(BATCHES + 1, 2, PAIRS))
    build = measure(lambda _: FactorPairs(latents, labels, batch_size=PAIRS, seed=SEED), BUILDS)
    batch = measure(lambda number: pairs[number % len(pairs)], BATCHES)
    sort = measure(lambda _: np.argsort(column, kind="stable"), BUILDS)
    gather = measure(lambda number: (latents[rows[number, 0]], latents[rows[number, 1]]), BATCHES)
    return [
        Timing(f"build, {name}", build, f"stable argsort of {len(latents):,} floats", sort),
        Timing(f"batch of {PAIRS:,} pairs, {name}", batch, f"gather of {2 * PAIRS:,} rows", gather),
    ]


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = np.random.default_rng(SEED)
    latents = rng.standard_normal((count, DIMENSIONS), np.float32)
    classes, angle, color = rng.integers(0, 10, count), rng.uniform(size=count), rng.uniform(size=(count, 3))
    print(f"{count:,} latents of {DIMENSIONS} float32, Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"{'what':46}{'median':>12}{'ratio':>8}  reference (its median)")
    for timing in (
        *time_pairs("10 classes and 1 number", latents, {"digit": classes, "angle": angle}),
        *time_pairs("10 classes and 3 numbers", latents, {"digit": classes, "color": color}),
    ):
        ratio = timing.seconds / timing.reference_seconds
        reference = f"{timing.reference} ({1e3 * timing.reference_seconds:.3f} ms)"
        print(f"{timing.what:46}{1e3 * timing.seconds:9.3f} ms{ratio:8.1f}  {reference}")


if __name__ == "__main__":
    main()
