"""Connections of a port: accepted while they are wanted, and none lost at its end."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from app.listener import AT_ONCE, Listener


class Port:
    """A port, and what was accepted at it."""

    def __init__(self) -> None:
        """Open it; accept nothing yet."""
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = self.socket.getsockname()
        self.is_wanted = True
        self.welcomed: list[socket.socket] = []
        self.clients: list[socket.socket] = []
        self.listener = Listener(self.socket, self.welcomed.append, lambda: self.is_wanted)

    def connect(self, count: int) -> None:
        """Connect so often."""
        self.clients += [socket.create_connection(self.address) for _ in range(count)]

    async def accepted(self) -> int:
        """Let the loop turn, and count what was accepted."""
        for _ in range(10):
            await asyncio.sleep(0)
        return len(self.welcomed)


@pytest.fixture
def port() -> Iterator[Port]:
    """A port that accepts nothing yet."""
    found = Port()
    yield found
    for each in (*found.clients, *found.welcomed, found.socket):
        each.close()


async def test_it_accepts_while_they_are_wanted(port: Port) -> None:
    """Connections wait before it begins and while none is wanted, and are accepted as soon as they are."""
    port.connect(AT_ONCE + 2)
    assert await port.accepted() == 0
    port.listener.go_on()
    port.listener.go_on()
    assert await port.accepted() == AT_ONCE + 2
    port.is_wanted = False
    port.connect(1)
    assert await port.accepted() == AT_ONCE + 2
    port.is_wanted = True
    port.listener.go_on()
    assert await port.accepted() == AT_ONCE + 3
    port.listener.close()


async def test_its_end_loses_none(port: Port) -> None:
    """What has come when it closes is accepted, wanted or not; after that nothing is, whoever asks."""
    port.is_wanted = False
    port.listener.go_on()
    port.connect(3)
    port.listener.close()
    assert len(port.welcomed) == 3
    port.listener.go_on()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(port.address)


async def test_more_than_a_backlog_at_its_end(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that go on connecting can't keep it from closing."""
    monkeypatch.setattr("app.listener.BACKLOG", 2)
    port.connect(3)
    port.listener.close()
    assert len(port.welcomed) == 2


async def test_what_can_not_be_accepted_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection for which the system has no file just now is accepted a moment later."""
    monkeypatch.setattr("app.listener.PAUSE_S", 0)

    class Full(socket.socket):
        """A socket of a system that is out of files."""

        refusals = 1

        def accept(self) -> tuple[socket.socket, object]:
            """Fail at first."""
            if self.refusals:
                self.refusals -= 1
                raise OSError(24, "Too many open files")
            return super().accept()

    welcomed: list[socket.socket] = []
    with Full() as full:
        full.bind(("127.0.0.1", 0))
        full.listen()
        listener = Listener(full, welcomed.append)
        listener.go_on()
        with socket.create_connection(full.getsockname()):
            while not welcomed:
                await asyncio.sleep(0)
        listener.close()
    welcomed[0].close()
