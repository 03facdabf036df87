"""Whether a plan from a file is one: its classes say what their fields hold, and here that is made sure of."""

from collections.abc import Mapping
from functools import singledispatch
from math import isfinite, prod
from typing import Any

import numpy as np

from gyoza.factors import check_factor_name
from gyoza.inference.activations import ACTIVATIONS
from gyoza.inference.checks import Check
from gyoza.inference.files.writing import Proof
from gyoza.inference.plan import (
    Additive,
    Affine,
    BoundedAffine,
    Coupling,
    Dense,
    DenseNetwork,
    Gather,
    Linear,
    Origin,
    Plan,
    Rotation,
    Spline,
)

__all__ = ["DTYPES", "check_origin", "check_plan", "check_proof"]

DTYPES = ("float32", "float64")
ORTHOGONAL = 1e-6
"""How far a rotation times its transpose may be from 1."""


def check_plan(plan: Plan) -> None:
    """Check that a plan's shapes fit and that each of its steps is a bijection of rows [n, D].

    Raises:
        ValueError: It is not so; the text names the step.
    """
    if plan.dtype.name not in DTYPES:
        raise ValueError(f"its dtype must be one of {', '.join(DTYPES)}. Received: {plan.dtype.name}")
    for shape in (plan.latent_shape, plan.code_shape):
        require(is_shape(shape), f"shapes must hold integers of 1 or more. Received: {shape}")
    require(prod(plan.latent_shape) == prod(plan.code_shape), "a code must have as many entries as a latent")
    require(isinstance(plan.steps, tuple), "its steps must be a list")
    for number, step in enumerate(plan.steps):
        try:
            check_step(step, plan.size)
        except ValueError as error:
            raise ValueError(f"step {number} ({type(step).__name__}): {error}") from error


def check_proof(proof: Proof) -> None:
    """Check the parts of a proof."""
    digest = proof.flow_digest
    require(digest is None or isinstance(digest, str), "flow_digest must be a text")
    checks = proof.checks if isinstance(proof.checks, tuple) else (None,)
    for check in checks:
        require(
            isinstance(check, Check)
            and isinstance(check.name, str)
            and is_number(check.error)
            and is_number(check.limit),
            "checks must each have a name, an error and a limit",
        )


def check_origin(origin: Any) -> None:
    """Check what is told of the model that the plan came from."""
    require(isinstance(origin, Origin), "its origin must be an Origin")
    require(is_size(origin.layers, 0) and is_size(origin.parameters, 0), "layers and parameters must be integers")
    libraries = origin.libraries
    require(
        isinstance(libraries, Mapping) and all(isinstance(version, str) for version in libraries.values()),
        "libraries must map names to versions",
    )
    factors = origin.factors
    require(factors is None or (isinstance(factors, Mapping) and len(factors) > 0), "factors must map names to sizes")
    for name, size in (factors or {}).items():
        check_factor_name(name)
        require(is_size(size), f"the size of factor {name} must be an integer of 1 or more. Received: {size!r}")


@singledispatch
def check_step(step: object, size: int) -> None:
    """Check that a step is a bijection of rows [n, ``size``]."""
    raise ValueError(f"there is no such step for rows of {size} columns. Received: {type(step).__name__}")


@check_step.register
def _(step: Gather, size: int) -> None:
    require_indices(step.indices, "indices")
    require(np.array_equal(np.sort(step.indices), np.arange(size)), f"indices must hold each of 0 … {size - 1} once")


@check_step.register
def _(step: Affine, size: int) -> None:
    require_floats(step.scale, (size,), "scale")
    require_floats(step.location, (size,), "location")
    require(bool(np.all(step.scale != 0)), "scale must nowhere be 0")


@check_step.register
def _(step: Rotation, size: int) -> None:
    block = require_block(step.matrix, size)
    require_floats(step.matrix, (block, block), "matrix")
    error = np.abs(step.matrix @ step.matrix.T - np.eye(block)).max()
    require(bool(error <= ORTHOGONAL), f"matrix must be orthogonal; it is off by {error:.2g}")


