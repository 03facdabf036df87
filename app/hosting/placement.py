"""Models on demand: a process holds those that are asked for, and gives the memory of the others back."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeAlias

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.error_handlers import on_gyoza_error
from app.api.paths import path_of
from app.errors import GyozaError, NotReady, sendable
from app.hosting.host import Host
from app.hosting.names import asks_default, named_in, needs_model
from app.main import GRACE_S
from app.model import Loader
from app.peers import Peers
from app.repository import LOADING_RETRY_S, Control, Known, OwnControl, State
from app.repository.entries import UNAVAILABLE_RETRY_S
from app.repository.finding import find_entries
from app.settings import Settings

Hold: TypeAlias = Callable[[str], Awaitable["Held"]]
"""Gives a model by its name, loaded."""

logger = logging.getLogger("gyoza.hosting")

LONGEST_LOAD_S = 600.0
"""A load that takes longer is a fault."""


class Failure(NamedTuple):
    """A load that failed."""

    at: float
    """On the clock of ``time.monotonic``."""
    error: GyozaError


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

    def take(self) -> None:
        """Have it for a request."""
        self._requests += 1
        self._unused.clear()

    def give_back(self) -> None:
        """Have it no more."""
        self._requests -= 1
        if not self._requests:
            self._unused.set()


class Placement:
    """The application, with each model loaded when it is asked for by a request that may come in.

    Args:
        settings: How it serves.
        keep: Makes of what loads a model what gives it, and loads it only where it must, once it ended another as it sees fit.
        loader: What makes a flow of a file; None: what ``create_app`` takes then.
        threads: See ``create_app``.

    Raises:
        ValueError: There is no default model, so that paths without a model would mean now this one, now that one.
    """

    def __init__(
        self,
        settings: Settings,
        keep: Callable[[Hold], Hold],
        loader: Loader | None = None,
        threads: int | None = None,
    ) -> None:
        """Find the models; load none."""
        found = find_entries(settings.models_dir)
        names = sorted({entry.name for entry in found.values()})
        if settings.default_model not in names:
            raise ValueError(
                "GYOZA_DEFAULT_MODEL: must be a model of the folder where models are loaded on demand, since paths without "
                f"a model mean it. Received: {settings.default_model}. Choose one of: "
                f"{', '.join(map(sendable, names)) or f'none, there is no model in {settings.models_dir.absolute()}'}."
            )
        unloaded = Peers(known=dict.fromkeys(found, Known(is_unloaded=True, is_awaited=False)))
        self.host = Host(settings, loader, unloaded, self._holding, threads)
        self._settings = settings
        self._failed: dict[str, Failure] = {}
        self._taking: set[asyncio.Task[Held]] = set()
        self._loading_since: float | None = None
        self._control: Control

        async def load(name: str) -> Held:  # A function, since what keeps it may give it attributes.
            return await self._load(name)

        self.hold = keep(load)

    @property
    def fault(self) -> str | None:
        """What is wrong with this process that another one in its place would not have; None: nothing."""
        if self._loading_since is not None and time.monotonic() - self._loading_since > LONGEST_LOAD_S:
            return f"A model has not been loaded for more than {LONGEST_LOAD_S:g} s"
        return self.host.fault

    async def start(self) -> None:
        """Begin, without any model."""
        await self.host.start(with_models=False)
        services = self.host.services
        patience_s = self._settings.request_timeout_s + GRACE_S
        self._control = OwnControl(services.repository, patience_s, services.metrics.load_failed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self.host(scope, receive, send)

    def _holding(self, app: ASGIApp) -> ASGIApp:
        """Put around an application what gives each request its model."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                held = await self._held(scope) if scope["type"] == "http" else None
            except NotReady as error:
                response = await on_gyoza_error(Request(scope, receive), error)
                await response(scope, receive, send)
                return
            try:
                await app(scope, receive, send)
            finally:
                if held is not None:
                    held.give_back()

        return answer

    async def _held(self, scope: Scope) -> Held | None:
        """Take the model that a request is about; None: there is none, or the application says what is wrong with it.

        Raises:
            NotReady: It takes longer than a request may.
        """
        name = self._wanted(scope["method"], path_of(scope))
        if name is None:
            return None
        # In a task of its own, which a client that leaves does not end in the middle of a load.
        taking = asyncio.create_task(self._take(name))
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)
        try:
            return await asyncio.wait_for(asyncio.shield(taking), self._settings.request_timeout_s)
        except GyozaError as error:
            logger.warning("%s can't be loaded on demand: %s", sendable(name), error)
            return None
        except TimeoutError:
            taking.add_done_callback(give_back)
            raise NotReady(
                f"{sendable(name)} must be loaded first, and still is not. Try again.", LOADING_RETRY_S
            ) from None
        except asyncio.CancelledError:
            taking.add_done_callback(give_back)
            raise

    async def _take(self, name: str) -> Held:
        """Take a model, loaded; nothing may come between its being held and its being taken."""
        held = await self.hold(name)
        held.take()
        return held

    async def _load(self, name: str) -> Held:
        """Load a model.

        Raises:
            GyozaError: No version of it can be loaded, now or a moment ago.
        """
        if failure := self._failure(name):
            raise failure.error
        self._loading_since = time.monotonic()
        try:
            await self._control.load(name)
        except GyozaError as error:
            entries = self.host.services.repository.entries
            if not any(entry.state is State.READY for entry in entries if entry.name == name):
                self._failed[name] = Failure(time.monotonic(), error)
                raise
        finally:
            self._loading_since = None
        return Held(name, self._control.unload)

    def _failure(self, name: str) -> Failure | None:
        """Return how a model failed so short a time ago that it is not tried again."""
        failure = self._failed.get(name)
        is_recent = failure is not None and time.monotonic() - failure.at < UNAVAILABLE_RETRY_S
        return failure if is_recent else None

    def _wanted(self, method: str, path: str) -> str | None:
        """Return which model must be loaded for a request; None: none, or none that can be."""
        if not needs_model(method, path):
            return None
        name = self._settings.default_model if asks_default(path) else named_in(path)
        if name is None or name not in self.host.services.repository.names or self._failure(name):
            return None
        return name


def give_back(taking: asyncio.Task[Held]) -> None:
    """Give a model back that was taken for a request that waits no more."""
    if not taking.cancelled() and taking.exception() is None:
        taking.result().give_back()
