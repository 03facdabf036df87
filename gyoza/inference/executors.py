"""Executors run plans. This one is NumPy: it keeps no state between calls, so threads share it freely."""

from dataclasses import fields, is_dataclass, replace
from functools import singledispatch
from typing import Any, TypeAlias

import numpy as np

from gyoza.inference.activations import ACTIVATIONS
from gyoza.inference.plan import (
    Additive,
    Affine,
    BoundedAffine,
    Coupling,
    DenseNetwork,
    Floats,
    Gather,
    Indices,
    Linear,
    Opaque,
    OpaqueNetwork,
    Plan,
    Rotation,
    Spline,
)
from gyoza.inference.splines import couple_spline, decouple_spline

__all__ = [
    "Logdet",
    "NumpyExecutor",
    "cast",
    "couple",
    "decouple",
    "encode_step",
    "invert_step",
    "run_network",
    "shift_and_log_scale",
    "unknown_step",
    "with_columns",
]

Logdet: TypeAlias = Floats | float
"""[n], or one number that holds for every row."""


class NumpyExecutor:
    """Runs a plan's steps one after the other on rows [n, D] of the plan's dtype."""

    def __init__(self, plan: Plan) -> None:
        """Cast the plan's arrays to its dtype once; the plan itself stays as it is."""
        self._steps = tuple(cast(step, plan.dtype) for step in plan.steps)
        self._dtype = plan.dtype

    def encode(self, rows: Floats) -> tuple[Floats, Floats]:
        """Map rows [n, D] to codes [n, D] and their logdet [n]; what overflows comes out as inf or NaN, silently."""
        logdet: Logdet = 0.0
        with np.errstate(all="ignore"):
            for step in self._steps:
                rows, term = encode_step(step, rows)
                logdet = logdet + term
            return rows, np.broadcast_to(np.asarray(logdet, self._dtype), len(rows)).copy()

    def invert(self, rows: Floats) -> Floats:
        """Map codes [n, D] back to rows [n, D]; what overflows comes out as inf or NaN, silently."""
        with np.errstate(all="ignore"):
            for step in reversed(self._steps):
                rows = invert_step(step, rows)
            return rows


def cast(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a step whose floating-point arrays, however deep, are C-contiguous and of ``dtype``."""
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value, dtype if value.dtype.kind == "f" else value.dtype)
    if isinstance(value, tuple):
        return tuple(cast(item, dtype) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: cast(getattr(value, field.name), dtype) for field in fields(value)})
    return value


@singledispatch
def encode_step(step: object, rows: Floats) -> tuple[Floats, Logdet]:
    """Run one step from latents towards codes: rows [n, D] -> (rows [n, D], logdet)."""
    raise unknown_step(step, rows)


@singledispatch
def invert_step(step: object, rows: Floats) -> Floats:
    """Run one step from codes towards latents: rows [n, D] -> rows [n, D]."""
    raise unknown_step(step, rows)


def unknown_step(step: object, rows: Floats) -> TypeError:
    """Say that this executor has no way to run a step."""
    return TypeError(
        f"A plan's steps must be of the types in gyoza.inference.plan. Received: {type(step).__name__}, "
        f"to run on rows of shape {rows.shape}"
    )


@encode_step.register
def _(step: Gather, rows: Floats) -> tuple[Floats, Logdet]:
    return rows[:, step.indices], 0.0


@invert_step.register
def _(step: Gather, rows: Floats) -> Floats:
    out = np.empty_like(rows)
    out[:, step.indices] = rows
    return out


@encode_step.register
def _(step: Affine, rows: Floats) -> tuple[Floats, Logdet]:
    return (rows - step.location) * step.scale, step.logdet


@invert_step.register
def _(step: Affine, rows: Floats) -> Floats:
    return rows / step.scale + step.location


@encode_step.register
def _(step: Rotation, rows: Floats) -> tuple[Floats, Logdet]:
    return rows @ step.matrix, 0.0


@invert_step.register
def _(step: Rotation, rows: Floats) -> Floats:
    return rows @ step.matrix.T


@encode_step.register
def _(step: Linear, rows: Floats) -> tuple[Floats, Logdet]:
    return rows @ step.matrix, step.logdet


@invert_step.register
def _(step: Linear, rows: Floats) -> Floats:
    return rows @ step.inverse


@encode_step.register
def _(step: Opaque, rows: Floats) -> tuple[Floats, Logdet]:
    return step.encode(rows)


@invert_step.register
def _(step: Opaque, rows: Floats) -> Floats:
    return step.invert(rows)


@encode_step.register
def _(step: Coupling, rows: Floats) -> tuple[Floats, Logdet]:
    parameters = run_network(step.network, rows[:, step.kept])
    columns, logdet = couple(step.law, rows[:, step.changed], parameters)
    return with_columns(rows, step.changed, columns), logdet


@invert_step.register
def _(step: Coupling, rows: Floats) -> Floats:
    parameters = run_network(step.network, rows[:, step.kept])
    return with_columns(rows, step.changed, decouple(step.law, rows[:, step.changed], parameters))


def with_columns(rows: Floats, indices: Indices, columns: Floats) -> Floats:
    """Return rows [n, D] in which the columns at ``indices`` are replaced; the given rows stay as they are."""
    out = rows.copy()
    out[:, indices] = columns
    return out


def run_network(network: DenseNetwork | OpaqueNetwork, kept: Floats) -> Floats:
    """Compute coupling parameters [n, p·C] from the kept columns [n, K]."""
    if isinstance(network, OpaqueNetwork):
        return network.function(kept)
    for layer in network.layers:
        kept = ACTIVATIONS[layer.activation](kept @ layer.kernel + layer.bias)
    return kept


@singledispatch
def couple(law: object, x: Floats, parameters: Floats) -> tuple[Floats, Logdet]:
    """Apply a coupling law to x [n, C]: -> (y [n, C], logdet)."""
    raise unknown_step(law, x)


@singledispatch
def decouple(law: object, y: Floats, parameters: Floats) -> Floats:
    """Undo a coupling law: y [n, C] -> x [n, C]."""
    raise unknown_step(law, y)


@couple.register
def _(law: Additive, x: Floats, parameters: Floats) -> tuple[Floats, Logdet]:
    return x + parameters, 0.0


@decouple.register
def _(law: Additive, y: Floats, parameters: Floats) -> Floats:
    return y - parameters


@couple.register
def _(law: BoundedAffine, x: Floats, parameters: Floats) -> tuple[Floats, Logdet]:
    shift, log_scale = shift_and_log_scale(law, parameters)
    return x * np.exp(log_scale) + shift, log_scale.sum(axis=1)


@decouple.register
def _(law: BoundedAffine, y: Floats, parameters: Floats) -> Floats:
    shift, log_scale = shift_and_log_scale(law, parameters)
    return (y - shift) * np.exp(-log_scale)


@couple.register
def _(law: Spline, x: Floats, parameters: Floats) -> tuple[Floats, Logdet]:
    return couple_spline(law, x, parameters)


@decouple.register
def _(law: Spline, y: Floats, parameters: Floats) -> Floats:
    return decouple_spline(law, y, parameters)


def shift_and_log_scale(law: BoundedAffine, parameters: Floats) -> tuple[Floats, Floats]:
    """Split parameters [n, 2·C] into the shift t [n, C] and the bounded log-scale σ [n, C]."""
    shift, raw = np.split(parameters, 2, axis=1)
    return shift, law.bound * np.tanh(raw / law.bound)