@check_step.register
def _(step: Linear, size: int) -> None:
    block = require_block(step.matrix, size)
    require_floats(step.matrix, (block, block), "matrix")
    require_floats(step.inverse, (block, block), "inverse")
    require(is_number(step.logdet), "logdet must be a finite number")
    require((step.shift is None) == (step.unshift is None), "shift and unshift must come together")
    if step.shift is not None:
        require_floats(step.shift, (block,), "shift")
        require_floats(step.unshift, (block,), "unshift")


@check_step.register
def _(step: Coupling, size: int) -> None:
    for columns in (step.kept, step.changed):
        require_indices(columns, "kept and changed")
    kept, changed = np.asarray(step.kept), np.asarray(step.changed)
    for columns in (kept, changed):
        require(bool(np.all(np.diff(columns) > 0)), "kept and changed must be ascending")
    require(
        np.array_equal(np.sort(np.concatenate([kept, changed])), np.arange(size)),
        f"kept and changed must hold each of 0 … {size - 1} once, together",
    )
    check_law(step.law)
    check_network(step.network, len(kept), len(changed) * step.law.parameters)


def check_law(law: object) -> None:
    """Check a coupling law's numbers."""
    match law:
        case Additive():
            return
        case BoundedAffine(bound):
            require(is_number(bound) and bound > 0, "bound must be a positive number")
        case Spline(bins, bound, share, slope):
            require(is_size(bins, 2), "bins must be an integer of 2 or more")
            numbers = all(map(is_number, (bound, share, slope)))
            require(
                numbers and bound > 0 and 0 < slope < 1 and 0 < share * bins < 1,
                "the spline's numbers must be in range",
            )
        case _:
            raise ValueError(f"there is no such law. Received: {type(law).__name__}")


def check_network(network: object, inputs: int, outputs: int) -> None:
    """Check that dense layers lead from so many columns to so many parameters."""
    if not isinstance(network, DenseNetwork) or not isinstance(network.layers, tuple) or not network.layers:
        raise ValueError("a network must be one dense layer or more")
    for layer in network.layers:
        if (
            not isinstance(layer, Dense)
            or not isinstance(layer.bias, np.ndarray)
            or layer.activation not in ACTIVATIONS
        ):
            raise ValueError(
                f"a layer must be Dense, its activation one of {', '.join(ACTIVATIONS)}. Received: {type(layer).__name__}, "
                f"{getattr(layer, 'activation', None)!r:.40}"
            )
        require_floats(layer.kernel, (inputs, layer.bias.size), "kernel")
        require_floats(layer.bias, (layer.bias.size,), "bias")
        inputs = layer.bias.size
    require(inputs == outputs, f"the network must give {outputs} parameters. Received: {inputs}")


def require(holds: bool, rule: str) -> None:
    """Refuse what does not hold."""
    if not holds:
        raise ValueError(rule)


def require_floats(array: object, shape: tuple[int, ...], name: str) -> None:
    """Refuse what is no array of finite floating-point numbers of a shape."""
    if not isinstance(array, np.ndarray) or array.dtype.name not in DTYPES or array.shape != shape:
        received = f"{array.dtype}, {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(
            f"{name} must be an array of {' or '.join(DTYPES)} of the shape {list(shape)}. Received: {received}"
        )
    require(bool(np.isfinite(array).all()), f"{name} must be finite")


def require_indices(array: object, name: str) -> None:
    """Refuse what is no list of integers."""
    require(isinstance(array, np.ndarray) and array.dtype.kind == "i" and array.ndim == 1, f"{name} must be integers")


def require_block(matrix: object, size: int) -> int:
    """Return how many columns a matrix acts on at once; refuse one that does not divide rows into such."""
    count = matrix.shape[0] if isinstance(matrix, np.ndarray) and matrix.ndim == 2 else 0
    require(count > 0 and size % count == 0, f"matrix must be square, and its size divide {size}")
    return count


def is_shape(value: object) -> bool:
    """Whether a value is a tuple of sizes."""
    return isinstance(value, tuple) and len(value) > 0 and all(map(is_size, value))


def is_size(value: object, least: int = 1) -> bool:
    """Whether a value is an integer of ``least`` or more."""
    return type(value) is int and value >= least


def is_number(value: object) -> bool:
    """Whether a value is a finite number."""
    return type(value) in {int, float} and isfinite(value)  # type: ignore[arg-type]
