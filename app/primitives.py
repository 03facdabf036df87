"""What a model computes, and how long that takes: the passes of its warm-up."""

import time
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from functools import partial

import numpy as np

from app.halves import Beside
from gyoza.inference import CompiledFlow

WARM_UP_ROWS = (1, 4, 16, 64, 256)
WARM_UP_PASSES = 3
WARM_UP_S = 5e-3
"""Quick passes are repeated for so long: of three, each may have been held up."""
LONG_PASS_S = 1.0
"""Where a pass took so long, none of more rows is tried, and none is run: a decoder may take seconds for what a flow does
in milliseconds, and a pass that does not come back for long is taken for one that hangs."""


class Primitive(StrEnum):
    """What a flow and the halves beside it compute; everything else is composed of these."""

    ENCODE = "encode"
    INVERT = "invert"
    LATENTS = "latents"
    """The encoder's: inputs to latents."""
    DECODE = "decode"
    """The decoder's: latents to outputs."""


def warm_up_rows(max_batch_rows: int) -> tuple[int, ...]:
    """Return of how many rows passes are run at warm-up, where the largest pass has so many."""
    return *(rows for rows in WARM_UP_ROWS if rows < max_batch_rows), max_batch_rows


def warm_up(flow: CompiledFlow, beside: Beside, rows: Sequence[int]) -> dict[Primitive, dict[int, float]]:
    """Run each primitive on each count of rows, so that the first request is no slower, and time the passes.

    Args:
        flow: The flow.
        beside: What lies beside it.
        rows: Counts of rows, ascending.

    Returns:
        The seconds of a pass of so many rows, for each primitive that there is: up to the first that took ``LONG_PASS_S``.
    """
    seconds: dict[Primitive, dict[int, float]] = {}
    for count in rows:
        for primitive, call in passes(flow, beside, count):
            timed = seconds.setdefault(primitive, {})
            if max(timed.values(), default=0.0) < LONG_PASS_S:
                timed[count] = fastest(call)
    return seconds


def passes(flow: CompiledFlow, beside: Beside, count: int) -> Iterator[tuple[Primitive, Callable[[], object]]]:
    """Yield each primitive that there is, with a pass of so many rows."""
    codes = np.zeros((count, *flow.code_shape), flow.dtype)
    latents = flow.invert(codes)
    yield Primitive.INVERT, partial(flow.invert, codes)
    yield Primitive.ENCODE, partial(flow.encode, latents)
    if beside.decoder is not None:
        yield Primitive.DECODE, partial(beside.decoder.run, latents)
    if beside.encoder is not None:
        inputs = np.zeros((count, *beside.encoder.run.input_shape), flow.dtype)
        yield Primitive.LATENTS, partial(beside.encoder.run, inputs)


def fastest(call: Callable[[], object]) -> float:
    """Return the seconds of the fastest of a few calls."""
    seconds: list[float] = []
    while len(seconds) < WARM_UP_PASSES or sum(seconds) < WARM_UP_S:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
