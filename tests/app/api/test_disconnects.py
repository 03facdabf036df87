"""Clients that hang up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from app.api.disconnects import LISTEN_AFTER_S, unless_disconnected


class Line:
    """The receiving end of a request whose body was read."""

    def __init__(self) -> None:
        """Begin connected."""
        self.messages: asyncio.Queue[str] = asyncio.Queue()
        self.asked = 0

    async def receive(self) -> Message:
        """Wait for the next message."""
        self.asked += 1
        return {"type": await self.messages.get()}

    @property
    def request(self) -> Request:
        """The request."""
        return Request({"type": "http"}, self.receive)


class Work:
    """Work without an end, which notes how it ends."""

    def __init__(self) -> None:
        """Begin."""
        self.cancelled = False

    async def __call__(self) -> None:
        """Never end."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


@asynccontextmanager
async def worked_on(line: Line, work: Work) -> AsyncIterator[asyncio.Task[None]]:
    """Begin to work on a request, for long enough to be listened to."""
    task = asyncio.create_task(unless_disconnected(line.request, work()))
    while not line.asked:
        await asyncio.sleep(LISTEN_AFTER_S / 10)
    yield task
    await asyncio.wait([task])


async def test_quick_work_listens_to_nobody() -> None:
    """Work that ends soon gives its result, and nobody listened meanwhile, nor does later."""
    line = Line()
    assert await unless_disconnected(line.request, asyncio.sleep(0, "done")) == "done"
    await asyncio.sleep(2 * LISTEN_AFTER_S)
    assert line.asked == 0


async def test_longer_work_ends_as_it_does() -> None:
    """Work that takes longer gives its result or its error, and takes whoever listens with it."""
    line = Line()
    assert await unless_disconnected(line.request, asyncio.sleep(2 * LISTEN_AFTER_S, "done")) == "done"
    assert line.asked == 1

    async def fail() -> None:
        await asyncio.sleep(2 * LISTEN_AFTER_S)
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        await unless_disconnected(line.request, fail())
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_work_ends_when_the_client_hangs_up() -> None:
    """When the client hangs up, the work is cancelled and the request ends as disconnected; not by another message."""
    line, work = Line(), Work()
    async with worked_on(line, work) as task:
        line.messages.put_nowait("http.request")
        await asyncio.sleep(LISTEN_AFTER_S)
        assert not work.cancelled
        line.messages.put_nowait("http.disconnect")
    assert work.cancelled
    assert isinstance(task.exception(), ClientDisconnect)
    assert not task.cancelling()


@pytest.mark.parametrize("hangs_up", [False, True])
async def test_another_cancellation_stays_one(hangs_up: bool) -> None:
    """Who else cancels the request sees it cancelled, even where the client hangs up at the same time."""
    line, work = Line(), Work()
    async with worked_on(line, work) as task:
        if hangs_up:
            line.messages.put_nowait("http.disconnect")
            while not task.cancelling():
                await asyncio.sleep(0)
        task.cancel()
    assert (work.cancelled, task.cancelled()) == (True, True)
