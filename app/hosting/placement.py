"""Models on demand: a process holds those that are asked for, and gives the memory of the others back."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeAlias

from starlette.types import Receive, Scope, Send

from app.api.paths import path_of
from app.errors import GyozaError, sendable
from app.hosting.host import Host
from app.hosting.names import asks_default, named_in
from app.model import Loader
from app.peers import Peers
from app.repository import Control, Known, OwnControl, State
from app.repository.entries import UNAVAILABLE_RETRY_S
from app.repository.finding import find_entries
from app.settings import Settings

Hold: TypeAlias = Callable[[str], Awaitable["Held"]]
"""Gives a model by its name, loaded."""

logger = logging.getLogger("gyoza.hosting")


class Held:
    """One model that is loaded, and the requests that have it.

    Args:
        name: The model.
        unload: Gives its memory back.
    """

    def __init__(self, name: str, unload: Callable[[str], Awaitable[None]]) -> None:
        """Hold it for nobody yet."""
        self.name = name
        self._unload = unload
        self._requests = 0
        self._unused = asyncio.Event()
        self._unused.set()
        # Where models are counted, this is how their end is asked for. As an attribute, the collector does not call it.
        self.__del__ = self.end

    async def end(self) -> None:
        """Unload it, once every request that has it is answered."""
        await self._unused.wait()
        await self._unload(self.name)

    def __enter__(self) -> None:
        """Have it for a request."""
        self._requests += 1
        self._unused.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Have it no more."""
        self._requests -= 1
        if not self._requests:
            self._unused.set()


class Placement:
    """The application, with each model loaded when it is asked for.

    Args:
        settings: How it serves.
        keep: Makes of what loads a model what gives it, and loads it only where it must, once it ended another as it sees fit.
        loader: What makes a flow of a file; None: what ``create_app`` takes then.

    Raises:
        ValueError: There is no default model, so that paths without a model would mean now this one, now that one.
    """

    def __init__(self, settings: Settings, keep: Callable[[Hold], Hold], loader: Loader | None = None) -> None:
        """Find the models; load none."""
        found = find_entries(settings.models_dir)
        names = sorted({entry.name for entry in found.values()})
        if settings.default_model not in names:
            raise ValueError(
                "GYOZA_DEFAULT_MODEL: must be a model of the folder where models are loaded on demand, since paths without "
                f"a model mean it. Received: {settings.default_model}. Choose one of: "
                f"{', '.join(map(sendable, names)) or f'none, there is no model in {settings.models_dir.absolute()}'}."
            )
        self.host = Host(settings, loader, Peers(known=dict.fromkeys(found, Known(is_unloaded=True, is_awaited=False))))
        self._settings = settings
        self._failed: dict[str, float] = {}
        self._control: Control

        async def load(name: str) -> Held:  # A function, since what keeps it may give it attributes.
            return await self._load(name)

        self.hold = keep(load)

    async def start(self) -> None:
        """Begin, without any model."""
        await self.host.start(with_models=False)
        self._control = OwnControl(self.host.services.repository, self._settings.request_timeout_s)

    async def _load(self, name: str) -> Held:
        """Load a model.

        Raises:
            GyozaError: No version of it can be loaded.
        """
        try:
            await self._control.load(name)
        except GyozaError:
            entries = self.host.services.repository.entries
            if not any(entry.state is State.READY for entry in entries if entry.name == name):
                self._failed[name] = time.monotonic()
                raise
        return Held(name, self._control.unload)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, once the model that it is about is loaded."""
        held = await self._held(scope) if scope["type"] == "http" else None
        if held is None:
            await self.host(scope, receive, send)
            return
        with held:
            await self.host(scope, receive, send)

    async def _held(self, scope: Scope) -> Held | None:
        """Hold the model that a request is about; None: there is none, or the application says what is wrong with it."""
        name = self._wanted(path_of(scope))
        if name is None:
            return None
        try:
            return await self.hold(name)
        except GyozaError as error:
            logger.warning("%s can't be loaded on demand: %s", sendable(name), error)
            return None

    def _wanted(self, path: str) -> str | None:
        name = self._settings.default_model if asks_default(path) else named_in(path)
        if name is None or name not in self.host.services.repository.names:
            return None
        tried = time.monotonic() - self._failed.get(name, -UNAVAILABLE_RETRY_S)
        return name if tried >= UNAVAILABLE_RETRY_S else None
