"""Executors run plans. This one is NumPy: it keeps no state between calls, so threads share it freely.

NumPy and its BLAS were chosen by measurement over XLA and ``tf.function`` (``benchmarks/README.md``): at one row they
take a fifth of the time, at 1,024 rows as long, whatever batch sizes come; and there is nothing to trace.
"""

from dataclasses import fields, is_dataclass, replace
from functools import singledispatch
from typing import Any, Protocol

import numpy as np

from gyoza.inference.laws import LAWS, run_network
from gyoza.inference.plan import Affine, Coupling, Floats, Gather, Linear, Opaque, Plan, Rotation

__all__ = [
    "AffineRunner",
    "CouplingRunner",
    "GatherRunner",
    "LinearRunner",
    "NumpyExecutor",
    "OpaqueRunner",
    "Runner",
    "cast",
    "multiply",
    "runner",
    "unknown",
    "writeable",
]


class Runner(Protocol):
    """Runs one step. It may write over the rows that it is given, and return them."""

    def encode(self, rows: Floats) -> tuple[Floats, Floats | None]:
        """Run the step on rows [n, D]: -> (rows [n, D], its logdet [n] beyond ``logdet``, None where that is all)."""

    def invert(self, rows: Floats) -> Floats:
        """Undo the step on rows [n, D]."""

    @property
    def logdet(self) -> float:
        """The part of the logdet that is the same for every row."""


class NumpyExecutor:
    """Runs a plan's steps one after the other on rows [n, D] of the plan's dtype.

    Args:
        plan: The steps.

    Raises:
        TypeError: The plan holds a step or a law that this executor does not know.
    """

    def __init__(self, plan: Plan) -> None:
        """Cast the plan's arrays to its dtype once; the plan itself stays as it is."""
        runners = [runner(cast(step, plan.dtype)) for step in plan.steps]
        self._encoders = tuple(each.encode for each in runners)
        self._inverters = tuple(each.invert for each in reversed(runners))
        self._logdet = plan.dtype.type(sum(each.logdet for each in runners))

    def encode(self, rows: Floats) -> tuple[Floats, Floats]:
        """Map rows [n, D] to codes [n, D] and their logdet [n]; what overflows comes out as inf or NaN, silently."""
        logdet = np.full(len(rows), self._logdet)
        rows = rows.copy()
        with np.errstate(all="ignore"):
            for encode in self._encoders:
                rows, term = encode(rows)
                if term is not None:
                    logdet += term
        return rows, logdet

    def invert(self, rows: Floats) -> Floats:
        """Map codes [n, D] back to rows [n, D]; what overflows comes out as inf or NaN, silently."""
        rows = rows.copy()
        with np.errstate(all="ignore"):
            for invert in self._inverters:
                rows = invert(rows)
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
def runner(step: object) -> Runner:
    """Make what runs a step.

    Raises:
        TypeError: No executor knows such a step.
    """
    raise unknown(step)


def unknown(value: object) -> TypeError:
    """Say that this executor has no way to run a step or a law."""
    return TypeError(
        f"A plan's steps and laws must be of the types in gyoza.inference.plan. Received: {type(value).__name__}"
    )


@runner.register(Gather)
class GatherRunner:
    """Reorders columns."""

    logdet = 0.0

    def __init__(self, step: Gather) -> None:
        """Work out the way back."""
        self._forward, self._backward = step.indices, step.inverse

    def encode(self, rows: Floats) -> tuple[Floats, None]:
        """Take each column from its place."""
        return rows.take(self._forward, axis=1), None

    def invert(self, rows: Floats) -> Floats:
        """Take it back."""
        return rows.take(self._backward, axis=1)


@runner.register(Affine)
class AffineRunner:
    """Shifts and scales columns."""

    def __init__(self, step: Affine) -> None:
        """Take the step."""
        self._step = step
        self.logdet = step.logdet

    def encode(self, rows: Floats) -> tuple[Floats, None]:
        """(x − location) · scale."""
        rows -= self._step.location
        rows *= self._step.scale
        return rows, None

    def invert(self, rows: Floats) -> Floats:
        """Y / scale + location."""
        rows /= self._step.scale
        rows += self._step.location
        return rows


@runner.register(Linear)
class LinearRunner:
    """Multiplies columns by a matrix."""

    def __init__(self, step: Linear) -> None:
        """Take the step."""
        self._step = step
        self.logdet = step.logdet

    def encode(self, rows: Floats) -> tuple[Floats, None]:
        """X @ matrix + shift."""
        return multiply(rows, self._step.matrix, self._step.shift), None

    def invert(self, rows: Floats) -> Floats:
        """Y @ inverse + unshift."""
        return multiply(rows, self._step.inverse, self._step.unshift)


@runner.register
def _(step: Rotation) -> Runner:
    return LinearRunner(Linear(step.matrix, np.ascontiguousarray(step.matrix.T), 0.0))


@runner.register(Opaque)
class OpaqueRunner:
    """Calls what a layer's own Keras code does."""

    logdet = 0.0

    def __init__(self, step: Opaque) -> None:
        """Take the functions."""
        self._step = step

    def encode(self, rows: Floats) -> tuple[Floats, Floats]:
        """Call the layer."""
        outputs, logdet = self._step.encode(rows)
        return writeable(outputs), logdet

    def invert(self, rows: Floats) -> Floats:
        """Call its inverse."""
        return writeable(self._step.invert(rows))


@runner.register(Coupling)
class CouplingRunner:
    """Transforms some columns by the others.

    Raises:
        TypeError: The law is not known.
    """

    logdet = 0.0

    def __init__(self, step: Coupling) -> None:
        """Look the law up."""
        if type(step.law) not in LAWS:
            raise unknown(step.law)
        self._step = step
        self._couple, self._decouple = LAWS[type(step.law)]
        self._sliced = isinstance(step.changed, slice)

    def encode(self, rows: Floats) -> tuple[Floats, Floats | None]:
        """Transform the changed columns in place."""
        step = self._step
        columns = rows[:, step.changed]
        logdet = self._couple(step.law, columns, run_network(step.network, rows[:, step.kept]))
        if not self._sliced:
            rows[:, step.changed] = columns
        return rows, logdet

    def invert(self, rows: Floats) -> Floats:
        """Transform them back."""
        step = self._step
        columns = rows[:, step.changed]
        self._decouple(step.law, columns, run_network(step.network, rows[:, step.kept]))
        if not self._sliced:
            rows[:, step.changed] = columns
        return rows


def writeable(rows: Floats) -> Floats:
    """Return rows over which the next step may write."""
    return rows if rows.flags.writeable else rows.copy()


def multiply(rows: Floats, matrix: Floats, shift: Floats | None) -> Floats:
    """Multiply each m columns of rows [n, D] by a matrix [m, m] and add a shift [m]."""
    product = rows.reshape(-1, len(matrix)) @ matrix
    if shift is not None:
        product += shift
    return product.reshape(rows.shape)
