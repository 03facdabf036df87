"""One request on a connection, and its answer."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.errors import GyozaError
from app.http import limits


class Wire:
    """The transport as requests see it: what closes it takes leave of the client.

    Args:
        transport: The connection's.
        leave: Called in place of its ``close``.
    """

    def __init__(self, transport: asyncio.Transport, leave: Callable[[], None]) -> None:
        """Keep at hand what every request takes."""
        self._transport = transport
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = leave

    def __getattr__(self, name: str) -> Any:
        """Pass everything else on."""
        return getattr(self._transport, name)


class Cycle(RequestResponseCycle):
    """One request and its answer. What was not read of the body when the answer begins decides whether another may follow."""

    fault: GyozaError | None = None
    """What is wrong with the rest of the body."""

    def fail(self, fault: GyozaError) -> None:
        """Tell whoever reads the body that the rest of it can't be had; the connection ends with the answer."""
        self.fault, self.keep_alive = fault, False
        self.message_event.set()

    def send(self, message: Any) -> Coroutine[Any, Any, None]:
        """Send a part of the answer; its head says that the connection ends if too much of the body is on its way."""
        if self.more_body and not self.response_started and not self._can_drain():
            self.keep_alive = False
        return super().send(message)

    def receive(self) -> Coroutine[Any, Any, Any]:
        """Wait for a part of the body, or for the client's end.

        Raises:
            GyozaError: What is wrong with the rest of it.
        """
        return super().receive() if self.fault is None else self._raise(self.fault)

    async def _raise(self, fault: GyozaError) -> Message:
        raise fault

    def _can_drain(self) -> bool:
        # A client that awaits "100 Continue" may send its body or not: what comes next could be either.
        declared = next((value for name, value in self.scope["headers"] if name == b"content-length"), b"")
        return declared.isdigit() and int(declared) <= limits.MOST_DRAINED and not self.waiting_for_100_continue
