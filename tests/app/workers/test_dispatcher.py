"""Which worker gets a connection."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Sequence

import pytest

from app.workers.channel import COUNTS, MOST_WAITING, Channel
from app.workers.dispatcher import Dispatcher


class Port:
    """A port whose connections go to two workers that do nothing by themselves."""

    def __init__(self) -> None:
        """Open the port; accept nothing yet."""
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = self.listener.getsockname()
        pairs = [socket.socketpair() for _ in range(2)]
        self.ends = [its_end for _, its_end in pairs]
        self.channels: Sequence[Channel] = [Channel(ours, self.go_on) for ours, _ in pairs]
        self.dispatcher = Dispatcher(self.listener, lambda: self.channels)
        self.clients: list[socket.socket] = []

    def go_on(self) -> None:
        """Accept."""
        self.dispatcher.go_on()

    async def connect(self, count: int = 1) -> list[int]:
        """Connect so often, and return how many connections are on their way to each worker."""
        self.clients += [socket.create_connection(self.address) for _ in range(count)]
        return await self.waiting(count)

    async def waiting(self, turns: int) -> list[int]:
        """Let the loop turn; return how many connections are on their way to each worker."""
        for _ in range(2 * turns + 10):
            await asyncio.sleep(0)
        return [channel.waiting for channel in self.channels]


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    """A port that accepts."""
    found = Port()
    channels = found.channels
    found.go_on()
    yield found
    if found.listener.fileno() != -1:
        found.dispatcher.close()
    waiting = [connection for channel in channels for connection in channel.close()]
    for connection in (*found.ends, *found.clients, *waiting):
        connection.close()


async def test_they_are_dealt_out_evenly(port: Port) -> None:
    """Of connections that come at once, every worker gets as many."""
    assert await port.connect(16) == [8, 8]


async def test_who_has_least_open_gets_the_next(port: Port) -> None:
    """Of workers that have taken what they got, the one with the fewest open connections gets the next one."""
    await port.connect(4)
    port.ends[0].sendall(COUNTS.pack(2, 2))
    port.ends[1].sendall(COUNTS.pack(2, 0))
    await port.waiting(2)
    assert await port.connect() == [0, 1]


async def test_who_is_late_is_passed_over(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that has not taken what it got for a while gets nothing more, though it has the fewest connections."""
    await port.connect(3)
    port.ends[1].sendall(COUNTS.pack(1, 5))
    monkeypatch.setattr("app.workers.channel.LATE_S", 0)
    await port.waiting(2)
    assert await port.connect() == [2, 1]


async def test_they_wait_while_nobody_takes_them(port: Port) -> None:
    """What no worker can be given waits in the port's queue, and is dealt out once one can."""
    assert await port.connect(2 * MOST_WAITING + 1) == [MOST_WAITING, MOST_WAITING]
    port.ends[1].sendall(COUNTS.pack(MOST_WAITING, 1))
    assert await port.waiting(2) == [MOST_WAITING, 1]


async def test_a_worker_that_died_is_passed_over(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    """A connection goes to another worker if the first one died; where all did it is closed, and the log says so."""
    port.ends[0].close()
    assert await port.connect(2) == [0, 2]
    port.ends[1].close()
    with caplog.at_level(logging.WARNING):
        await port.connect()
    assert "every worker ended" in caplog.text
    assert port.clients[-1].recv(1) == b""


async def test_the_end_loses_no_connection(port: Port) -> None:
    """What has come when the port closes is handed over, also to workers that have much to take."""
    assert await port.connect(2 * MOST_WAITING + 3) == [MOST_WAITING, MOST_WAITING]
    port.dispatcher.close()
    assert sum(await port.waiting(1)) == 2 * MOST_WAITING + 3


async def test_a_closed_port_stays_closed(port: Port) -> None:
    """After the end nothing is accepted, whoever asks."""
    port.dispatcher.close()
    port.go_on()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(port.address)
