"""Time the ways of computing in turn, each in a process of its own, since thread pools disturb each other."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.flows.specs import ROOT
from benchmarks.results import Timing

__all__ = ["WAYS", "Way", "run_python", "time_ways"]

TIME_LIMIT_S = 900


@dataclass(frozen=True)
class Way:
    """One way of computing."""

    name: str
    module: str
    every_round: bool
    """False: in the first round only, since it takes long to compile or to run and is far from what it is compared with."""


PLAIN, KERAS = "benchmarks.compute.without_keras", "benchmarks.compute.with_tensorflow"
WAYS = (
    Way("floor", PLAIN, every_round=True),
    Way("plan", PLAIN, every_round=True),
    Way("tf.function", KERAS, every_round=True),
    Way("XLA", KERAS, every_round=False),
    Way("layers", KERAS, every_round=False),
)


def time_ways(flows: Sequence[str], seconds: float, rounds: int) -> Iterator[tuple[str, list[Timing]]]:
    """Yield what was timed and its timings, for each way in each round.

    Raises:
        RuntimeError: A process failed, such as by numbers that are not those of the layers.
    """
    for number in range(rounds):
        for way in WAYS:
            if way.every_round or number == 0:
                text = run_python(way.module, way.name, str(seconds), *flows)
                timings = [Timing(**json.loads(line)) for line in text.splitlines() if line.startswith("{")]
                yield f"round {number + 1} of {rounds}: {way.name}", timings


def run_python(module: str, *arguments: str) -> str:
    """Run a module in a Python of its own and return what it printed.

    Raises:
        RuntimeError: It failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"python -m {module} {' '.join(arguments)} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
