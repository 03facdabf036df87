"""Who asks for what, when, beside whom, and until when: everyone gets exactly their own rows, or is told why not."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.batcher import Batcher, Limits
from app.engine.engine import invert
from app.engine.jobs import Results
from app.errors import DeadlineExceeded, Overloaded
from gyoza.inference import CompiledFlow
from gyoza.inference.plan import Floats
from tests.inference.flows import SIZE, plan, steps

FLOWS = [
    CompiledFlow(plan(dtype=np.float32)),
    CompiledFlow(plan(*(steps()[name] for name in ("rotation", "additive coupling")), dtype=np.float32)),
]
FUNCTIONS = [function for flow in FLOWS for function in (flow.encode, partial(invert, flow))]
MAX_QUEUE_ROWS = 12
SHORT_S = 1e-3
Action: TypeAlias = Callable[["World"], Any]


class ByHand(Executor):
    """A pool whose work is done when the test says so, in the order in which it came."""

    def __init__(self) -> None:
        """Begin without work."""
        self._work: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def submit(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        """Put work off."""
        future: Future[Any] = Future()
        self._work.append((future, partial(function, *args, **options)))
        return future

    def step(self) -> None:
        """Do one piece of work, if there is any."""
        if self._work:
            future, work = self._work.popleft()
            future.set_running_or_notify_cancel()
            future.set_result(work())


@dataclass(eq=False)
class Tenant:
    """One request."""

    lane: int
    rows: Floats
    is_short: bool
    task: asyncio.Task[Results]
    is_cancelled: bool = False


@dataclass
class World:
    """Four batchers that share a pool, and everyone who asked them."""

    max_batch_rows: int
    quick_rows: int
    pool: ByHand = field(default_factory=ByHand)
    tenants: list[Tenant] = field(default_factory=list)
    owners: dict[bytes, Tenant] = field(default_factory=dict)
    asked: int = 0

    def __post_init__(self) -> None:
        """Make the batchers."""
        limits = Limits(self.max_batch_rows, MAX_QUEUE_ROWS)
        timed = {self.quick_rows: 0.0, 100: 100.0}
        self.batchers = [
            Batcher(partial(self.checked, number), self.pool, timed, limits) for number in range(len(FUNCTIONS))
        ]

    def checked(self, lane: int, rows: Floats) -> Results:
        """Run a lane's function on rows that there may be in a pass."""
        assert 0 < len(rows) <= self.max_batch_rows
        owners = [self.owners[row.tobytes()] for row in rows]
        assert {owner.lane for owner in owners} == {lane}
        assert not any(owner.task.done() or owner.is_cancelled for owner in owners)
        return FUNCTIONS[lane](rows)

    def ask(self, lane: int, count: int, is_short: bool) -> None:
        """Let one more ask."""
        rows = np.random.RandomState(len(self.tenants)).standard_normal((count, SIZE)).astype(np.float32)
        deadline = time.monotonic() + (SHORT_S if is_short else 60)
        task = asyncio.create_task(self.counted(lane, rows, deadline))
        tenant = Tenant(lane, rows, is_short, task)
        self.tenants.append(tenant)
        self.owners |= {row.tobytes(): tenant for row in rows}

    async def counted(self, lane: int, rows: Floats, deadline: float) -> Results:
        """Count who was not gone before having asked."""
        self.asked += 1
        return await self.batchers[lane].run(rows, deadline)

    def cancel(self, number: int) -> None:
        """Let one who asked go away."""
        if self.tenants:
            tenant = self.tenants[number % len(self.tenants)]
            tenant.is_cancelled |= tenant.task.cancel()

    async def end(self) -> None:
        """Do all the work there is."""
        while not all(tenant.task.done() for tenant in self.tenants):
            self.pool.step()
            await asyncio.sleep(0)
        await asyncio.sleep(0)


def check(tenant: Tenant) -> None:
    """Check that one who asked got their own rows' results, or an error for which there was a reason."""
    if tenant.task.cancelled():
        assert tenant.is_cancelled
    elif error := tenant.task.exception():
        assert isinstance(error, (Overloaded, DeadlineExceeded) if tenant.is_short else Overloaded)
    else:
        alone = FUNCTIONS[tenant.lane](tenant.rows)
        for found, expected in zip(tenant.task.result(), alone, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


ASKS = st.builds(
    lambda lane, count, is_short: lambda world: world.ask(lane, count, is_short),
    st.integers(0, len(FUNCTIONS) - 1),
    st.integers(1, 15),
    st.sampled_from([False, False, True]),
)
CANCELLATIONS = st.builds(lambda number: lambda world: world.cancel(number), st.integers(0, 99))
STEPS: st.SearchStrategy[Action] = st.just(lambda world: world.pool.step())
TURNS: st.SearchStrategy[Action] = st.just(lambda _: asyncio.sleep(0))
PAUSES: st.SearchStrategy[Action] = st.just(lambda _: asyncio.sleep(2 * SHORT_S))


@settings(max_examples=50)
@given(
    st.lists(st.one_of(ASKS, ASKS, ASKS, TURNS, TURNS, STEPS, CANCELLATIONS, PAUSES), min_size=1, max_size=40),
    st.integers(1, 6),
    st.integers(0, 6),
)
def test_everyone_gets_their_own_rows(actions: Sequence[Action], max_batch_rows: int, quick_rows: int) -> None:
    """Whoever asks is answered as if alone or told why not; no pass is too large or has rows that nobody waits for."""

    async def play() -> World:
        world = World(max_batch_rows, quick_rows)
        for action in actions:
            awaitable = action(world)
            if awaitable is not None:
                await awaitable
        await world.end()
        return world

    world = asyncio.run(play())
    for tenant in world.tenants:
        check(tenant)
    every = [batcher.stats for batcher in world.batchers]
    assert [stats.waiting_rows for stats in every] == [0] * len(every)
    assert sum(stats.requests + sum(stats.refused.values()) for stats in every) == world.asked
