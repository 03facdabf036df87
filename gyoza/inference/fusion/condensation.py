"""Runs of linear steps become one matrix, where that is cheaper than the steps one by one."""

from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np

from gyoza.inference.fusion.absorption import is_gentle
from gyoza.inference.plan import Affine, Floats, Gather, Linear, Rotation, Step

__all__ = [
    "CALL_COST",
    "LARGEST_JOINED",
    "TYPICAL_ROWS",
    "as_linear",
    "cheaper_joined",
    "condense",
    "cost",
    "is_linear",
    "joined",
    "times",
]

LARGEST_JOINED = 1024
"""Latents of more entries are never multiplied by one matrix."""
TYPICAL_ROWS = 16
"""For how many rows at once steps are compared."""
CALL_COST = 2e5
"""What a call of NumPy costs, about 2 µs, in multiplications and additions of one core."""


def condense(steps: Iterable[Step], size: int) -> tuple[Step, ...]:
    """Replace each run of linear steps on rows [n, ``size``] by one ``Linear`` where that is cheaper."""
    condensed: list[Step] = []
    for linear, run in groupby(map(as_linear, steps), is_linear):
        part = list(run)
        condensed += [joined(part, size)] if linear and cheaper_joined(part, size) else part
    return tuple(condensed)


def is_linear(step: Step) -> bool:
    """Whether a step can become part of a matrix and a shift."""
    return isinstance(step, Gather | Linear) or (isinstance(step, Affine) and is_gentle(step))


def as_linear(step: Step) -> Step:
    """Return a rotation as a linear step, and every other step as it is."""
    return Linear(step.matrix, step.matrix.T, 0.0) if isinstance(step, Rotation) else step


def cheaper_joined(run: Sequence[Step], size: int) -> bool:
    """Whether one matrix costs no more than the matrices of a run, its shifts and scales; gathers cost nothing."""
    if size > LARGEST_JOINED or not any(isinstance(step, Linear) for step in run):
        return False
    return 2 * size * size * TYPICAL_ROWS + CALL_COST <= sum(cost(step, size) for step in run)


def cost(step: Step, size: int) -> float:
    """Return what a step costs by itself."""
    if isinstance(step, Linear):
        return 2 * size * len(step.matrix) * TYPICAL_ROWS + CALL_COST
    return 2 * size * TYPICAL_ROWS + CALL_COST if isinstance(step, Affine) else 0.0


def joined(run: Sequence[Step], size: int) -> Linear:
    """Multiply the steps of a run, and the inverses of each in reverse order: no matrix is inverted."""
    matrix: Floats = np.eye(size)
    inverse: Floats = np.eye(size)
    shift: Floats = np.zeros(size)
    logdet = 0.0
    for step in run:
        if isinstance(step, Gather):
            matrix, shift, inverse = matrix[:, step.indices], shift[step.indices], inverse[step.indices]
        elif isinstance(step, Affine):
            matrix, shift = matrix * step.scale, (shift - step.location) * step.scale
            inverse = inverse / step.scale[:, None]
            logdet += step.logdet
        elif isinstance(step, Linear):  # pragma: no branch - there is nothing else in a run.
            matrix, shift = times(matrix, step.matrix), times(shift, step.matrix)
            shift = shift if step.shift is None else shift + np.tile(step.shift, size // len(step.shift))
            inverse = times(inverse.T, step.inverse.T).T
            logdet += step.logdet
    return Linear(matrix, inverse, logdet, *((shift, -shift @ inverse) if shift.any() else ()))


def times(rows: Floats, block: Floats) -> Floats:
    """Multiply each m entries of rows […, D] by a matrix [m, m]."""
    return (rows.reshape(-1, len(block)) @ block).reshape(rows.shape)
