"""How many threads BLAS should have: passes of flows, alone, beside each other, split, and beside a busy interpreter.

Run it from the repository's root: ``PYTHONPATH=. python benchmarks/threads.py [ROUNDS]``. BLAS reads its number of threads
when it is loaded, so each number has a process of its own; case after case, the two take turns.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from threading import Event, Thread
from typing import Any

import numpy as np

from app.threads import usable_cores
from gyoza.inference import CompiledFlow, Plan
from gyoza.inference.plan import Additive, Affine, Coupling, Dense, DenseNetwork, Floats, Rotation, Step

BLOCKS = 8
FLOWS = {"D = 64, MLP 256×2": (64, 256), "D = 512, MLP 1,024×2": (512, 1024)}
ROWS = (1, 16, 64, 1024)
SECONDS = 0.15
"""So long each case runs in each round, one pass of each thread at least."""
BODY = json.dumps({"latents": [[0.1] * 64]})


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    flow: str
    rows: int
    way: str


def flow_of(size: int, width: int) -> CompiledFlow:
    """Make a flow of random weights: blocks of a scale, a rotation and two additive couplings."""
    random = np.random.RandomState(0)
    halves = np.arange(size // 2), np.arange(size // 2, size)
    sizes = (size // 2, width, width, size // 2)

    def coupling(kept: int) -> Coupling:
        pairs = zip(sizes, sizes[1:], ("relu", "relu", "linear"), strict=False)
        layers = (Dense(random.normal(size=(n, m)) / n**0.5, np.zeros(m), activation) for n, m, activation in pairs)
        return Coupling(halves[kept], halves[1 - kept], DenseNetwork(tuple(layers)), Additive())

    def block() -> Iterator[Step]:
        yield Affine(np.full(size, 1.1), np.zeros(size))
        yield Rotation(np.linalg.qr(random.normal(size=(size, size)))[0])
        yield from (coupling(kept) for kept in (0, 1))

    steps = tuple(step for _ in range(BLOCKS) for step in block())
    return CompiledFlow(Plan(steps, (size,), (size,), np.dtype("float32")))


def repeated(run: Callable[[], object]) -> float:
    """Return how often something can be done in a second."""
    count, start = 0, time.perf_counter()
    while not count or time.perf_counter() - start < SECONDS:
        run()
        count += 1
    return count / (time.perf_counter() - start)


def alone(encode: Callable[[Floats], object], latents: Floats, _: int) -> float:
    """Return the passes a second of one thread."""
    return repeated(lambda: encode(latents))


def beside_each_other(encode: Callable[[Floats], object], latents: Floats, cores: int) -> float:
    """Return the passes a second of a thread for each core."""
    with ThreadPoolExecutor(cores) as pool:
        return sum(pool.map(lambda _: repeated(lambda: encode(latents)), range(cores)))


def split(encode: Callable[[Floats], object], latents: Floats, cores: int) -> float:
    """Return the passes a second when each is split by rows over a thread for each core."""
    pieces = np.array_split(latents, min(cores, len(latents)))
    with ThreadPoolExecutor(cores) as pool:
        return repeated(lambda: list(pool.map(encode, pieces)))


def beside_a_loop(encode: Callable[[Floats], object], latents: Floats, _: int) -> float:
    """Return the passes a second of one thread while another one keeps the interpreter busy, as an event loop does."""
    return with_a_loop(encode, latents)[0]


def loop_beside(encode: Callable[[Floats], object], latents: Floats, _: int) -> float:
    """Return the bodies that the busy thread reads in a second meanwhile."""
    return with_a_loop(encode, latents)[1]


def with_a_loop(encode: Callable[[Floats], object], latents: Floats) -> tuple[float, float]:
    """Return the passes of one thread in a second, and the bodies that another one reads."""
    done, bodies = Event(), []
    loop = Thread(target=lambda: bodies.append(repeated(lambda: done.is_set() or json.loads(BODY))))
    loop.start()
    passes = repeated(lambda: encode(latents))
    done.set()
    loop.join()
    return passes, bodies[0]


WAYS = {
    "alone": alone,
    "one a core": beside_each_other,
    "split over the cores": split,
    "beside a busy loop": beside_a_loop,
    "the busy loop itself": loop_beside,
}
CASES = [Case(flow, rows, way) for flow in FLOWS for rows in ROWS for way in WAYS]


def measure() -> None:
    """Answer each case that comes on standard input with its figure."""
    flows = {name: flow_of(*sizes) for name, sizes in FLOWS.items()}
    for line in sys.stdin:
        case = Case(**json.loads(line))
        flow = flows[case.flow]
        latents = np.random.RandomState(1).standard_normal((case.rows, FLOWS[case.flow][0])).astype("float32")
        print(WAYS[case.way](flow.encode, latents, usable_cores()), flush=True)


def start(threads: int) -> subprocess.Popen[str]:
    """Start a process whose BLAS has so many threads."""
    return subprocess.Popen(
        [sys.executable, __file__, "--measure"],
        env={**os.environ, "OPENBLAS_NUM_THREADS": str(threads)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(process: subprocess.Popen[Any], case: Case) -> float:
    """Return what a process measures."""
    print(json.dumps(vars(case)), file=process.stdin, flush=True)
    return float(next(iter(process.stdout or ())))


def main() -> None:
    """Print the table."""
    if "--measure" in sys.argv:
        measure()
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    cores = usable_cores()
    with start(1) as single, start(cores) as many:
        found = {case: [(ask(single, case), ask(many, case)) for _ in range(rounds)] for case in CASES}
        for process in (single, many):
            process.communicate()
    print(
        f"{cores} cores, Python {platform.python_version()}, NumPy {np.__version__}; a second, medians of {rounds} rounds"
    )
    print(f"{'':24}{'rows':>6}{'':24}{'1 thread':>12}{f'{cores} threads':>12}{'ratio':>8}")
    for case, pairs in found.items():
        one, other = (median(column) for column in zip(*pairs, strict=True))
        print(f"{case.flow:24}{case.rows:6}  {case.way:22}{one:12.1f}{other:12.1f}{other / one:8.2f}")


if __name__ == "__main__":
    main()
