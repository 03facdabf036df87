"""Checks of a compiled flow against the steps of its plan, run one by one in double precision; no Keras is needed."""

from dataclasses import replace

import numpy as np

from gyoza.inference.checks import Check, ShapedFlow, limits, row_error
from gyoza.inference.executors import NumpyExecutor
from gyoza.inference.plan import Affine, Coupling, Floats, Gather, Indices, Linear, Plan, Rotation, Step

__all__ = [
    "DIFFERENCE",
    "block_logdet",
    "check_logdet_of_steps",
    "check_steps",
    "column_logdet",
    "difference_logdet",
    "rows_of",
    "step_logdet",
]

DIFFERENCE = 1e-6
"""Half of the distance over which a derivative is taken, in units of 1 + |x|."""


@np.errstate(all="ignore")
def check_steps(flow: ShapedFlow, plan: Plan, latents: Floats) -> Check:
    """Check that a compiled flow computes what the steps of its plan do, none fused with another.

    Args:
        flow: The compiled flow.
        plan: Its plan.
        latents: [n, *latent_shape].

    Returns:
        The largest error of codes, logdets and latents, in units of 1 + max|row|.
    """
    exact = NumpyExecutor(replace(plan, dtype=np.dtype(np.float64)))
    codes, logdet = flow.encode(latents)
    expected_codes, expected_logdet = exact.encode(rows_of(latents))
    errors = (
        row_error(rows_of(codes), expected_codes),
        row_error(logdet, expected_logdet),
        row_error(rows_of(flow.invert(codes)), exact.invert(rows_of(codes))),
    )
    return Check("compiled as its steps", max(errors), limits(plan.dtype).agreement)


def check_logdet_of_steps(flow: ShapedFlow, plan: Plan, latents: Floats) -> Check:
    """Check the logdet of a compiled flow against one from differences of its steps, which know no logdet.

    Args:
        flow: The compiled flow.
        plan: Its plan, without opaque steps.
        latents: [n, *latent_shape].

    Returns:
        The error in units of 1 + |logdet|.
    """
    _, logdet = flow.encode(latents)
    return Check(
        "logdet by differences", row_error(logdet, difference_logdet(plan, latents)), limits(plan.dtype).logdet
    )


@np.errstate(all="ignore")
def difference_logdet(plan: Plan, latents: Floats) -> Floats:
    """Return log|det| of a plan's Jacobian by central differences in double precision.

    Each step's Jacobian is taken by itself: a coupling's is triangular, so that the derivatives of its changed columns
    each by itself are enough; a matrix is what its step makes of a basis. Thus the kinks of networks, across which a
    difference would tell nothing, do not come into it, and latents may have any size. Only where an entry lies within a
    millionth of a knot of a spline, at which the slope's own slope jumps, is the difference off by about as much; rows
    that are drawn at random, as ``gyoza.inference.checks.probe_latents`` draws them, do not lie there.

    Args:
        plan: The steps, none of them opaque.
        latents: [n, *latent_shape].

    Returns:
        [n].

    Raises:
        ValueError: A step is opaque: how its columns depend on each other is not known.
    """
    rows, logdet = rows_of(latents), np.zeros(len(latents))
    for step in plan.steps:
        single = NumpyExecutor(replace(plan, steps=(step,), dtype=np.dtype(np.float64)))
        logdet += step_logdet(single, step, rows)
        rows, _ = single.encode(rows)
    return logdet


def step_logdet(single: NumpyExecutor, step: Step, rows: Floats) -> Floats:
    """Return log|det| [n] of one step's Jacobian at rows [n, D]."""
    if isinstance(step, Coupling):
        return column_logdet(single, rows, np.asarray(step.changed))
    if isinstance(step, Affine):
        return column_logdet(single, rows, np.arange(rows.shape[1]))
    if isinstance(step, Rotation | Linear):
        return np.full(len(rows), block_logdet(single, len(step.matrix), rows.shape[1]))
    if isinstance(step, Gather):
        return np.zeros(len(rows))  # Each column is there once, which is checked when it is read.
    raise ValueError(
        f"A logdet by differences is for plans without opaque steps. Received: one that calls {step.source}"
    )


def column_logdet(single: NumpyExecutor, rows: Floats, columns: Indices) -> Floats:
    """Return Σ ln|dy/dx| [n] over columns that a step transforms each by itself."""
    move = np.zeros_like(rows)
    move[:, columns] = DIFFERENCE * (1 + np.abs(rows[:, columns]))
    rise = single.encode(rows + move)[0] - single.encode(rows - move)[0]
    return np.asarray(np.log(np.abs(rise[:, columns] / (2 * move[:, columns]))).sum(axis=1))


def block_logdet(single: NumpyExecutor, block: int, size: int) -> float:
    """Return log|det| of a step that multiplies each ``block`` columns, from what it makes of a basis."""
    basis = np.zeros((block + 1, size))
    basis[:block, :block] = np.eye(block)
    moved, _ = single.encode(basis)
    matrix = (moved[:block] - moved[block])[:, :block]
    return float(np.linalg.slogdet(matrix)[1]) * (size // block)


def rows_of(values: Floats) -> Floats:
    """Flatten [n, …] to rows [n, D] in double precision."""
    return values.reshape(len(values), -1).astype(np.float64)
