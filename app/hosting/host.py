"""The application between its start and its end, without a server of its own."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from app.api.dependencies import Services
from app.api.health import why_not_ready
from app.api.middleware import HEADER
from app.lifecycle import Lifecycle
from app.main import Wrapper, create_app
from app.model import Loader
from app.peers import Peers
from app.repository import Repository
from app.settings import Settings


class Host:
    """The application as an ASGI application that is started and ended by hand, and so takes no request too early.

    Args:
        settings: How it serves.
        loader: What makes a flow of a file; None: what ``create_app`` takes then.
        peers: What is served already, and so need not be loaded at the start; None: nothing.
        inside: See ``create_app``.
        threads: See ``create_app``.
    """

    def __init__(
        self,
        settings: Settings,
        loader: Loader | None = None,
        peers: Peers | None = None,
        inside: Wrapper = lambda app: app,
        threads: int | None = None,
    ) -> None:
        """Make it; load nothing yet."""
        self.lifecycle = Lifecycle()
        self._loaded = asyncio.Event()
        self._app = create_app(
            settings, loader, self._on_loaded, peers, lifecycle=self.lifecycle, inside=inside, threads=threads
        )
        self._stack = AsyncExitStack()
        self._state: dict[str, Any] = {}

    @property
    def services(self) -> Services:
        """All that lives as long as the application."""
        services: Services = self._state["services"]
        return services

    @property
    def fault(self) -> str | None:
        """What is wrong with this process that another one in its place would not have; None: nothing."""
        return self.services.engine.fault

    async def start(self, *, with_models: bool = True) -> None:
        """Begin, and return when the models are loaded.

        Args:
            with_models: Whether it must be ready then, as /readyz has it.

        Raises:
            RuntimeError: It is not; the text says which models are at fault, and why.
        """
        self._loop = asyncio.get_running_loop()
        context: AbstractAsyncContextManager[Any] = self._app.router.lifespan_context(self._app)
        self._state = await self._stack.enter_async_context(context)
        await self._loaded.wait()
        reason = why_not_ready(self.services) if with_models else None
        if reason is not None:
            await self.stop()
            raise RuntimeError(reason)

    async def stop(self) -> None:
        """End: what has come is answered by now, and nothing more is."""
        self.lifecycle.draining = True
        await self._stack.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the start and the end of whoever takes the requests are those of this."""
        if scope["type"] == "lifespan":
            await self._follow(receive, send)
            return
        given = next((value for name, value in scope.get("headers", ()) if name == HEADER), None)
        state = {**(scope.get("state") or {}), **self._state}
        await self._app({**scope, "state": state}, receive, without_repeated(given, send))

    async def _follow(self, receive: Receive, send: Send) -> None:
        """Be started already, and end when asked to."""
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def _on_loaded(self, _: Repository, __: float) -> None:
        self._loop.call_soon_threadsafe(self._loaded.set)


def without_repeated(given: bytes | None, send: Send) -> Send:
    """Leave a request's id out of the answer where it came with the request: whoever gave it one sends it back, too."""

    async def send_once(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [pair for pair in message["headers"] if pair != (HEADER, given)]
        await send(message)

    return send if given is None else send_once
