"""Codes that no latents were given for: samples, and traversals."""

from collections.abc import Sequence
from functools import partial
from math import prod
from secrets import randbelow
from typing import Any

import numpy as np

from app.api.call import Call, Fields, beside
from app.errors import FieldError, InvalidInput
from app.primitives import Primitive
from app.schemas import LARGEST_SEED, Axis, SampleRequest, TraverseRequest
from app.tensors import FactorLayout, check_results, check_shape
from gyoza.inference.plan import Floats

BYTES_A_DRAW = 32
"""Drawing a number takes as long as copying so many bytes a few times."""


async def sample(call: Call, body: SampleRequest) -> Fields:
    """Draw codes from N(0, I), put factors that are held over them, and invert."""
    flow, held = call.model.flow, held_factors(call, body)
    call.check_rows(body.count)
    call.check_size("codes", body.count, flow.code_shape)
    call.check_outputs(body.count)
    call.check_made(body.count, flow.code_shape, flow.latent_shape)
    seed = drawn_seed() if body.seed is None else body.seed
    shape = (body.count, *flow.code_shape)
    codes = await beside(BYTES_A_DRAW * prod(shape), partial(draws, seed, shape, flow.dtype))
    for columns, values in held:
        codes[:, columns] = values
    latents = await call.inverted(codes, "factors")
    *_, likelihood = await call.run(Primitive.ENCODE, latents)
    check_results("factors", flow.dtype, likelihood)
    return {
        "seed": seed,
        "latents": latents,
        "codes": codes,
        "log_likelihood": likelihood,
        **await call.outputs(latents, "factors"),
    }


def held_factors(call: Call, body: SampleRequest) -> list[tuple[slice, Floats]]:
    """Check the factors that are held: -> the columns of each, and its values."""
    held = []
    for name, values in body.factors.items():
        factor = call.layout.find(name, f"factors.{name}")
        check_shape(values, (factor.size,), f"factors.{name}", None if len(values) == 1 else body.count)
        held.append((factor.columns, values))
    return held


async def traverse(call: Call, body: TraverseRequest) -> Fields:
    """Walk from one latent along one axis, or over the grid of two."""
    flow, layout, latents = call.model.flow, call.layout, body.latents
    check_shape(latents, flow.latent_shape, "latents", 1)
    columns = columns_of(layout, body.axes)
    rows = prod(axis.steps for axis in body.axes)
    call.check_rows(rows)
    call.check_size("latents", rows, flow.latent_shape)
    call.check_outputs(rows)
    call.check_made(rows, flow.latent_shape)
    codes, _, likelihood = await call.run(Primitive.ENCODE, latents)
    check_results("latents", flow.dtype, likelihood)
    positions = grid(body.axes, flow.dtype)
    moved = np.repeat(codes, rows, axis=0)
    moved[:, columns] = positions
    found = await call.inverted(moved, "axes")
    return {"positions": list(positions), "latents": found, **await call.outputs(found, "axes")}


def columns_of(layout: FactorLayout, axes: Sequence[Axis]) -> list[int]:
    """Return the column of a code that each axis is.

    Raises:
        InvalidInput: A factor is unknown, a dimension is beyond it, or two axes are one.
    """
    columns: list[int] = []
    for index, axis in enumerate(axes):
        factor = layout.find(axis.factor, f"axes.{index}.factor")
        field = f"axes.{index}.dimension"
        if axis.dimension >= factor.size:
            raise InvalidInput(
                FieldError(
                    field,
                    f"must be one of the dimensions 0 … {factor.size - 1} of {factor.name}. Received: {axis.dimension}",
                )
            )
        if factor.start + axis.dimension in columns:
            raise InvalidInput(
                FieldError(field, "must be another one than that of the axis before. Received: the same")
            )
        columns.append(factor.start + axis.dimension)
    return columns


def grid(axes: Sequence[Axis], dtype: np.dtype[Any]) -> Floats:
    """Return the positions [rows, axes] of all combinations of the axes' values, in C order.

    Raises:
        InvalidInput: A value is not finite in ``dtype``.
    """
    with np.errstate(all="ignore"):
        values = [np.linspace(axis.start, axis.end, axis.steps).astype(dtype) for axis in axes]
    for index, (axis, found) in enumerate(zip(axes, values, strict=True)):
        if not np.isfinite(found).all():
            field = f"axes.{index}"
            text = f"its values must be finite in {dtype}. Received: from {axis.start} to {axis.end}"
            raise InvalidInput(FieldError(field, text))
    return np.stack([each.ravel() for each in np.meshgrid(*values, indexing="ij")], axis=1)


def drawn_seed() -> int:
    """Draw a seed."""
    return randbelow(LARGEST_SEED + 1)


def draws(seed: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Floats:
    """Draw the first numbers of a frozen stream that NumPy promises never to change, [*shape] in C order."""
    return np.random.RandomState(seed).standard_normal(shape).astype(dtype)
