"""Connections on their way to a worker, and counts on their way back."""

import asyncio
import logging
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import pytest

from app.workers.channel import COUNTS, MOST_WAITING, Channel, Reception


class Pair:
    """Both ends of a channel, and what came out of them."""

    def __init__(self) -> None:
        """Take nothing yet."""
        self.our_end, self.its_end = socket.socketpair()
        self.welcomed: list[socket.socket] = []
        self.taken = asyncio.Event()
        self.channel = Channel(self.our_end, self.taken.set)

    def open_reception(self) -> Reception:
        """Begin to take."""
        return Reception(self.its_end, self.welcomed.append, lambda: len(self.welcomed))

    def hand_over(self) -> tuple[bool, socket.socket]:
        """Hand a connection over; return whether that could be done, and the connection's other side."""
        ours, theirs = socket.socketpair()
        done = self.channel.hand_over(ours)
        if not done:
            ours.close()
        return done, theirs


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """A channel whose worker takes nothing yet."""
    found = Pair()
    yield found
    waiting = [] if found.our_end.fileno() == -1 else found.channel.close()
    for connection in (*waiting, found.its_end, *found.welcomed):
        connection.close()


async def turn_until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something holds."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_connection_goes_over(pair: Pair) -> None:
    """The worker gets the connection itself, and the counts say that it was taken and is open, then that it is not."""
    reception = pair.open_reception()
    done, other_side = pair.hand_over()
    assert done
    assert (pair.channel.waiting, pair.channel.load[1]) == (1, 1)
    await turn_until(pair.taken.is_set)
    assert (pair.channel.waiting, pair.channel.load[1]) == (0, 1)
    with other_side, pair.welcomed.pop() as connection:
        connection.sendall(b"hello")
        assert other_side.recv(5) == b"hello"
    reception.tell()
    await turn_until(lambda: pair.channel.load[1] == 0)
    reception.close()


async def test_what_is_on_its_way_is_taken_at_the_end(pair: Pair) -> None:
    """A worker that closes its end takes first what was handed over before."""
    reception = pair.open_reception()
    for _ in range(3):
        pair.hand_over()[1].close()
    reception.close()
    assert len(pair.welcomed) == 3


async def test_a_worker_that_takes_nothing_is_full(pair: Pair) -> None:
    """Only so many connections are sent ahead to a worker that takes none."""
    for _ in range(MOST_WAITING):
        assert not pair.channel.is_full
        pair.hand_over()[1].close()
    assert pair.channel.is_full


async def test_a_worker_that_died(pair: Pair) -> None:
    """Nothing can be handed over to a worker that is gone, with connections in its channel that it had not taken."""
    pair.hand_over()[1].close()
    pair.its_end.close()
    await asyncio.sleep(0.01)
    done, other_side = pair.hand_over()
    other_side.close()
    assert not done


async def test_what_a_worker_had_not_taken_comes_back(pair: Pair) -> None:
    """Of a worker that died, the connections come back that it had not taken, though its last count was not read yet."""
    other_sides = [pair.hand_over()[1] for _ in range(3)]
    pair.its_end.sendall(COUNTS.pack(1, 1))
    pair.its_end.close()
    assert other_sides[0].send(b"?") == 1
    back = pair.channel.close()
    for connection, other_side in zip(back, other_sides[1:], strict=True):
        with connection, other_side:
            connection.sendall(b"hello")
            assert other_side.recv(5) == b"hello"
    other_sides[0].close()
    assert pair.channel.waiting == 0


async def test_a_supervisor_that_died(pair: Pair) -> None:
    """A worker whose supervisor is gone goes on with what it has."""
    reception = pair.open_reception()
    pair.hand_over()[1].close()
    pair.our_end.shutdown(socket.SHUT_RDWR)
    await turn_until(lambda: pair.welcomed)
    await asyncio.sleep(0.01)
    reception.tell()
    reception.close()


async def test_counts_are_read_to_the_last(pair: Pair) -> None:
    """Of many counts, the last one holds."""
    for _ in range(3):
        pair.hand_over()[1].close()
    pair.its_end.sendall(COUNTS.pack(1, 1) + COUNTS.pack(3, 2))
    await turn_until(pair.taken.is_set)
    assert (pair.channel.waiting, pair.channel.load[1]) == (0, 2)


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_worker_without_files_says_so(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """A connection that a worker can't open is closed, with a line in the log that says what to raise."""
    done, other_side = pair.hand_over()
    with no_more_files(), caplog.at_level(logging.ERROR):
        pair.open_reception().close()
    assert done
    assert pair.welcomed == []
    assert "ulimit -n" in caplog.text
    await turn_until(pair.taken.is_set)
    with other_side:
        assert other_side.recv(1) == b""
