"""Loading and unloading while the service runs."""

import asyncio
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import NamedTuple, Protocol
from weakref import WeakSet

from app.errors import Conflict, GyozaError
from app.model import Model
from app.repository.memory import tidy
from app.repository.repository import Repository

logger = logging.getLogger("gyoza.repository")

LOADING = "gyoza-loading"
"""The name of threads that load models."""
POLL_S = 0.02


class Control(Protocol):
    """Loads and unloads the models of the repository."""

    async def load(self, name: str) -> None:
        """Load every version of a flow anew; until it is READY, what was READY before serves.

        Raises:
            GyozaError: It can't be loaded; what was READY before still serves.
        """

    async def unload(self, name: str) -> None:
        """Serve a flow no more, once what is under way is answered.

        Raises:
            GyozaError: There is no such flow.
        """


class Serving(NamedTuple):
    """What serves for one model."""

    models: WeakSet[Model]
    calls_code: bool
    imported: int
    """How many Python modules there are."""


class OwnControl:
    """Loads and unloads the models of this process, one after the other, beside the serving.

    Args:
        repository: Where they are.
        patience_s: So long requests to a model that is served no more may take; its memory is freed after the last of them.
        on_failed: Told the name of each model that could not be loaded.
    """

    def __init__(
        self, repository: Repository, patience_s: float, on_failed: Callable[[str], None] = lambda _: None
    ) -> None:
        """Do nothing yet."""
        self.repository = repository
        self._patience_s = patience_s
        self._on_failed = on_failed
        self._turn = asyncio.Lock()
        self._freeing: asyncio.Task[None] | None = None

    async def load(self, name: str) -> None:
        """Load what is new or changed of a model; see ``Repository.load``."""
        async with self._turn:
            await self._until_freed()
            before = self._serving(name)
            try:
                await beside(partial(self.repository.load, name))
            except Conflict:
                self._on_failed(name)
                raise
            finally:
                self._freeing = asyncio.create_task(self._free(before, name))

    async def unload(self, name: str) -> None:
        """Unload a model, and return when its memory is free; see ``Repository.unload``."""
        async with self._turn:
            await self._until_freed()
            before = self._serving(name)
            await beside(partial(self.repository.unload, name))
            await self._free(before, name)

    def _serving(self, name: str) -> Serving:
        """Return what serves for a model now."""
        models = WeakSet(e.model for e in self.repository.entries if e.name == name and e.model is not None)
        return Serving(models, any(model.calls_code for model in models), len(sys.modules))

    async def _until_freed(self) -> None:
        """Let what was served before go first, lest three of one model are in memory."""
        if self._freeing is not None:
            await asyncio.wait([self._freeing])

    async def _free(self, before: Serving, name: str) -> None:
        """Free the memory of models that are served no more, when the last request to them is answered."""
        gone = before.models - self._serving(name).models
        end = asyncio.get_running_loop().time() + self._patience_s
        while gone and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(POLL_S)
        if gone:
            logger.warning("%d models are still in use by requests, though they are served no more", len(gone))
        # Plans are gone by now. Code of Keras leads to itself, and was left aside; what was imported just now is to be.
        thoroughly = before.calls_code or len(sys.modules) > before.imported
        await beside(partial(tidy, thoroughly=thoroughly))


async def beside(work: Callable[[], None]) -> None:
    """Do work in a thread of its own: a daemon, since a load can't be interrupted and the process may end in one."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error: Exception | None = None
        try:
            work()
        except GyozaError as found:
            # Its traceback would hold what was served before.
            error = found.with_traceback(None)
        except Exception as found:  # noqa: BLE001 - whoever waits gets it.
            error = found
        with suppress(RuntimeError):  # The loop is closed: nobody waits.
            loop.call_soon_threadsafe(settle, error)

    Thread(target=run, name=LOADING, daemon=True).start()
    await done
