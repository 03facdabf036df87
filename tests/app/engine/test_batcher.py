"""The queue: rows in, rows out, bounded, with deadlines."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.batcher import Batcher, Results
from app.errors import DeadlineExceeded, NotReady, Overloaded
from gyoza.inference.plan import Floats

LATER = 10.0


class Gate:
    """A function of rows that waits until it is let through, and notes what it is given."""

    def __init__(self) -> None:
        """Begin closed."""
        self.open, self.begun = threading.Event(), threading.Event()
        self.passes: list[int] = []

    def __call__(self, rows: Floats) -> Results:
        """Wait, and return twice the rows."""
        self.passes.append(len(rows))
        self.begun.set()
        assert self.open.wait(LATER)
        return (2 * rows, rows[:, 0])

    async def wait_until_begun(self) -> None:
        """Let the loop go on until a pass has begun."""
        while not self.begun.is_set():
            await asyncio.sleep(0.001)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """A pool of one thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def soon() -> float:
    """A deadline that does not matter."""
    return time.monotonic() + LATER


def batcher(gate: Gate, pool: ThreadPoolExecutor, quick_rows: int = 0) -> Batcher:
    """A batcher of at most 4 rows a pass and 6 in the queue."""
    return Batcher(gate, pool, {quick_rows: 0.0, 100: 1.0}, max_batch_rows=4, max_queue_rows=6)


async def test_what_waits_goes_together(pool: ThreadPoolExecutor) -> None:
    """Requests that wait while a pass runs share the next ones, up to the batch's rows, and each gets its own rows."""
    gate = Gate()
    queue = batcher(gate, pool)
    first = asyncio.create_task(queue.run(np.zeros((1, 2)), soon()))
    await gate.wait_until_begun()
    others = [asyncio.create_task(queue.run(np.full((count, 2), float(count)), soon())) for count in (1, 3, 2)]
    await asyncio.sleep(0)
    gate.open.set()
    await first
    for count, (doubled, column) in zip((1, 3, 2), await asyncio.gather(*others), strict=True):
        np.testing.assert_array_equal(doubled, np.full((count, 2), 2.0 * count))
        np.testing.assert_array_equal(column, np.full(count, float(count)))
    assert gate.passes == [1, 4, 2]


async def test_a_quick_pass_runs_at_once(pool: ThreadPoolExecutor) -> None:
    """Rows whose pass was timed as quick run on the loop while nothing else runs; more rows go through the pool."""
    gate = Gate()
    gate.open.set()
    threads: list[str] = []

    def noting(rows: Floats) -> Results:
        threads.append(threading.current_thread().name)
        return gate(rows)

    queue = Batcher(noting, pool, {2: 1e-6, 8: 1.0}, max_batch_rows=8, max_queue_rows=8)
    await queue.run(np.zeros((2, 2)), soon())
    await queue.run(np.zeros((3, 2)), soon())
    assert threads[0] == threading.main_thread().name != threads[1]


async def test_a_full_queue_refuses(pool: ThreadPoolExecutor) -> None:
    """What would pass the bound is refused with a time to come back; a larger request waits where nobody else does."""
    gate = Gate()
    queue = batcher(gate, pool)
    running = asyncio.create_task(queue.run(np.zeros((1, 2)), soon()))
    await gate.wait_until_begun()
    large = asyncio.create_task(queue.run(np.ones((9, 2)), soon()))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="At most 6 rows") as caught:
        await queue.run(np.zeros((1, 2)), soon())
    assert caught.value.retry_after > 0
    gate.open.set()
    await running
    np.testing.assert_array_equal((await large)[0], np.full((9, 2), 2.0))
    assert gate.passes == [1, 4, 4, 1]


async def test_what_is_too_late_is_not_computed(pool: ThreadPoolExecutor) -> None:
    """A request whose deadline passes in the queue gets its error then, leaves its place, and is never computed."""
    gate = Gate()
    queue = batcher(gate, pool)
    running = asyncio.create_task(queue.run(np.zeros((1, 2)), soon()))
    await gate.wait_until_begun()
    with pytest.raises(DeadlineExceeded):
        await queue.run(np.zeros((6, 2)), time.monotonic() + 0.01)
    follower = asyncio.create_task(queue.run(np.zeros((6, 2)), soon()))
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(running, follower)
    assert gate.passes == [1, 4, 2]
    with pytest.raises(DeadlineExceeded):
        await queue.run(np.zeros((1, 2)), time.monotonic())
    assert gate.passes == [1, 4, 2]


async def test_a_large_request_stops_at_its_deadline(pool: ThreadPoolExecutor) -> None:
    """Of a request in several passes, none begins after its deadline; others are served as before."""
    gate = Gate()
    queue = batcher(gate, pool)
    with pytest.raises(DeadlineExceeded):
        await queue.run(np.zeros((9, 2)), time.monotonic() + 0.05)
    gate.open.set()
    await queue.run(np.zeros((1, 2)), soon())
    assert gate.passes == [4, 1]


async def test_an_error_reaches_all_of_its_pass(pool: ThreadPoolExecutor) -> None:
    """An error in a pass reaches those whose rows were in it, and the queue goes on."""
    fails = [True, False]

    def function(rows: Floats) -> Results:
        if fails.pop(0):
            raise ValueError("boom")
        return (rows,)

    queue = Batcher(function, pool, {}, max_batch_rows=4, max_queue_rows=8)
    both = await asyncio.gather(
        queue.run(np.zeros((1, 2)), soon()), queue.run(np.zeros((1, 2)), soon()), return_exceptions=True
    )
    assert [str(error) for error in both] == ["boom", "boom"]
    assert len((await queue.run(np.zeros((2, 2)), soon()))[0]) == 2


async def test_a_closing_pool_is_not_ready() -> None:
    """What the pool drops when it closes ends as not ready."""
    with ThreadPoolExecutor(1) as pool:
        gate = Gate()
        busy = pool.submit(gate, np.zeros((1, 2)))
        waiting = asyncio.create_task(batcher(gate, pool).run(np.zeros((1, 2)), soon()))
        await asyncio.sleep(0.01)
        pool.shutdown(wait=False, cancel_futures=True)
        gate.open.set()
        with pytest.raises(NotReady):
            await waiting
        assert len(busy.result()[0]) == 1


async def test_a_closed_pool_is_not_ready() -> None:
    """What comes when the pool is closed already hears so at once, and does not wait for its deadline."""
    with ThreadPoolExecutor(1) as pool:
        pool.shutdown()
        with pytest.raises(NotReady):
            await batcher(Gate(), pool).run(np.zeros((1, 2)), soon())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 5))
def test_batched_equals_alone(counts: list[int], max_batch_rows: int) -> None:
    """However requests fall into passes, each gets exactly the answer that it gets alone."""
    requests = [np.random.RandomState(number).standard_normal((count, 3)) for number, count in enumerate(counts)]

    async def run_all() -> list[Results]:
        with ThreadPoolExecutor(1) as pool:
            queue = Batcher(
                lambda rows: (rows**2, rows.sum(axis=1)), pool, {}, max_batch_rows=max_batch_rows, max_queue_rows=100
            )
            return await asyncio.gather(*(queue.run(rows, soon()) for rows in requests))

    for rows, (squares, sums) in zip(requests, asyncio.run(run_all()), strict=True):
        np.testing.assert_array_equal(squares, rows**2)
        np.testing.assert_array_equal(sums, rows.sum(axis=1))
