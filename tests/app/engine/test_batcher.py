"""The batcher: rows in, rows out, bounded, with deadlines."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app.engine import returning
from app.engine.batcher import Batcher, Limits
from app.engine.jobs import Results
from app.engine.returning import LONGEST_S
from app.engine.stats import Refusal
from app.errors import DeadlineExceeded, NotReady, Overloaded, PassFailed
from app.timings import Timings
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
        async with asyncio.timeout(LATER):
            while not self.begun.is_set():
                await asyncio.sleep(0.001)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """A pool of one thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A closed gate, which lets everything through at the end of the test."""
    gate = Gate()
    yield gate
    gate.open.set()


def soon() -> float:
    """A deadline that does not matter."""
    return time.monotonic() + LATER


def batcher(gate: Gate, pool: ThreadPoolExecutor, quick_rows: int = 0, delay_s: float = 0.0) -> Batcher:
    """A batcher of at most 4 rows a pass and 6 in the queue."""
    return Batcher(gate, pool, {quick_rows: 0.0, 100: 1.0}, Limits(4, 6, delay_s))


def ask(queue: Batcher, rows: int, value: float = 0.0, deadline: float | None = None) -> asyncio.Task[Results]:
    """Ask for rows of one value."""
    return asyncio.create_task(queue.run(np.full((rows, 2), value), soon() if deadline is None else deadline))


async def turns(count: int = 3) -> None:
    """Let the loop turn a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_waits_goes_together(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """Requests that wait while a pass runs share the next ones, up to the batch's rows, and each gets its own rows."""
    queue = batcher(gate, pool)
    first = ask(queue, 1)
    await gate.wait_until_begun()
    others = [ask(queue, count, value=count) for count in (1, 3, 2)]
    await turns()
    gate.open.set()
    await first
    for count, (doubled, column) in zip((1, 3, 2), await asyncio.gather(*others), strict=True):
        np.testing.assert_array_equal(doubled, np.full((count, 2), 2.0 * count))
        np.testing.assert_array_equal(column, np.full(count, float(count)))
    assert gate.passes == [1, 4, 2]


@pytest.mark.parametrize("quick", [0, 4])
async def test_what_one_turn_reads_goes_together(gate: Gate, pool: ThreadPoolExecutor, quick: int) -> None:
    """Requests that one turn of the loop brings to an idle engine share a pass, whether it is quick or not."""
    gate.open.set()
    queue = batcher(gate, pool, quick)
    await asyncio.gather(*(ask(queue, 1, value) for value in range(3)))
    assert gate.passes == [3]


async def test_a_complete_batch_begins_at_once(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """Rows for a whole pass do not wait for the end of the turn, and what comes after them has the queue for itself."""
    queue = batcher(gate, pool)
    gathered = [ask(queue, rows) for rows in (1, 3, 3, 3)]
    await asyncio.sleep(0)
    assert queue.stats.waiting_rows == 6
    gate.open.set()
    await asyncio.gather(*gathered)
    assert gate.passes == [4, 3, 3]


async def test_a_quick_pass_runs_on_the_loop(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """Rows whose pass was timed as quick run on the loop while nothing else runs; more rows go through the pool."""
    gate.open.set()
    threads: list[str] = []

    def noting(rows: Floats) -> Results:
        threads.append(threading.current_thread().name)
        return gate(rows)

    queue = Batcher(noting, pool, {2: 1e-6, 8: 1.0}, Limits(8, 8))
    await ask(queue, 2)
    await ask(queue, 3)
    assert threads[0] == threading.main_thread().name != threads[1]


async def test_quick_passes_let_the_loop_turn(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """A large request of many quick passes leaves the loop to others, and their rows to the passes, in between."""
    gate.open.set()
    queue = batcher(gate, pool, quick_rows=4)
    large = ask(queue, 9, value=1)
    await asyncio.sleep(0)
    assert gate.passes == [4]
    small = ask(queue, 2)
    np.testing.assert_array_equal((await large)[0], np.full((9, 2), 2.0))
    await small
    assert gate.passes == [4, 4, 3]


async def test_a_delay_gathers_rows(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """With a delay an incomplete batch waits for more rows, and goes as soon as it is complete or the time is over."""
    gate.open.set()
    queue = batcher(gate, pool, delay_s=LATER)
    waiting = ask(queue, 3)
    await asyncio.sleep(0.01)
    assert gate.passes == []
    await asyncio.gather(waiting, ask(queue, 1))
    assert gate.passes == [4]
    await ask(batcher(gate, pool, quick_rows=4, delay_s=0.002), 2)
    assert gate.passes == [4, 2]


async def test_a_delay_counts_from_the_arrival(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """What waited for longer than the delay while a pass ran goes right after it, and takes along what is younger."""
    queue = batcher(gate, pool, delay_s=0.05)
    first = ask(queue, 4)
    await gate.wait_until_begun()
    waiting = ask(queue, 1)
    await asyncio.sleep(0.06)
    younger = ask(queue, 2)
    gate.open.set()
    await asyncio.gather(first, waiting, younger)
    assert gate.passes == [4, 3]


async def test_the_deadline_ends_a_delay(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """A request whose deadline comes before its batch is complete hears so then."""
    with pytest.raises(DeadlineExceeded):
        await ask(batcher(gate, pool, delay_s=LATER), 1, deadline=time.monotonic() + 0.01)
    assert gate.passes == []


def costly(gate: Gate, pool: ThreadPoolExecutor) -> Batcher:
    """A batcher of at most 4 rows a pass, of which each takes long, however few its rows are."""
    return Batcher(gate, pool, {1: LATER, 4: LATER}, Limits(4, 6))


async def pairs_in_turn(queue: Batcher, gate: Gate) -> list[asyncio.Task[Results]]:
    """Two requests that come while two others are computed; all are answered but the last."""
    first = ask(queue, 2)
    await gate.wait_until_begun()
    second = ask(queue, 1)
    await turns()
    gate.open.set()
    await first
    return [first, second]


async def test_a_pass_waits_for_clients_that_come_back(
    gate: Gate, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients that ask again as soon as they are answered share a pass with those that asked meanwhile."""
    monkeypatch.setattr(returning, "LONGEST_S", LATER)
    queue = costly(gate, pool)
    _, second = await pairs_in_turn(queue, gate)
    await asyncio.gather(second, ask(queue, 2))
    assert gate.passes == [2, 3]


async def test_a_pass_waits_in_vain_for_a_moment(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """Where nobody comes back, the others go without them, and the next pass waits for nobody."""
    queue = costly(gate, pool)
    _, second = await pairs_in_turn(queue, gate)
    await asyncio.gather(second)
    assert gate.passes == [2, 1]
    late = asyncio.gather(ask(queue, 1), ask(queue, 1))
    await late
    assert gate.passes == [2, 1, 2]


async def test_who_goes_away_meanwhile_is_waited_for_in_vain(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """Where the only one that waits goes away before the others are back, no pass begins."""
    queue = costly(gate, pool)
    _, second = await pairs_in_turn(queue, gate)
    second.cancel()
    await asyncio.sleep(2 * LONGEST_S)
    assert gate.passes == [2]
    await ask(queue, 2)
    assert gate.passes == [2, 2]


async def test_the_deadline_ends_the_wait_for_others(
    gate: Gate, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request whose deadline comes while others are waited for hears so then."""
    monkeypatch.setattr(returning, "LONGEST_S", LATER)
    queue = costly(gate, pool)
    gate.open.set()
    await asyncio.gather(ask(queue, 1), ask(queue, 1))
    with pytest.raises(DeadlineExceeded):
        await ask(queue, 1, deadline=time.monotonic() + 0.02)
    assert gate.passes == [2]


async def test_a_full_queue_refuses(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """What would pass the bound is refused with a time to come back, as long as what is ahead takes at the known pace."""
    queue = batcher(gate, pool)
    running = ask(queue, 1)
    await gate.wait_until_begun()
    waiting = [ask(queue, 3), ask(queue, 3)]
    await turns()
    with pytest.raises(Overloaded, match=r"At most 6 rows .* Received: 1 rows while 6 wait") as caught:
        await queue.run(np.zeros((1, 2)), soon())
    assert caught.value.retry_after == 1
    slow = Batcher(gate, pool, {1: 0.5, 4: 2.0}, Limits(4, 6))
    waiting += [ask(slow, 4), ask(slow, 6)]
    await turns()
    with pytest.raises(Overloaded) as caught:
        await slow.run(np.zeros((1, 2)), soon())
    assert caught.value.retry_after == 5
    assert slow.stats.refused == {Refusal.OVERLOADED: 1}
    gate.open.set()
    await asyncio.gather(running, *waiting)


async def test_others_run_between_the_passes_of_a_large_request(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """A request beyond the bound waits where nobody else does; then others find room beside it and take turns with it."""
    queue = batcher(gate, pool)
    running = ask(queue, 1)
    await gate.wait_until_begun()
    large = ask(queue, 11, value=1)
    await turns()
    small = ask(queue, 2)
    with pytest.raises(Overloaded):
        await ask(queue, 1)
    assert queue.stats.waiting_rows == 13
    gate.open.set()
    await asyncio.gather(running, small)
    assert not large.done()
    np.testing.assert_array_equal((await large)[0], np.full((11, 2), 2.0))
    assert gate.passes == [1, 4, 2, 4, 3]


async def test_what_is_too_late_is_not_computed(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """A request whose deadline passes in the queue gets its error then, leaves its place, and is never computed."""
    queue = batcher(gate, pool)
    running = ask(queue, 1)
    await gate.wait_until_begun()
    with pytest.raises(DeadlineExceeded):
        await ask(queue, 6, deadline=time.monotonic() + 0.01)
    follower = ask(queue, 6)
    await turns()
    gate.open.set()
    await asyncio.gather(running, follower)
    assert gate.passes == [1, 4, 2]
    with pytest.raises(DeadlineExceeded):
        await queue.run(np.zeros((1, 2)), time.monotonic())
    assert gate.passes == [1, 4, 2]
    assert queue.stats.refused == {Refusal.DEADLINE: 2}


async def test_what_is_late_at_its_turn_is_not_computed(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """A deadline that passes while the loop is held up by others still keeps a quick pass from running."""
    queue = batcher(gate, pool, quick_rows=4)
    late = ask(queue, 1, deadline=time.monotonic() + 0.01)
    await asyncio.sleep(0)
    time.sleep(0.02)  # noqa: ASYNC251 - as long as the loop is held up.
    with pytest.raises(DeadlineExceeded):
        await late
    assert gate.passes == []


async def test_a_large_request_stops_at_its_deadline(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """Of a request in several passes, none begins after its deadline; others are served as before."""
    queue = batcher(gate, pool)
    with pytest.raises(DeadlineExceeded):
        await ask(queue, 9, deadline=time.monotonic() + 0.5)
    gate.open.set()
    await ask(queue, 1)
    assert gate.passes == [4, 1]
    assert queue.stats.waiting_rows == 0


async def test_who_goes_away_frees_the_rows(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """A request that is cancelled in the queue makes room at once, and is never computed."""
    queue = batcher(gate, pool)
    running = ask(queue, 1)
    await gate.wait_until_begun()
    gone, large = ask(queue, 2), ask(queue, 4)
    await turns()
    gone.cancel()
    large.cancel()
    await turns()
    assert queue.stats.waiting_rows == 0
    other = ask(queue, 6)
    await turns()
    gate.open.set()
    await asyncio.gather(running, other)
    assert gate.passes == [1, 4, 2]
    assert queue.stats.refused == {Refusal.DISCONNECTED: 2}


async def test_a_pass_for_nobody_is_not_computed(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """A pass whose requests all went away while it waited for a thread is left out."""
    busy = pool.submit(gate, np.zeros((1, 2)))
    queue = batcher(gate, pool)
    gone = ask(queue, 2)
    await turns()
    gone.cancel()
    await turns()
    other = ask(queue, 3)
    gate.open.set()
    await other
    assert gate.passes == [1, 3]
    assert (busy.result()[0].shape, queue.stats.passes) == ((1, 2), 1)


async def test_going_away_with_the_answer_is_quiet(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """Who is cancelled in the very turn in which an error comes leaves no complaint of an unseen one behind."""
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    queue = batcher(gate, pool, delay_s=LATER)
    waiting = ask(queue, 1)
    await turns()
    queue.close()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    del waiting
    await turns()
    assert complaints == []
    assert queue.stats.refused == {Refusal.CLOSED: 1}


@pytest.mark.parametrize("quick", [0, 4])
async def test_an_error_reaches_all_of_its_pass(
    pool: ThreadPoolExecutor, quick: int, caplog: pytest.LogCaptureFixture
) -> None:
    """An error in a pass reaches those whose rows were in it, is in the log once, and the queue goes on."""
    fails = [True, False]

    def function(rows: Floats) -> Results:
        if fails.pop(0):
            raise ValueError("boom")
        return (rows,)

    queue = Batcher(function, pool, {quick: 0.0, 100: 1.0}, Limits(4, 8))
    with caplog.at_level(logging.ERROR, "gyoza.engine"):
        both = await asyncio.gather(ask(queue, 1), ask(queue, 2), return_exceptions=True)
    assert [type(error) for error in both] == [PassFailed, PassFailed]
    assert [repr(error.__cause__) for error in both if isinstance(error, PassFailed)] == ["ValueError('boom')"] * 2
    (record,) = caplog.records
    assert record.getMessage() == "a pass of 3 rows failed, and with it 2 requests"
    assert record.exc_info is not None
    assert len((await ask(queue, 2))[0]) == 2
    assert queue.stats.refused == {Refusal.FAILED: 2}


async def test_an_error_does_not_reach_who_went_away(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """Who went away while a pass ran is counted as that, whether the pass fails then or not."""

    def failing(rows: Floats) -> Results:
        gate(rows)
        raise ValueError("boom")

    for function, refused in (
        (failing, {Refusal.DISCONNECTED: 1, Refusal.FAILED: 1}),
        (gate, {Refusal.DISCONNECTED: 1}),
    ):
        gate.open.clear()
        gate.begun.clear()
        queue = Batcher(function, pool, {}, Limits(4, 8))
        gone, other = ask(queue, 1), ask(queue, 2)
        await gate.wait_until_begun()
        gone.cancel()
        await turns()
        gate.open.set()
        await asyncio.wait([gone, other])
        assert gone.cancelled()
        assert (other.exception() is None) == (function is gate)
        assert queue.stats.refused == refused


async def test_an_error_ends_a_large_request(pool: ThreadPoolExecutor) -> None:
    """After an error in one pass of a request, its other rows are not computed."""
    passes: list[int] = []

    def function(rows: Floats) -> Results:
        passes.append(len(rows))
        raise ValueError("boom")

    queue = Batcher(function, pool, {}, Limits(4, 8))
    with pytest.raises(PassFailed, match="ValueError"):
        await ask(queue, 9)
    assert (passes, queue.stats.waiting_rows) == ([4], 0)


async def test_closing(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """At the end what runs finishes, and what waits, the rest of a large request too, ends as not ready at once."""
    queue = batcher(gate, pool)
    running = ask(queue, 1)
    await gate.wait_until_begun()
    waiting, large = ask(queue, 2), ask(batcher(gate, pool), 9)
    await turns()
    queue.close()
    with pytest.raises(NotReady):
        await waiting
    gate.open.set()
    assert len((await running)[0]) == 1
    assert len((await large)[0]) == 9
    assert gate.passes == [1, 4, 4, 1]


async def test_a_closing_pool_is_not_ready(gate: Gate) -> None:
    """A pass that the pool drops when it closes ends as not ready."""
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(gate, np.zeros((1, 2)))
        waiting = ask(batcher(gate, pool), 1)
        await asyncio.sleep(0.01)
        pool.shutdown(wait=False, cancel_futures=True)
        gate.open.set()
        with pytest.raises(NotReady):
            await waiting
        assert len(busy.result()[0]) == 1


async def test_the_counts(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """Requests, passes, rows and seconds in queue and passes add up."""
    queue = batcher(gate, pool)
    first = ask(queue, 1)
    await gate.wait_until_begun()
    second = ask(queue, 6)
    await asyncio.sleep(0.02)
    assert (queue.stats.waiting_rows, queue.stats.requests) == (6, 0)
    gate.open.set()
    await asyncio.gather(first, second)
    stats = queue.stats
    assert (stats.requests, stats.passes, stats.rows, stats.waiting_rows, stats.refused) == (2, 3, 7, 0, {})
    assert stats.queue_seconds >= 0.02
    assert stats.compute_seconds >= 0.02
    assert stats.answered_compute_seconds >= stats.compute_seconds - 1e-9
    assert {rows: batches.passes for rows, batches in stats.batches.items()} == {1: 1, 2: 1, 4: 1}
    assert sum(batches.seconds for batches in stats.batches.values()) == pytest.approx(stats.compute_seconds)
    assert stats.last_answer is not None
    assert stats.last_answer <= time.monotonic()


async def test_each_request_knows_its_times(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """A request notes its rows, its wait until its first pass, and the passes that its rows were in, each as a whole."""
    queue, passes = batcher(gate, pool), list[int]()
    queue._on_pass = passes.append
    noted = [Timings() for _ in range(3)]
    runs = [queue.run(np.zeros((count, 2)), soon(), timings) for count, timings in zip((1, 1, 3), noted, strict=True)]
    first = asyncio.create_task(runs[0])
    await gate.wait_until_begun()
    others = [asyncio.create_task(run) for run in runs[1:]]
    await asyncio.sleep(0.02)
    gate.open.set()
    await asyncio.gather(first, *others)
    assert [timings.rows for timings in noted] == [1, 1, 3]
    assert noted[0].compute >= 0.02
    assert noted[1].compute == noted[2].compute > 0
    assert min(timings.queue for timings in noted[1:]) >= 0.02
    for timings in noted:
        assert timings.compute_start == pytest.approx(timings.queue_start + timings.queue)
    assert passes == [1, 4]


async def test_what_is_never_computed_knows_how_long_it_waited(gate: Gate, pool: ThreadPoolExecutor) -> None:
    """A request whose deadline passes in the queue notes all of its wait, and no pass."""
    timings, deadline = Timings(), time.monotonic() + 0.2
    with pytest.raises(DeadlineExceeded):
        await batcher(gate, pool, delay_s=LATER).run(np.zeros((1, 2)), deadline, timings)
    assert timings.queue_start + timings.queue >= deadline - 0.001
    assert (timings.compute, timings.compute_start) == (0, 0)


async def test_a_failed_pass_counts_as_computed(pool: ThreadPoolExecutor) -> None:
    """A request whose pass fails was in the queue until that began, and computed until it failed."""
    begun: list[float] = []

    def function(rows: Floats) -> Results:
        begun.append(time.monotonic())
        time.sleep(0.02)
        raise ValueError("boom")

    timings = Timings()
    with pytest.raises(PassFailed):
        await Batcher(function, pool, {}, Limits(4, 6)).run(np.zeros((1, 2)), soon(), timings)
    assert timings.compute >= 0.02
    assert timings.queue_start + timings.queue <= begun[0]
