"""The halves of the network that latents were taken from: its encoder, inputs to latents, and its decoder, on to outputs.

A half is compiled like a flow, to dense layers where it is a chain of them, and runs on NumPy arrays; no Keras here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from gyoza.inference.checks import Check, limits, row_error
from gyoza.inference.executors import cast
from gyoza.inference.laws import run_network
from gyoza.inference.plan import DenseNetwork, Floats, OpaqueNetwork, Origin

__all__ = [
    "CompiledHalf",
    "HalfPlan",
    "LoadedHalf",
    "check_finite",
    "check_half",
    "check_half_steps",
    "probe_rows",
]

LARGEST_PASS = 2**22
"""Numbers, of inputs or of outputs, that go through a network of which only the function is known at once."""
PROBE_SEED = 0
Rows: TypeAlias = Callable[[Floats], Floats]
"""Rows [n, *input_shape] to rows [n, *output_shape]."""


@dataclass(frozen=True, eq=False)
class HalfPlan:
    """A half as data."""

    network: DenseNetwork | OpaqueNetwork
    """From inputs flattened in C order [n, I] to outputs [n, O]."""
    input_shape: tuple[int, ...]
    """The shape of one input, without the batch axis."""
    output_shape: tuple[int, ...]
    """The shape of one output, without the batch axis."""
    dtype: np.dtype[np.floating[Any]]
    """What it computes in, and answers with."""
    origin: Origin | None = None
    """What it was lowered from; None where that is not known."""


class CompiledHalf:
    """A half that is ready to run. It holds no state between calls, so threads may share it.

    Args:
        plan: The half as data.

    Example:
        >>> import numpy as np
        >>> from gyoza.inference.halves import CompiledHalf, HalfPlan
        >>> from gyoza.inference.plan import Dense, DenseNetwork
        >>> network = DenseNetwork((Dense(np.array([[1.0], [2.0]]), np.array([0.5]), "relu"),))
        >>> CompiledHalf(HalfPlan(network, (2,), (1,), np.dtype("float64")))([[1.0, 2.0], [-3.0, 0.0]]).tolist()
        [[5.5], [0.0]]
    """

    def __init__(self, plan: HalfPlan) -> None:
        """Cast the plan's arrays to its dtype once; the plan itself stays as it is."""
        self.plan = plan
        self._network = cast(plan.network, plan.dtype)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without the batch axis."""
        return self.plan.input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of one output, without the batch axis."""
        return self.plan.output_shape

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """What inputs are cast to and outputs come in."""
        return self.plan.dtype

    @property
    def calls_code(self) -> bool:
        """Whether the network is only known as a function, so that the plan is more than arrays and can't be saved."""
        return isinstance(self._network, OpaqueNetwork)

    @property
    def traces(self) -> int:
        """How often a backend traced what the plan calls: once, when it first runs, or never."""
        return int(getattr(getattr(self._network, "function", None), "traces", 0))

    def __call__(self, values: ArrayLike) -> Floats:
        """Map inputs to outputs.

        Args:
            values: [n, *input_shape], any real dtype.

        Returns:
            [n, *output_shape] of the half's dtype. A row that overflows holds inf or NaN; the others are not touched by it.

        Raises:
            ValueError: The shape is not [n, *input_shape].
        """
        with np.errstate(all="ignore"):
            rows = np.asarray(values, self.dtype)
            if rows.shape[1:] != self.input_shape or rows.ndim != len(self.input_shape) + 1:
                expected = ", ".join(["n", *map(str, self.input_shape)])
                raise ValueError(f"inputs must have the shape [{expected}]. Received: inputs.shape={rows.shape}")
            outputs = self._run(rows.reshape(len(rows), prod(self.input_shape)))
        return outputs.reshape(len(rows), *self.output_shape)

    def reshaped(self, shape: tuple[int, ...]) -> "CompiledHalf":
        """Return the half with outputs of another shape, of as many numbers.

        Raises:
            ValueError: They are not as many.
        """
        if prod(shape) != prod(self.output_shape):
            raise ValueError(
                f"The shape must hold as many numbers as the outputs, {list(self.output_shape)}. Received: {list(shape)}"
            )
        return CompiledHalf(replace(self.plan, output_shape=shape))

    def _run(self, rows: Floats) -> Floats:
        if not isinstance(self._network, OpaqueNetwork) or not len(rows):
            return run_network(self._network, rows)
        most = max(1, LARGEST_PASS // max(prod(self.input_shape), prod(self.output_shape)))
        parts = [self._network.function(rows[start : start + most]) for start in range(0, len(rows), most)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class LoadedHalf:
    """A half that was read from a file, compiled and checked."""

    half: CompiledHalf
    checks: tuple[Check, ...]
    """What was found, passed or not."""
    digest: str | None = None
    """The SHA-256 of the bytes that it was made of, in hexadecimal; None where that is not known."""

    @property
    def layers(self) -> int | None:
        """How many layers the model had; None where that is not recorded."""
        origin = self.half.plan.origin
        return None if origin is None else origin.layers

    @property
    def parameters(self) -> int | None:
        """How many numbers its weights held; None where that is not recorded."""
        origin = self.half.plan.origin
        return None if origin is None else origin.parameters

    @property
    def libraries(self) -> Mapping[str, str]:
        """Library name to version, of the libraries that made the plan."""
        origin = self.half.plan.origin
        return {} if origin is None else origin.libraries


def probe_rows(half: CompiledHalf, count: int) -> Floats:
    """Draw inputs [count, *input_shape] from N(0, I), the same ones each time."""
    return np.random.RandomState(PROBE_SEED).standard_normal((count, *half.input_shape)).astype(half.dtype)


def check_half(half: CompiledHalf, reference: Rows, rows: Floats) -> Check:
    """Check that a compiled half gives what the layers of its model do, called one by one.

    Args:
        half: The compiled half.
        reference: The model.
        rows: [n, *input_shape].

    Returns:
        The error in units of 1 + max|row|.
    """
    return Check("compiled as layers", row_error(half(rows), reference(rows)), limits(half.dtype).agreement)


def check_half_steps(half: CompiledHalf, rows: Floats) -> Check:
    """Check that a compiled half of dense layers computes what they do in double precision; likewise."""
    exact = CompiledHalf(replace(half.plan, dtype=np.dtype(np.float64)))
    return Check("compiled as its steps", row_error(half(rows), exact(rows)), limits(half.dtype).agreement)


def check_finite(half: CompiledHalf, rows: Floats) -> Check:
    """Count the rows [n, *input_shape] of which a half makes something that is not finite; none may be."""
    outputs = half(rows).reshape(len(rows), -1)
    return Check("finite on probe rows", float((~np.isfinite(outputs)).any(axis=1).sum()), 0.0)
