"""What one worker asks for and all do: loading and unloading, as the supervisor sees it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

from app.workers.messages import Answered, Ask, Done, Fault, Order
from app.workers.processes import WorkerProcess


@dataclass
class Pending:
    """An order that not all workers are done with."""

    asker: WorkerProcess
    ask: Ask
    waiting: set[WorkerProcess]
    is_repeated: bool
    """Whether it is ordered for the second time."""
    done: int = 0
    """So many workers answered."""
    faults: dict[str, Fault] = field(default_factory=dict)
    """The names of workers that could not do it, and why."""
    serves: set[str] = field(default_factory=set)
    """What the workers serve of the model now, by the digest of its files."""

    @property
    def is_mixed(self) -> bool:
        """Whether the workers' models differ, as where files changed meanwhile, or only some could do it."""
        return len(self.serves) > 1 or 0 < len(self.faults) < self.done

    @property
    def fault(self) -> Fault | None:
        """What whoever asked is told: that of all workers, or which of them had one; None where none had."""
        if not self.faults:
            return self._difference
        first, *others = self.faults.values()
        if len(self.faults) == self.done and all(other.kind == first.kind for other in others):
            return first
        text = "; ".join(f"{name}: {fault.text}" for name, fault in self.faults.items())
        return Fault(kind="conflict", text=f"Every worker must {self.ask.verb} {self.ask.model}. {text}")

    @property
    def _difference(self) -> Fault | None:
        if len(self.serves) <= 1:
            return None
        text = (
            f"Every worker must serve the same files of {self.ask.model}, and they do not: the files changed while they "
            "were read. Load it again once they change no more."
        )
        return Fault(kind="conflict", text=text)


class Orders:
    """Passes on what a worker asks for to all of them, and answers it when all are done.

    Where they serve different files then, or only some can do it, all are ordered to once more, so that they serve the same
    again if they can.

    Args:
        workers: Those that are there now.
    """

    def __init__(self, workers: Callable[[], Iterable[WorkerProcess]]) -> None:
        """Have no order."""
        self._workers = workers
        self._missed: dict[int, list[Ask]] = {}
        self._numbers = count()
        self._pending: dict[int, Pending] = {}

    def give(self, asker: WorkerProcess, ask: Ask) -> None:
        """Let all workers do what one asks for."""
        for missed in self._missed.values():
            missed.append(ask)
        self._order(asker, ask, is_repeated=False)

    def _order(self, asker: WorkerProcess, ask: Ask, *, is_repeated: bool) -> None:
        number, workers = next(self._numbers), [*self._workers()]
        self._pending[number] = Pending(asker, ask, {*workers}, is_repeated)
        for worker in workers:
            order(worker, number, ask)

    def begin(self, number: int) -> None:
        """Remember for a worker that is started now what it does not hear until it is there."""
        self._missed[number] = [pending.ask for pending in self._pending.values()]

    def greet(self, number: int, worker: WorkerProcess) -> None:
        """Order of a worker that is there what it has missed."""
        for ask in self._missed.pop(number, ()):
            order(worker, next(self._numbers), ask)

    def hear(self, worker: WorkerProcess, done: Done) -> None:
        """Note that a worker is done with an order."""
        worker.orders -= 1
        pending = self._pending.get(done.number)
        if pending is not None:  # Nobody waits for what a worker was greeted with.
            pending.done += 1
            pending.serves.add(done.serves)
            if done.fault is not None:
                pending.faults[worker.name] = done.fault
            self._leave(worker, done.number, pending)

    def lose(self, worker: WorkerProcess) -> None:
        """Wait no more for a worker that has ended: the next one loads what is there when it starts."""
        for number, pending in [*self._pending.items()]:
            self._leave(worker, number, pending)

    def _leave(self, worker: WorkerProcess, number: int, pending: Pending) -> None:
        pending.waiting.discard(worker)
        if pending.waiting:
            return
        del self._pending[number]
        if pending.is_mixed and not pending.is_repeated:
            self._order(pending.asker, pending.ask, is_repeated=True)
            return
        pending.asker.tell(Answered(number=pending.ask.number, fault=pending.fault))


def order(worker: WorkerProcess, number: int, ask: Ask) -> None:
    """Tell a worker what to do."""
    worker.orders += 1
    worker.tell(Order(number=number, verb=ask.verb, model=ask.model))
