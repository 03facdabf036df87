"""Jobs and pieces: one pass over the rows of several requests."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from app.engine.jobs import Job, Piece, Results, compute
from gyoza.inference.plan import Floats


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that never runs; futures belong to one."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def job(loop: asyncio.AbstractEventLoop, *values: float) -> Job:
    """A job with a row for each value."""
    return Job(np.array(values)[:, None], loop.create_future(), deadline=0.0, arrived=0.0)


def squared(rows: Floats) -> Results:
    """Square rows [n, 1], also as a column [n]."""
    return rows**2, rows[:, 0] ** 2


def test_each_gets_its_own_rows(loop: asyncio.AbstractEventLoop) -> None:
    """A pass leaves with each job the results of its rows, and with a job in several passes all of them in order."""
    small, large = job(loop, 1, 2), job(loop, 3, 4, 5)
    computed = compute(squared, [Piece(small, 0, 2), Piece(large, 0, 2)])
    assert (computed.rows, computed.error) == (4, None)
    assert compute(squared, [Piece(large, 2, 3)]).rows == 1
    assert [array.tolist() for array in small.results] == [[[1], [4]], [1, 4]]
    assert [array.tolist() for array in large.results] == [[[9], [16], [25]], [9, 16, 25]]
    assert 0 < small.started <= large.started < small.started + computed.seconds + 10  # type: ignore[operator]


def test_the_wait_ends_with_the_first_pass(loop: asyncio.AbstractEventLoop) -> None:
    """How long a job waited is counted until its first pass, and is nothing before that."""
    waiting = job(loop, 1, 2)
    assert waiting.waited_s == 0
    compute(squared, [Piece(waiting, 0, 1)])
    started = waiting.started
    compute(squared, [Piece(waiting, 1, 2)])
    assert waiting.waited_s == waiting.started == started


def test_rows_that_nobody_waits_for_are_left_out(loop: asyncio.AbstractEventLoop) -> None:
    """What is done by the time the pass begins is not computed; where that is all, the function is not called."""
    gone, other = job(loop, 1, 2), job(loop, 3)
    gone.future.cancel()
    assert compute(squared, [Piece(gone, 0, 2), Piece(other, 0, 1)]).rows == 1
    assert (gone.results, other.results[1].tolist()) == ((), [9])
    assert compute(squared, [Piece(gone, 0, 2)]) == (0, 0.0, None)


def test_errors_are_handed_back(loop: asyncio.AbstractEventLoop) -> None:
    """What the function raises is handed back with the rows of the pass."""
    error = ValueError("boom")

    def failing(rows: Floats) -> Results:
        raise error

    computed = compute(failing, [Piece(job(loop, 1, 2), 0, 2)])
    assert (computed.rows, computed.error) == (2, error)
