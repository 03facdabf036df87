"""Checked arrays: what every metric asks of its numbers before it computes."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Floats", "Integers", "as_numbers", "as_rows"]

Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.integer[Any]]


def as_numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return real, finite numbers as float64.

    Args:
        values: Of any shape.
        name: What they are, for the message.

    Raises:
        TypeError: They are no real numbers.
        ValueError: One of them is not finite.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold real numbers. Received: {name}.dtype={array.dtype}")
    if bad := np.argwhere(~np.isfinite(array)).tolist():
        raise ValueError(
            f"{name} must hold finite numbers only; leave out such rows. "
            f"Received: {name}{bad[0]}={array[tuple(bad[0])]} ({len(bad)} in all)"
        )
    return array.astype(np.float64)


def as_rows(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return real, finite numbers [n, size], n and size at least 1, as float64.

    Args:
        values: Two axes.
        name: What they are, for the message.

    Raises:
        TypeError: They are no real numbers.
        ValueError: The shape is another one, or one of them is not finite.
    """
    rows = as_numbers(values, name)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"{name} must have the shape [n, size], both at least 1. Received: {name}.shape={rows.shape}")
    return rows
