"""How many threads BLAS should have: passes of flows, one and two at once, and a busy event loop beside them.

Run it from the repository's root: ``PYTHONPATH=. python benchmarks/threads.py [ROUNDS]``. BLAS reads its number of
threads when it is loaded, so each number has a process of its own; they take turns, round after round.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from threading import Event, Thread

import numpy as np

from gyoza.inference import CompiledFlow, Plan
from gyoza.inference.plan import Additive, Affine, Coupling, Dense, DenseNetwork, Rotation, Step

BLOCKS = 8
FLOWS = {"D = 64, MLP 256×2": (64, 256), "D = 512, MLP 1024×2": (512, 1024)}
ROWS = (1, 16, 64, 1024)
SECONDS = 0.4
BODY = json.dumps({"latents": [[0.1] * 64]})


def flow_of(size: int, width: int) -> CompiledFlow:
    """Make a flow of random weights: blocks of a scale, a rotation and two additive couplings."""
    random = np.random.RandomState(0)
    halves = np.arange(size // 2), np.arange(size // 2, size)

    def coupling(kept: int) -> Coupling:
        sizes = (size // 2, width, width, size // 2)
        layers = tuple(
            Dense(random.normal(size=pair) / pair[0] ** 0.5, np.zeros(pair[1]), activation)
            for pair, activation in zip(zip(sizes, sizes[1:], strict=False), ("relu", "relu", "linear"), strict=True)
        )
        return Coupling(halves[kept], halves[1 - kept], DenseNetwork(layers), Additive())

    def block() -> Iterator[Step]:
        yield Affine(np.full(size, 1.1), np.zeros(size))
        yield Rotation(np.linalg.qr(random.normal(size=(size, size)))[0])
        yield from (coupling(kept) for kept in (0, 1))

    steps = tuple(step for _ in range(BLOCKS) for step in block())
    return CompiledFlow(Plan(steps, (size,), (size,), np.dtype("float32")))


def passes_per_second(run: Callable[[], object], at_once: int) -> float:
    """Return how many passes end in a second while so many threads run them."""
    run()
    end = time.perf_counter() + SECONDS

    def work() -> int:
        count = 0
        while time.perf_counter() < end:
            run()
            count += 1
        return count

    with ThreadPoolExecutor(at_once) as pool:
        start = time.perf_counter()
        counts = [pool.submit(work) for _ in range(at_once)]
        return sum(count.result() for count in counts) / (time.perf_counter() - start)


def beside_a_loop(run: Callable[[], object]) -> tuple[float, float]:
    """Return the passes of one thread in a second, and the bodies that a busy interpreter beside it reads."""
    done, counts = Event(), []

    def parse() -> None:
        count, start = 0, time.perf_counter()
        while not done.is_set():
            json.loads(BODY)
            count += 1
        counts.append(count / (time.perf_counter() - start))

    thread = Thread(target=parse)
    thread.start()
    passes = passes_per_second(run, 1)
    done.set()
    thread.join()
    return passes, counts[0]


def measure() -> dict[str, float]:
    """Measure every case in this process."""
    found = {}
    for name, (size, width) in FLOWS.items():
        flow = flow_of(size, width)
        for rows in ROWS:
            latents = np.random.RandomState(1).standard_normal((rows, size)).astype("float32")

            def run(flow: CompiledFlow = flow, latents: np.ndarray = latents) -> object:
                return flow.encode(latents)

            for at_once in (1, 2):
                found[f"{name}, {rows} rows, {at_once} at once"] = passes_per_second(run, at_once)
            passes, bodies = beside_a_loop(run)
            found[f"{name}, {rows} rows, beside a loop"] = passes
            found[f"{name}, {rows} rows, the loop itself"] = bodies
    return found


def measured(threads: int) -> dict[str, float]:
    """Measure every case in a process whose BLAS has so many threads."""
    done = subprocess.run(
        [sys.executable, __file__, "--here"],
        env={**os.environ, "OPENBLAS_NUM_THREADS": str(threads)},
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print the table."""
    if "--here" in sys.argv:
        print(json.dumps(measure()))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    cores = len(os.sched_getaffinity(0))
    found = [(measured(1), measured(cores)) for _ in range(rounds)]
    print(f"{cores} cores, NumPy {np.__version__}, medians of {rounds} rounds, a second's passes (or bodies read)")
    print(f"{'':46}{'1 thread':>12}{f'{cores} threads':>12}{'ratio':>8}")
    for case in found[0][0]:
        one, many = (median(both[which][case] for both in found) for which in (0, 1))
        print(f"{case:46}{one:12.1f}{many:12.1f}{many / one:8.2f}")


if __name__ == "__main__":
    main()
