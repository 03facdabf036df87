"""Axes of a tensor: check them, flatten a tensor along them, put it back, and fit smaller arrays to them.

Axes count from 0, the batch axis; they are ascending and need not be contiguous.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import prod
from operator import index
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from gyoza.inference.plan import Indices

__all__ = [
    "as_floats",
    "as_integers",
    "broadcast_shape",
    "check_input_shape",
    "check_shape_and_axes",
    "concrete",
    "join_axes",
    "joined_indices",
    "known_sizes",
    "places_per_row",
    "split_axes",
    "spread",
    "zeros_per_row",
]


def as_integers(values: Iterable[Any], name: str) -> list[int]:
    """Return values as ints; nothing is rounded, and True is no size.

    Args:
        values: Integers of any kind.
        name: What they are, for the message.

    Returns:
        As many ints.

    Raises:
        TypeError: One of them is no integer.
    """
    given = list(values)
    try:
        found = [index(value) for value in given]
    except TypeError:
        found = []
    if len(found) != len(given) or any(isinstance(value, bool) for value in given):
        raise TypeError(f"{name} must hold integers only. Received: {name}={given}")
    return found


def check_shape_and_axes(shape: Sequence[int], axes: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return a shape and the axes that it lies along as lists of int.

    Args:
        shape: The size along each axis, all at least 1.
        axes: As many axes, ascending, at least 1 (0 is the batch axis).

    Returns:
        Both as lists.

    Raises:
        ValueError: One of these does not hold.
        TypeError: An entry is no integer.
    """
    sizes, places = as_integers(shape, "shape"), as_integers(axes, "axes")
    if not places or places[0] < 1 or any(b <= a for a, b in pairwise(places)):
        raise ValueError(
            f"axes must be ascending integers from 1 on, since axis 0 is the batch. Received: axes={places}"
        )
    if len(sizes) != len(places):
        raise ValueError(f"shape and axes must have the same length. Received: shape={sizes}, axes={places}")
    if min(sizes) < 1:
        raise ValueError(f"shape must hold sizes of at least 1. Received: shape={sizes}")
    return sizes, places


def check_input_shape(input_shape: Sequence[int | None], shape: Sequence[int], axes: Sequence[int], name: str) -> None:
    """Check that an input has a shape along axes; sizes that are not known yet (None) pass.

    Args:
        input_shape: The input's whole shape, with the batch axis.
        shape: What it must be along ``axes``.
        axes: The axes.
        name: Whose input it is, for the message.

    Raises:
        ValueError: The input has too few axes or another size along one of them.
    """
    if len(input_shape) <= axes[-1]:
        raise ValueError(f"The input of {name} must have an axis {axes[-1]}. Received: shape={tuple(input_shape)}")
    along = [input_shape[axis] for axis in axes]
    if any(found not in (None, size) for found, size in zip(along, shape, strict=True)):
        raise ValueError(
            f"The input of {name} must have the shape {list(shape)} along the axes {list(axes)}. "
            f"Received: shape={tuple(input_shape)}"
        )


def as_floats(x: Any, dtype: str) -> Any:
    """Return ``x`` (array, tensor or symbolic tensor) as a tensor of ``dtype``."""
    tensor = x if isinstance(x, keras.KerasTensor) else ops.convert_to_tensor(x)
    return tensor if keras.backend.standardize_dtype(tensor.dtype) == dtype else ops.cast(tensor, dtype)


def concrete(tensor: Any) -> NDArray[Any] | None:
    """Return the values of a tensor; None in traced code, where it has none yet."""
    try:
        return np.asarray(ops.convert_to_numpy(tensor))
    except (NotImplementedError, TypeError):  # What TensorFlow raises, and JAX.
        return None


def zeros_per_row(x: Any) -> Any:
    """Return zeros [batch] of the dtype of ``x`` [batch, …], whatever values ``x`` holds."""
    return ops.zeros_like(x[(slice(None), *[0] * (len(x.shape) - 1))])


def places_per_row(x: Any, axes: Sequence[int], dtype: str) -> Any:
    """Return how many entries of each row of ``x`` [batch, …] lie along the axes other than ``axes``: [batch]."""
    places = x[tuple(0 if axis in axes else slice(None) for axis in range(len(x.shape)))]
    return ops.sum(ops.ones_like(places, dtype=dtype), axis=tuple(range(1, len(places.shape))))


def join_axes(x: Any, axes: Sequence[int], shape: Sequence[int]) -> Any:
    """Flatten a tensor along axes.

    Args:
        x: [batch, …].
        axes: The axes to flatten.
        shape: The sizes along them.

    Returns:
        [batch, the other axes in their order, D], D being the product of ``shape``.
    """
    rank = len(x.shape)
    order = [axis for axis in range(rank) if axis not in axes] + list(axes)
    if order != list(range(rank)):
        x = ops.transpose(x, order)
    if len(axes) == 1:
        return x
    kept = rank - len(axes)
    return ops.reshape(x, [*known_sizes(x)[:kept], prod(shape)])


def split_axes(x: Any, axes: Sequence[int], shape: Sequence[int]) -> Any:
    """Undo ``join_axes``.

    Args:
        x: [batch, the other axes in their order, D].
        axes: The axes that were flattened.
        shape: The sizes along them.

    Returns:
        [batch, …], the tensor that ``join_axes`` was given.
    """
    if len(axes) > 1:
        x = ops.reshape(x, [*known_sizes(x)[:-1], *shape])
    rank = len(x.shape)
    order = [axis for axis in range(rank) if axis not in axes] + list(axes)
    return x if order == list(range(rank)) else ops.transpose(x, np.argsort(order).tolist())


def known_sizes(x: Any) -> list[Any]:
    """Return the shape of a tensor, each size an int where it is known; −1 where a symbolic tensor does not know it."""
    return [-1 if size is None else size for size in ops.shape(x)]


def broadcast_shape(rank: int, axes: Sequence[int], shape: Sequence[int]) -> list[int]:
    """Return the shape of ``rank`` axes that has ``shape`` along ``axes`` and 1 elsewhere."""
    sizes = dict(zip(axes, shape, strict=True))
    return [sizes.get(axis, 1) for axis in range(rank)]


def spread(values: NDArray[Any], axes: Sequence[int], shape: Sequence[int], input_shape: Sequence[int]) -> NDArray[Any]:
    """Repeat values given along axes over the other axes of a latent.

    Args:
        values: As many entries as ``shape`` has.
        axes: The axes along which the values lie, counted with the batch axis.
        shape: The sizes along them.
        input_shape: The shape of one latent, without the batch axis.

    Returns:
        One value for each entry of the latent flattened in C order.
    """
    aligned = np.reshape(values, broadcast_shape(len(input_shape) + 1, axes, shape)[1:])
    return np.broadcast_to(aligned, tuple(input_shape)).ravel()


def joined_indices(axes: Sequence[int], input_shape: Sequence[int]) -> Indices:
    """Return where the entries of one latent go when it is flattened along axes.

    Args:
        axes: The axes, counted with the batch axis.
        input_shape: The shape of one latent, without the batch axis.

    Returns:
        [others, D]: the index, in the latent flattened in C order, of each entry of ``join_axes``.
    """
    positions = np.arange(prod(input_shape), dtype=np.intp).reshape(tuple(input_shape))
    moved = np.moveaxis(positions, [axis - 1 for axis in axes], range(-len(axes), 0))
    return moved.reshape(-1, prod(input_shape[axis - 1] for axis in axes))
