"""Arrays as a call takes them: of real numbers, a row of them at least."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Floats", "as_rows", "as_tensor"]

Floats: TypeAlias = NDArray[np.floating[Any]]
SENT = frozenset({2, 4, 8})
"""Sizes of the floats, in bytes, that the service reads."""


def as_tensor(values: ArrayLike, name: str) -> Floats:
    """Make an array of floats that the service reads; float16, float32 and float64 stay what they are.

    Args:
        values: Real numbers; integers become float64. Whether they are finite is left to the service.
        name: What to call them in an error.

    Returns:
        An array of the same shape, the same one where its dtype allows.

    Raises:
        TypeError: They are no real numbers.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise TypeError(
            f"{name} must be real numbers, such as an array of float32. Received: dtype={array.dtype}. Cast them first, "
            "such as by .astype(np.float32)."
        )
    if array.dtype.kind == "f" and array.itemsize in SENT:
        return array
    return array.astype(np.float64)


def as_rows(values: ArrayLike, name: str) -> Floats:
    """Make an array [n, …] with at least one row.

    Args:
        values: [n, …]. One row alone is [1, …] too: an array of one axis is refused, since nobody can tell whether it is
            one row or many rows of one number.
        name: What to call them in an error.

    Returns:
        [n, …].

    Raises:
        TypeError: They are no real numbers.
        ValueError: There is no row, or no axis for rows.

    Example:
        >>> as_rows([[1, 2, 3]], "latents").shape
        (1, 3)
    """
    array = as_tensor(values, name)
    if array.ndim < 2:
        raise ValueError(
            f"{name} must have the shape [n, …], a row for each. Received: shape={array.shape}. Send one row as "
            f"{name}[None]."
        )
    if not array.size:
        raise ValueError(f"{name} must hold at least one row and one number in it. Received: shape={array.shape}")
    return array
