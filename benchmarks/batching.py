"""What the batcher makes of requests of one row, beside the least code that could do it, in the same process.

Run it from the repository's root: ``PYTHONPATH=. python benchmarks/batching.py [SECONDS]``.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

# Before NumPy is imported. Threads of one matrix product wait for one another, on a busy machine for a hundred times as
# long as one alone would take; that would be measured, and not the batcher.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import uvloop

from app.engine.batcher import Batcher, Limits
from app.engine.jobs import Function, Results
from app.primitives import fastest
from benchmarks.plans import additive_flow
from gyoza.inference.plan import Floats

DIMENSIONS, HIDDEN, BLOCKS = 64, 256, 8
COUNTS = (1, 8, 16, 64, 512)
TASKS = (1, 16)
ROUNDS = 5
LATER_S = 60.0
Ask: TypeAlias = Callable[[Floats], Awaitable[Results]]


@dataclass
class Direct:
    """Runs each request at once, alone."""

    function: Function

    async def __call__(self, rows: Floats) -> Results:
        """Run the function, and let the others go on."""
        found = self.function(rows)
        await asyncio.sleep(0)
        return found


@dataclass
class Joined:
    """Runs what one turn of the loop brings in one pass; no bounds, no deadlines, no errors, no threads."""

    function: Function
    is_timer: bool
    waiting: list[tuple[Floats, asyncio.Future[Results]]] = field(default_factory=list)

    async def __call__(self, rows: Floats) -> Results:
        """Join the others."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Results] = loop.create_future()
        self.waiting.append((rows, future))
        if len(self.waiting) == 1 and self.is_timer:
            loop.call_later(0, self.flush)
        elif len(self.waiting) == 1:
            loop.call_soon(self.flush)
        return await future

    def flush(self) -> None:
        """Run the pass."""
        jobs, self.waiting = self.waiting, []
        found = self.function(np.concatenate([rows for rows, _ in jobs]) if len(jobs) > 1 else jobs[0][0])
        for number, (_, future) in enumerate(jobs):
            future.set_result(tuple(array[number : number + 1] for array in found))


@dataclass
class Batched:
    """The batcher."""

    batcher: Batcher

    async def __call__(self, rows: Floats) -> Results:
        """Ask it as the engine does."""
        return await self.batcher.run(rows, time.monotonic() + LATER_S)


async def resubmit(ask: Ask, rows: Floats, end: float, latencies: list[float]) -> None:
    """Ask again and again."""
    start = time.perf_counter()
    while start < end:
        await ask(rows)
        latencies.append(time.perf_counter() - start)
        start = time.perf_counter()


async def measure(ask: Ask, tasks: int, seconds: float) -> list[float]:
    """Return the latencies of so many tasks that ask at the same time."""
    latencies: list[float] = []
    rows, end = np.zeros((1, DIMENSIONS), np.float32), time.perf_counter() + seconds
    await asyncio.gather(*(resubmit(ask, rows, end, latencies) for _ in range(tasks)))
    return latencies


def main(seconds: float) -> None:
    """Measure every way in turn, some rounds over, and print medians over the rounds."""
    function = additive_flow(DIMENSIONS, HIDDEN, BLOCKS).encode
    timed = {count: fastest(partial(function, np.zeros((count, DIMENSIONS)))) for count in COUNTS}
    print("a pass of", ", ".join(f"{count} rows: {1e3 * taken:.2f} ms" for count, taken in timed.items()))
    pool, limits = ThreadPoolExecutor(2), Limits(1024, 2048)
    ways: dict[str, Callable[[], Ask]] = {
        "each alone, on the loop": lambda: Direct(function),
        "joined by call_soon": lambda: Joined(function, is_timer=False),
        "joined by call_later(0)": lambda: Joined(function, is_timer=True),
        "batcher, on the loop": lambda: Batched(Batcher(function, pool, timed, limits)),
        "batcher, in the pool": lambda: Batched(Batcher(function, pool, {}, limits)),
    }
    for name, factory in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.new_event_loop)):
        with asyncio.Runner(loop_factory=factory) as runner:
            for tasks in TASKS:
                rounds = [
                    {way: runner.run(measure(make(), tasks, seconds)) for way, make in ways.items()}
                    for _ in range(ROUNDS)
                ]
                for way in ways:
                    print(line(f"{name}, {tasks} tasks, {way}", [found[way] for found in rounds], seconds))


def line(title: str, rounds: list[list[float]], seconds: float) -> str:
    """Return the medians over rounds: requests a second, latency at the 50th and 99th percentile."""
    rate = np.median([len(latencies) / seconds for latencies in rounds])
    middle, high = np.median([np.quantile(latencies, (0.5, 0.99)) for latencies in rounds], axis=0)
    return f"{title:<50}{rate:>9,.0f}/s   p50 {1e3 * middle:.3f} ms   p99 {1e3 * high:.3f} ms"


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.5)
