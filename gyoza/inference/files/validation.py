"""Whether a plan from a file is one: its classes say what their fields hold, and here that is made sure of.

A number must do in the dtype that the plan computes in, whichever one the file keeps it in. Sizes are compared before
anything is made of them, so that checking a file takes no more memory than a few times the file's own.
"""

import re
from collections.abc import Mapping
from functools import singledispatch
from math import prod
from typing import Any

import numpy as np

from gyoza.factors import check_factor_name
from gyoza.inference.activations import ACTIVATIONS
from gyoza.inference.checks import Check
from gyoza.inference.files.proof import Proof
from gyoza.inference.files.rules import (
    DTYPES,
    LARGEST_AXES,
    LARGEST_INTEGER,
    LONGEST_TEXT,
    is_number,
    is_positive,
    is_shape,
    is_size,
    is_text,
    require,
    require_block,
    require_floats,
    require_indices,
)
from gyoza.inference.halves import HalfPlan
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

__all__ = ["LARGEST_SIZE", "check_dtype", "check_half_plan", "check_origin", "check_plan", "check_proof"]

LARGEST_SIZE = 2**18
"""The most entries of a latent, such as an image of 256×256×3: it takes a file of a few bytes to claim any number."""
ORTHOGONAL = 1e-6
"""How far a rotation times its transpose may be from 1."""
DIGEST = re.compile(r"[0-9a-f]{64}")


def check_dtype(name: Any) -> None:
    """Check the name of a plan's dtype: NumPy knows other names for the same, and other byte orders."""
    require(
        isinstance(name, str) and name in DTYPES,
        f"its dtype must be one of {', '.join(DTYPES)}. Received: {name!r:.40}",
    )


def check_plan(plan: Plan) -> None:
    """Check that a plan's shapes fit and that each of its steps is a bijection of rows [n, D].

    Raises:
        ValueError: It is not so; the text names the step.
    """
    for shape in (plan.latent_shape, plan.code_shape):
        check_shape(shape)
    size = prod(plan.latent_shape)
    require(size == prod(plan.code_shape), "a code must have as many entries as a latent")
    require(size <= LARGEST_SIZE, f"a latent must have at most {LARGEST_SIZE:,} entries. Received: {size:,}")
    require(isinstance(plan.steps, tuple), "its steps must be a list")
    for number, step in enumerate(plan.steps):
        try:
            with np.errstate(all="ignore"):
                check_step(step, plan)
        except ValueError as error:
            raise ValueError(f"step {number} ({type(step).__name__}): {error}") from error


def check_half_plan(plan: HalfPlan) -> None:
    """Check that a half's dense layers lead from its inputs to its outputs.

    Raises:
        ValueError: They do not.
    """
    for name, shape in (("input", plan.input_shape), ("output", plan.output_shape)):
        check_shape(shape)
        require(prod(shape) <= LARGEST_SIZE, f"an {name} must have at most {LARGEST_SIZE:,} entries")
    with np.errstate(all="ignore"):
        check_network(plan.network, prod(plan.input_shape), prod(plan.output_shape), plan.dtype)


def check_shape(shape: object) -> None:
    """Check the shape of a row."""
    require(is_shape(shape), f"shapes must hold 1 to {LARGEST_AXES} integers of 1 or more. Received: {shape!r:.40}")


def check_proof(proof: Proof) -> None:
    """Check the parts of a proof."""
    digest = proof.flow_digest
    require(
        digest is None or (isinstance(digest, str) and DIGEST.fullmatch(digest) is not None),
        f"flow_digest must be a SHA-256 in hexadecimal. Received: {digest!r:.80}",
    )
    for check in proof.checks if isinstance(proof.checks, tuple) else (None,):
        require(
            isinstance(check, Check)
            and is_text(check.name)
            and is_number(check.error, np.dtype(np.float64))
            and is_number(check.limit, np.dtype(np.float64)),
            f"checks must each have a name, and an error and a limit that are finite numbers. Received: {check!r:.200}",
        )


