"""The queue: bounded and emptied in rows, in order, with turns for what is large."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from app.engine.jobs import Job
from app.engine.queue import RowQueue


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that never runs; futures belong to one."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def job(loop: asyncio.AbstractEventLoop, rows: int) -> Job:
    """A job of so many rows."""
    return Job(np.zeros((rows, 1)), loop.create_future(), deadline=0.0, arrived=0.0)


def filled(loop: asyncio.AbstractEventLoop, *rows: int) -> tuple[RowQueue, list[Job]]:
    """A queue of 4 rows a pass and 6 in all, and the jobs in it."""
    queue, jobs = RowQueue(4, 6), [job(loop, count) for count in rows]
    for each in jobs:
        assert queue.has_room(len(each.rows))
        queue.add(each)
    return queue, jobs


def taken(queue: RowQueue, jobs: list[Job]) -> list[list[tuple[int, int, int]]]:
    """Take everything, as (number of the job, start, stop) a piece."""
    passes = []
    while queue.waiting_rows:
        passes.append([(jobs.index(piece.job), piece.start, piece.stop) for piece in queue.take()])
    return passes


def test_whole_jobs_in_order(loop: asyncio.AbstractEventLoop) -> None:
    """A pass takes whole jobs in order up to its rows, and never passes one over for a smaller one behind it."""
    queue, jobs = filled(loop, 2, 3, 1)
    assert taken(queue, jobs) == [[(0, 0, 2)], [(1, 0, 3), (2, 0, 1)]]
    assert queue.take() == []


def test_large_jobs_take_turns(loop: asyncio.AbstractEventLoop) -> None:
    """A job larger than a pass gives a pass's rows and lets the others before; its last rows share a pass."""
    queue, jobs = filled(loop, 9, 2)
    assert queue.waiting_rows == 11
    assert taken(queue, jobs) == [[(0, 0, 4)], [(1, 0, 2)], [(0, 4, 8)], [(0, 8, 9)]]
    queue, jobs = filled(loop, 6)
    assert taken(queue, jobs) == [[(0, 0, 4)], [(0, 4, 6)]]


def test_the_bound(loop: asyncio.AbstractEventLoop) -> None:
    """So many rows find room, any number in an empty queue, and of a larger job only its next pass counts."""
    queue, _ = filled(loop, 2, 3)
    assert (queue.has_room(1), queue.has_room(2)) == (True, False)
    queue, _ = filled(loop, 9)
    assert (queue.has_room(2), queue.has_room(3)) == (True, False)
    queue.take()
    assert (queue.has_room(2), queue.has_room(3)) == (True, False)
    queue.take()
    assert (queue.waiting_rows, queue.has_room(5), queue.has_room(6)) == (1, True, False)


def test_what_is_dropped_makes_room(loop: asyncio.AbstractEventLoop) -> None:
    """A job that is dropped, however often, leaves its room to others and is in no pass."""
    queue, (large, small) = filled(loop, 9, 2)
    for _ in range(2):
        large.future.cancel()
        queue.drop(large)
    assert (queue.waiting_rows, queue.has_room(4), queue.has_room(5)) == (2, True, False)
    assert list(queue) == [small]
    queue.take()
    other = job(loop, 8)
    queue.add(other)
    queue.drop(large)
    assert (queue.waiting_rows, queue.has_room(2), queue.has_room(3)) == (8, True, False)


def test_what_is_done_is_not_taken(loop: asyncio.AbstractEventLoop) -> None:
    """A job that nobody waits for any more is in no pass, even before it is dropped, and holds up nobody."""
    queue, jobs = filled(loop, 1, 1, 1)
    jobs[1].future.cancel()
    assert taken(queue, jobs) == [[(0, 0, 1), (2, 0, 1)]]
    queue, jobs = filled(loop, 2, 4)
    jobs[1].future.cancel()
    assert taken(queue, jobs) == [[(0, 0, 2)], []]
    queue, jobs = filled(loop, 1, 1, 1)
    jobs[1].future.cancel()
    queue.drop(jobs[1])
    jobs[0].future.cancel()
    queue.drop(jobs[0])
    assert list(queue) == [jobs[2]]
