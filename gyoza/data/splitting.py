"""Which rows to train on and which to validate on. No Keras here."""

import numpy as np

from gyoza.data.checks import checked_integer
from gyoza.inference.plan import Indices

__all__ = ["split_rows"]


def split_rows(count: int, validation: float = 0.1, *, seed: int = 0) -> tuple[Indices, Indices]:
    """Split rows at random into those to train on and those to validate on.

    Pairs drawn from the ones never hold one of the others. Rows that belong together, such as views of one object, are
    not kept together.

    Args:
        count: n, how many rows there are, at least 4.
        validation: The part to validate on, between 0 and 1. Either side gets at least 2 rows, enough for a pair.
        seed: An integer from 0 on; the same one gives the same split.

    Returns:
        The rows to train on and the rows to validate on, ascending; each of 0 … n−1 is in one of them.

    Raises:
        TypeError: ``count`` or ``seed`` is no integer.
        ValueError: ``count``, ``validation`` or ``seed`` is out of range.

    Example:
        >>> split_rows(6, 1 / 3, seed=1)
        (array([1, 2, 3, 5]), array([0, 4]))
    """
    count, seed = checked_integer("count", count, 4), checked_integer("seed", seed, 0)
    if not 0 < validation < 1:
        raise ValueError(
            f"validation must lie between 0 and 1, both excluded; it is a part of the rows. "
            f"Received: validation={validation}"
        )
    held_out = min(max(round(count * validation), 2), count - 2)
    rows = np.random.default_rng(seed).permutation(count)
    return np.sort(rows[held_out:]), np.sort(rows[:held_out])
