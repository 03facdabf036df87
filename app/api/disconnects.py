"""What nobody waits for any more is not worked on: a request ends when its client hangs up."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

T = TypeVar("T")
LISTEN_AFTER_S = 0.05
"""Most requests are answered before that; only one that takes longer is worth a task that listens for its client's end."""


async def unless_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await the work on a request whose body was read; when the client hangs up meanwhile, cancel it.

    Raises:
        ClientDisconnect: The client hung up.
    """
    task = cast("asyncio.Task[Any]", asyncio.current_task())  # A coroutine always runs in one.
    listener = Listener(request.receive, task)
    try:
        return await work
    except asyncio.CancelledError as error:
        if listener.hung_up and not task.uncancel():
            raise ClientDisconnect from error
        raise
    finally:
        listener.close()


class Listener:
    """Cancels a task when the client hangs up.

    Args:
        receive: The request's, after its body.
        task: The one that works on the request.
    """

    def __init__(self, receive: Receive, task: asyncio.Task[Any]) -> None:
        """Begin to listen after a while."""
        self.hung_up = False
        self._receive = receive
        self._task = task
        self._listening: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(LISTEN_AFTER_S, self._begin)

    def close(self) -> None:
        """Listen no more."""
        self._timer.cancel()
        if self._listening is not None:
            self._listening.cancel()

    def _begin(self) -> None:
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.hung_up = True
        self._task.cancel()
