"""What a model computes, and how long that takes: the passes of its warm-up."""

import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial

import numpy as np

from app.halves import Beside
from gyoza.inference import CompiledFlow
from gyoza.inference.plan import Floats

WARM_UP_STEP = 4
"""Each pass that is timed has so many times the rows of the one before."""
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
    rows = [1]
    while rows[-1] * WARM_UP_STEP < max_batch_rows:
        rows.append(rows[-1] * WARM_UP_STEP)
    return *(count for count in rows if count < max_batch_rows), max_batch_rows


def warm_up(flow: CompiledFlow, beside: Beside, rows: Sequence[int]) -> dict[Primitive, dict[int, float]]:
    """Run each primitive on each count of rows, so that the first request is no slower, and time the passes.

    Args:
        flow: The flow.
        beside: What lies beside it.
        rows: Counts of rows, ascending.

    Returns:
        The seconds of a pass of so many rows, for each primitive that there is: up to the first that took ``LONG_PASS_S``.
    """
    runs = runs_of(flow, beside)
    seconds: dict[Primitive, dict[int, float]] = {primitive: {} for primitive in runs}
    for count in rows:
        for primitive, (run, row) in runs.items():
            timed = seconds[primitive]
            if max(timed.values(), default=0.0) < LONG_PASS_S:
                timed[count] = fastest(partial(run, np.repeat(row, count, axis=0)))
    return seconds


def runs_of(flow: CompiledFlow, beside: Beside) -> dict[Primitive, tuple[Callable[[Floats], object], Floats]]:
    """Return what runs each primitive that there is, and a row [1, …] to run it on."""
    codes = np.zeros((1, *flow.code_shape), flow.dtype)
    latents = flow.invert(codes)
    found: dict[Primitive, tuple[Callable[[Floats], object], Floats]] = {
        Primitive.INVERT: (flow.invert, codes),
        Primitive.ENCODE: (flow.encode, latents),
    }
    if beside.decoder is not None:
        found[Primitive.DECODE] = beside.decoder.run, latents
    if beside.encoder is not None:
        run = beside.encoder.run
        found[Primitive.LATENTS] = run, np.zeros((1, *run.input_shape), flow.dtype)
    return found


def limited(seconds: Mapping[Primitive, Mapping[int, float]], rows: int) -> dict[Primitive, tuple[int, float]]:
    """Return the primitives whose passes may not have so many rows: how many they may have, and the seconds that takes."""
    return {primitive: (most := max(timed), timed[most]) for primitive, timed in seconds.items() if max(timed) < rows}


def fastest(call: Callable[[], object]) -> float:
    """Return the seconds of the fastest of a few calls."""
    seconds: list[float] = []
    while len(seconds) < WARM_UP_PASSES or sum(seconds) < WARM_UP_S:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
