"""Loading and unloading in all workers, as one of them sees it."""

import asyncio
import logging
from collections.abc import Callable
from hashlib import sha256
from itertools import count

from app.errors import Conflict, GyozaError, NotFound
from app.repository import Control, OwnControl, Repository
from app.workers.messages import Answered, Ask, Done, Fault, FromWorker, Loaded, Order, Verb

logger = logging.getLogger("gyoza.workers")


class SharedControl:
    """Has all workers load and unload, and does so itself when it is told to.

    Args:
        tell: Tells the supervisor something.
        report: Makes what the supervisor is told of the models.
    """

    def __init__(self, tell: Callable[[FromWorker], None], report: Callable[[Repository], Loaded]) -> None:
        """Wait for this process's own models."""
        self._tell = tell
        self._report = report
        self._own: OwnControl | None = None
        self._early: list[Order] = []
        self._numbers = count()
        self._asked: dict[int, asyncio.Future[Fault | None]] = {}
        self._obeying: set[asyncio.Task[None]] = set()

    def around(self, own: OwnControl) -> Control:
        """Obey by this, from now on."""
        self._own = own
        for order in self._early:
            self.obey(order)
        return self

    async def load(self, name: str) -> None:
        """Let all workers load a model.

        Raises:
            NotFound: None of them finds it.
            Conflict: One of them can't load it; what was READY in it before still serves.
        """
        await self._ask("load", name)

    async def unload(self, name: str) -> None:
        """Let all workers unload a model.

        Raises:
            NotFound: None of them has it.
        """
        await self._ask("unload", name)

    def obey(self, order: Order) -> None:
        """Do what the supervisor orders, beside everything else, once this process has models."""
        if self._own is None:
            self._early.append(order)
            return
        task = asyncio.create_task(self._do(self._own, order))
        self._obeying.add(task)
        task.add_done_callback(self._obeying.discard)

    def hear(self, answered: Answered) -> None:
        """Tell whoever asked that all workers are done."""
        asked = self._asked.pop(answered.number, None)
        if asked is not None and not asked.done():
            asked.set_result(answered.fault)

    def abandon(self) -> None:
        """Tell whoever asked that there is no supervisor any more."""
        for asked in self._asked.values():
            if not asked.done():
                asked.set_result(
                    Fault(kind="conflict", text="The server must not be about to end, and is. Ask again later.")
                )

    async def _ask(self, verb: Verb, name: str) -> None:
        number = next(self._numbers)
        self._asked[number] = asked = asyncio.get_running_loop().create_future()
        self._tell(Ask(number=number, verb=verb, model=name))
        fault = await asked
        if fault is not None:
            raise (NotFound if fault.kind == "not found" else Conflict)(fault.text)

    async def _do(self, own: OwnControl, order: Order) -> None:
        fault = await fault_of(own, order)
        self._tell(self._report(own.repository))
        self._tell(Done(number=order.number, fault=fault, serves=serves(own.repository, order.model)))


def serves(repository: Repository, name: str) -> str:
    """Return a digest of every file that is served of a model: the same in workers that serve the same."""
    served = sorted(
        (e.version, sorted(e.model.files.items())) for e in repository.entries if e.name == name and e.model
    )
    return sha256(repr(served).encode()).hexdigest()


async def fault_of(own: OwnControl, order: Order) -> Fault | None:
    """Do what is ordered, and return why it can't be done; None if it was."""
    try:
        await (own.load if order.verb == "load" else own.unload)(order.model)
    except NotFound as error:
        return Fault(kind="not found", text=str(error))
    except GyozaError as error:
        return Fault(kind="conflict", text=str(error))
    except Exception as error:
        logger.exception("a model could not be loaded or unloaded, by a bug")
        return Fault(kind="bug", text=f"a bug in this service ({type(error).__name__}), of which the log tells more")
    return None
