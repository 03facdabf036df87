"""What must hold of the values in a plan's file, whatever they are for."""

import numpy as np
from numpy.typing import NDArray

from gyoza.inference.plan import Floats, Plan

__all__ = [
    "DTYPES",
    "LARGEST_AXES",
    "LARGEST_INTEGER",
    "LONGEST_TEXT",
    "is_number",
    "is_positive",
    "is_shape",
    "is_size",
    "is_text",
    "require",
    "require_block",
    "require_floats",
    "require_indices",
]

DTYPES = ("float32", "float64")
LARGEST_AXES = 16
"""The most axes of one latent."""
LARGEST_INTEGER = 2**53 - 1
"""The largest that every reader of JSON gets right."""
LONGEST_TEXT = 200


def require(holds: bool, rule: str) -> None:
    """Refuse what does not hold."""
    if not holds:
        raise ValueError(rule)


def require_floats(array: object, shape: tuple[int, ...], name: str, dtype: np.dtype[np.floating]) -> Floats:
    """Return an array in the dtype that it will be used in; refuse what is no array of finite floats of a shape."""
    if not isinstance(array, np.ndarray) or array.dtype.name not in DTYPES or array.shape != shape:
        received = f"{array.dtype}, {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(
            f"{name} must be an array of {' or '.join(DTYPES)} of the shape {list(shape)}. Received: {received}"
        )
    found = array.astype(dtype, copy=False)
    require(bool(np.isfinite(found).all()), f"{name} must be finite in {dtype.name}")
    return found


def require_indices(array: object, name: str) -> NDArray[np.integer]:
    """Return a list of integers; refuse what is none."""
    if not isinstance(array, np.ndarray) or array.dtype.kind != "i" or array.ndim != 1:
        raise ValueError(f"{name} must be integers, in a row. Received: {getattr(array, 'dtype', array)!s:.40}")
    return array


def require_block(matrix: object, plan: Plan) -> int:
    """Return how many columns a matrix acts on at once; refuse one that does not divide rows into such."""
    count = matrix.shape[0] if isinstance(matrix, np.ndarray) and matrix.ndim == 2 else 0
    require(count > 0 and plan.size % count == 0, f"matrix must be square, and its size divide {plan.size}")
    return count


def is_shape(value: object) -> bool:
    """Whether a value is a tuple of sizes."""
    return isinstance(value, tuple) and 0 < len(value) <= LARGEST_AXES and all(map(is_size, value))


def is_size(value: object, least: int = 1) -> bool:
    """Whether a value is an integer of ``least`` or more, and no larger than ``LARGEST_INTEGER``."""
    return type(value) is int and least <= value <= LARGEST_INTEGER


def is_number(value: object, dtype: np.dtype[np.floating]) -> bool:
    """Whether a value is a number that is finite in a dtype."""
    largest = float(np.finfo(dtype).max)
    return type(value) in {int, float} and -largest <= value <= largest  # type: ignore[operator]


def is_positive(value: object, dtype: np.dtype[np.floating]) -> bool:
    """Whether a value is a number that is finite and above 0 in a dtype."""
    return is_number(value, dtype) and bool(dtype.type(value) > 0)  # type: ignore[arg-type]


def is_text(value: object) -> bool:
    """Whether a value is a text that can be shown: not empty, not long, of printable characters only."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT and value.isprintable()
