"""The engine: all that the API sees of computing."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Thread
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from app.engine.batcher import Batcher, Limits, OnPass, ending, unobserved
from app.engine.jobs import Function, Results
from app.engine.pace import Pace
from app.engine.spread import SMALLEST_PART, Spread
from app.engine.stats import Stats
from app.model import Model
from app.primitives import Primitive
from app.repository import Entry, not_ready
from app.tensors import log_likelihood
from app.timings import Timings
from gyoza.inference import CompiledFlow, CompiledHalf
from gyoza.inference.plan import Floats

SLOW_S = 10.0
"""No pass is a fault before that."""
CLOSE_S = 1.0
"""So long passes that run are waited for at the end; their requests have been answered, or cut, before."""


class Lane(NamedTuple):
    """What has a queue of its own."""

    model: str
    version: int
    primitive: Primitive


class Engine:
    """Runs the primitives of models: one queue per model and primitive, one pool for all of them.

    It holds no model: the queues of one go when nobody has it any more, neither the repository nor a request.

    Args:
        threads: So many passes are computed at once, and so many parts of one.
        max_batch_rows: The most rows in one pass, of which no primitive gets more than at its warm-up.
        max_queue_rows: The most rows that wait in one queue; fewer, in proportion, where a pass may have fewer.
        longest_pass_s: A pass that takes longer, and longer than ``SLOW_S``, is a fault.
        batch_delay_s: So long an incomplete batch waits for more rows.
        observer_of: Gives what is told, for one queue, of each pass how many rows it had.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        *,
        threads: int,
        max_batch_rows: int,
        max_queue_rows: int,
        longest_pass_s: float = 0.0,
        batch_delay_s: float = 0.0,
        observer_of: Callable[[Lane], OnPass] = lambda _: unobserved,
    ) -> None:
        """Start the pool; its threads start when they are needed."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="gyoza-compute")
        self._helpers = ThreadPoolExecutor(threads, thread_name_prefix="gyoza-part")
        self._threads = threads
        self._longest_pass_s = max(longest_pass_s, SLOW_S)
        self._limits = Limits(max_batch_rows, max_queue_rows, batch_delay_s)
        self._observer_of = observer_of
        self._batchers: WeakKeyDictionary[Model, dict[Lane, Batcher]] = WeakKeyDictionary()
        self._lanes: WeakKeyDictionary[Batcher, Lane] = WeakKeyDictionary()
        """Of all that a pass is at work on, too, whatever became of its model."""
        self._closed = False

    async def run(
        self, entry: Entry, primitive: Primitive, rows: Floats, deadline: float, timings: Timings | None = None
    ) -> Results:
        """Run a primitive on rows.

        Args:
            entry: A version of a model; whatever takes its place meanwhile, this one runs.
            primitive: Which way to go.
            rows: Latents [n, *latent_shape] to encode or decode, codes [n, *code_shape] to invert, inputs to make latents of.
            deadline: On the clock of ``time.monotonic``.
            timings: Where to note how long the rows waited and were computed.

        Returns:
            (codes [n, *code_shape], logdet [n], log_likelihood [n]) of encode; (latents [n, *latent_shape],) of invert and
            of latents; (outputs [n, …],) of decode. All of the flow's dtype.

        Raises:
            NotReady: The version is not READY, or the engine is closed.
            DeadlineExceeded: The deadline passed.
            Overloaded: The queue is full.
            PassFailed: The flow raised an error, which is a bug.
        """
        if self._closed:
            raise ending()
        if entry.model is None:
            raise not_ready(entry)
        lane = Lane(entry.name, entry.version, primitive)
        return await self._batcher(entry.model, lane).run(rows, deadline, timings)

    def stats(self) -> dict[Lane, Stats]:
        """Return what was done so far for each model that was asked and is still served."""
        return {lane: batcher.stats for lanes in self._batchers.values() for lane, batcher in lanes.items()}

    @property
    def fault(self) -> str | None:
        """Which pass has not come back for too long, whatever became of its thread; None: all do."""
        now = time.monotonic()
        for batcher, lane in self._lanes.items():
            if now - (batcher.running_since or now) > self._longest_pass_s:
                return (
                    f"A pass of {lane.model} version {lane.version} ({lane.primitive.value}) has not come back for "
                    f"more than {self._longest_pass_s:g} s"
                )
        return None

    def close(self) -> None:
        """Start nothing more, and finish what runs, unless that takes ``CLOSE_S``; what waits ends as not ready."""
        self._closed = True
        for batcher in self._lanes:
            batcher.close()
        closing = Thread(target=self._close_pools, name="gyoza-closing", daemon=True)
        closing.start()
        closing.join(CLOSE_S)

    def _close_pools(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._helpers.shutdown()

    def _batcher(self, model: Model, lane: Lane) -> Batcher:
        lanes = self._batchers.setdefault(model, {})
        if lane not in lanes:
            function = function_of(model, lane.primitive)
            seconds = model.seconds[lane.primitive]
            spread = Spread(function, self._helpers, self._threads, max(SMALLEST_PART, Pace(seconds).quick_rows))
            lanes[lane] = Batcher(
                spread, self._pool, seconds, limits_of(self._limits, seconds), self._observer_of(lane)
            )
            self._lanes[lanes[lane]] = lane
        return lanes[lane]


def limits_of(limits: Limits, seconds: Mapping[int, float]) -> Limits:
    """Return the limits of passes that were timed: none is larger than those were, and no more of them wait than otherwise.

    A queue of as many rows would be one of many more passes, in which large requests take turns until all are too late.
    """
    most = min(limits.max_batch_rows, max(seconds, default=limits.max_batch_rows))
    waiting = max(1, limits.max_queue_rows * most // limits.max_batch_rows)
    return replace(limits, max_batch_rows=most, max_queue_rows=waiting)


def function_of(model: Model, primitive: Primitive) -> Function:
    """Return what computes a primitive of a model.

    Raises:
        ValueError: The model has not the half that it takes.
    """
    if primitive is Primitive.ENCODE:
        return partial(encode, model.flow)
    if primitive is Primitive.INVERT:
        return partial(invert, model.flow)
    half = model.beside.encoder if primitive is Primitive.LATENTS else model.beside.decoder
    if half is None:
        raise ValueError(f"The model must have the half that {primitive.value} runs, and has not.")
    return partial(run_half, half.run, model.flow.dtype)


def run_half(half: CompiledHalf, dtype: np.dtype[Any], rows: Floats) -> Results:
    """Run a half, which may compute in another dtype than the flow, to its one result, in the flow's."""
    with np.errstate(over="ignore"):
        return (half(rows).astype(dtype, copy=False),)


def encode(flow: CompiledFlow, latents: Floats) -> Results:
    """Encode latents to (codes, logdet, log_likelihood): for a whole pass at once, the last costs next to nothing."""
    codes, logdet = flow.encode(latents)
    return codes, logdet, log_likelihood(codes, logdet)


def invert(flow: CompiledFlow, codes: Floats) -> Results:
    """Invert codes to the one result (latents,)."""
    return (flow.invert(codes),)
