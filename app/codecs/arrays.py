"""Arrays as an engine takes them: of the flow's dtype, every entry finite."""

from typing import Any

import numpy as np

from app.tensors import TensorError
from gyoza.inference.plan import Floats

MAX_AXES = 32


def finite_array(array: Floats, dtype: np.dtype[np.floating[Any]]) -> Floats:
    """Cast an array; one that already is of ``dtype``, and aligned, is used as it is.

    Args:
        array: [n, …], in any float dtype.
        dtype: The flow's.

    Returns:
        [n, …] in ``dtype``.

    Raises:
        TensorError: An entry is not finite in ``dtype``; the index is that of the first.
    """
    cast = casted(array, dtype)
    finite = np.isfinite(cast)
    if not finite.all():
        index = tuple(map(int, np.argwhere(~finite)[0]))
        raise TensorError(f"must be finite in {dtype}. Received: {array[index]}", index)
    return cast


def casted(array: Floats, dtype: np.dtype[np.floating[Any]]) -> Floats:
    """Cast an array; what is too large for ``dtype`` becomes infinite without a warning."""
    if array.dtype == dtype:
        return array if array.flags.aligned else array.copy()
    with np.errstate(over="ignore"):
        return array.astype(dtype)