def check_origin(origin: Any) -> None:
    """Check what is told of the model that the plan came from."""
    require(isinstance(origin, Origin), "its origin must be an Origin")
    require(
        is_size(origin.layers, 0) and is_size(origin.parameters, 0),
        f"layers and parameters must be integers from 0 to {LARGEST_INTEGER}",
    )
    libraries = origin.libraries
    require(
        isinstance(libraries, Mapping) and all(is_text(text) for pair in libraries.items() for text in pair),
        f"libraries must map names to versions, printable texts of at most {LONGEST_TEXT} characters",
    )
    factors = origin.factors
    require(factors is None or (isinstance(factors, Mapping) and len(factors) > 0), "factors must map names to sizes")
    for name, size in (factors or {}).items():
        check_factor_name(name)
        require(is_size(size), f"the size of factor {name} must be an integer of 1 or more. Received: {size!r:.40}")


@singledispatch
def check_step(step: object, plan: Plan) -> None:
    """Check that a step is a bijection of the plan's rows."""
    raise ValueError(f"there is no such step for rows of {plan.size} columns. Received: {type(step).__name__}")


@check_step.register
def _(step: Gather, plan: Plan) -> None:
    indices = require_indices(step.indices, "indices")
    require(
        len(indices) == plan.size and np.array_equal(np.sort(indices), np.arange(plan.size)),
        f"indices must hold each of 0 … {plan.size - 1} once",
    )


@check_step.register
def _(step: Affine, plan: Plan) -> None:
    scale = require_floats(step.scale, (plan.size,), "scale", plan.dtype)
    require_floats(step.location, (plan.size,), "location", plan.dtype)
    require(bool(np.all(scale != 0)), f"scale must nowhere be 0 in {plan.dtype.name}")


@check_step.register
def _(step: Rotation, plan: Plan) -> None:
    block = require_block(step.matrix, plan)
    require_floats(step.matrix, (block, block), "matrix", plan.dtype)
    error = np.abs(step.matrix @ step.matrix.T - np.eye(block)).max()
    require(bool(error <= ORTHOGONAL), f"matrix must be orthogonal; it is off by {error:.2g}")


@check_step.register
def _(step: Linear, plan: Plan) -> None:
    block = require_block(step.matrix, plan)
    require_floats(step.matrix, (block, block), "matrix", plan.dtype)
    require_floats(step.inverse, (block, block), "inverse", plan.dtype)
    require(is_number(step.logdet, plan.dtype), f"logdet must be a finite number in {plan.dtype.name}")
    require((step.shift is None) == (step.unshift is None), "shift and unshift must come together")
    if step.shift is not None:
        require_floats(step.shift, (block,), "shift", plan.dtype)
        require_floats(step.unshift, (block,), "unshift", plan.dtype)


@check_step.register
def _(step: Coupling, plan: Plan) -> None:
    kept, changed = (require_indices(columns, "kept and changed") for columns in (step.kept, step.changed))
    for columns in (kept, changed):
        require(bool(np.all(np.diff(columns) > 0)), "kept and changed must be ascending")
    require(
        len(kept) + len(changed) == plan.size
        and np.array_equal(np.sort(np.concatenate([kept, changed])), np.arange(plan.size)),
        f"kept and changed must hold each of 0 … {plan.size - 1} once, together",
    )
    check_law(step.law, plan)
    check_network(step.network, len(kept), len(changed) * step.law.parameters, plan.dtype)


def check_law(law: object, plan: Plan) -> None:
    """Check a coupling law's numbers."""
    match law:
        case Additive():
            return
        case BoundedAffine(bound):
            require(is_positive(bound, plan.dtype), f"bound must be a finite number above 0 in {plan.dtype.name}")
        case Spline(bins, bound, share, slope):
            require(is_size(bins, 2), "bins must be an integer of 2 or more")
            require(
                all(is_positive(number, plan.dtype) for number in (bound, share, slope))
                and slope < 1
                and share * bins < 1,
                "the spline's numbers must be in range",
            )
        case _:
            raise ValueError(f"there is no such law. Received: {type(law).__name__}")


def check_network(network: object, inputs: int, outputs: int, dtype: np.dtype[np.floating[Any]]) -> None:
    """Check that dense layers lead from so many columns to so many."""
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
        require_floats(layer.kernel, (inputs, layer.bias.size), "kernel", dtype)
        require_floats(layer.bias, (layer.bias.size,), "bias", dtype)
        inputs = layer.bias.size
    require(inputs == outputs, f"the network must give {outputs} numbers. Received: {inputs}")
