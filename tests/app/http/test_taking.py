"""Whether a client takes what waits for it."""

import asyncio
import socket

import pytest

from app.http import limits, taking
from app.http.taking import Taking, unacknowledged

LONG, MUCH = limits.TAKE_TIMEOUT_S, limits.LEAST_TAKEN


@pytest.mark.parametrize(
    ("waiting", "stuck"),
    [
        ([(0, 0), (0, 9 * LONG)], False),
        ([(9 * MUCH, 0), (9 * MUCH, LONG)], False),
        ([(9 * MUCH, 0), (9 * MUCH, 1.1 * LONG)], True),
        ([(9 * MUCH, 0), (8 * MUCH + 1, 0.9 * LONG), (8 * MUCH + 1, 1.1 * LONG)], True),
        ([(9 * MUCH, 0), (8 * MUCH, 0.9 * LONG), (7 * MUCH, 1.8 * LONG)], False),
        ([(9 * MUCH, 0), (8 * MUCH, 0.9 * LONG), (8 * MUCH, 2 * LONG)], True),
        ([(MUCH, 0), (9 * MUCH, 0.9 * LONG), (9 * MUCH, 1.8 * LONG)], False),
        ([(9 * MUCH, 0), (9 * MUCH - 2, 0.9 * LONG), (9 * MUCH - 1, LONG), (9 * MUCH - 2, 1.9 * LONG)], False),
        ([(MUCH, 0), (0, 0.9 * LONG), (MUCH, 5 * LONG)], False),
    ],
)
def test_who_takes_too_little_is_stuck(waiting: list[tuple[int, float]], stuck: bool) -> None:
    """A client is stuck once it has taken less than what it must for too long; more that waits, or none, begins anew."""
    client = Taking()
    assert [client.is_stuck(*each) for each in waiting][-1] is stuck


def test_what_nobody_could_see_is_left_out() -> None:
    """A client is stuck after the same time as ever, but for the time in which this process stood still."""
    client = Taking()
    assert not client.is_stuck(9 * MUCH, 0)
    client.forgive(2 * LONG)
    assert not client.is_stuck(9 * MUCH, 2.9 * LONG)
    assert client.is_stuck(9 * MUCH, 3.1 * LONG)


async def test_what_the_system_holds_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other end has not taken is counted, nothing once it has or once the socket is closed, or where none tells."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with theirs:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
        transport.write(bytes(1000))
        assert unacknowledged(transport) >= 1000
        assert len(theirs.recv(2000)) == 1000
        assert unacknowledged(transport) == 0
        transport.write(bytes(1000))
        with monkeypatch.context() as patch:
            patch.setattr(taking, "fcntl", None)
            assert unacknowledged(transport) == 0
        transport.abort()
        await asyncio.sleep(0)
        assert unacknowledged(transport) == 0
