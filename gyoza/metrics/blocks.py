"""Blocks of a code: cut it into them, join them again, swap one between rows."""

from collections.abc import Mapping
from itertools import accumulate
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gyoza.metrics.arrays import Floats, Integers, as_rows

__all__ = ["Blocks", "as_blocks", "join", "split", "swap"]

Blocks: TypeAlias = Mapping[str, Floats]
"""The block [n, size] of each factor by name, the residual's included, in the order of the code."""


def split(codes: ArrayLike, sizes: Mapping[str, int]) -> dict[str, Floats]:
    """Cut codes into blocks.

    Args:
        codes: [n, D].
        sizes: Block name to size, in the order of the code; D in all.

    Returns:
        Block name to [n, size].

    Raises:
        ValueError: The codes have another shape than [n, D].

    Example:
        >>> {name: block.shape for name, block in split(np.zeros((2, 5)), {"residual": 3, "color": 2}).items()}
        {'residual': (2, 3), 'color': (2, 2)}
    """
    array, total = np.asarray(codes), sum(sizes.values())
    if array.ndim != 2 or array.shape[1] != total:
        raise ValueError(
            f"codes must have the shape [n, {total}] for sizes={dict(sizes)}. Received: codes.shape={array.shape}"
        )
    parts = np.split(array, list(accumulate(sizes.values()))[:-1], axis=1)
    return dict(zip(sizes, parts, strict=True))


def join(blocks: Blocks) -> Floats:
    """Undo ``split``.

    Args:
        blocks: Block name to [n, size], in the order of the code.

    Returns:
        Codes [n, D].

    Example:
        >>> join({"residual": np.zeros((1, 2)), "color": np.ones((1, 1))})
        array([[0., 0., 1.]])
    """
    return np.concatenate(list(blocks.values()), axis=1)


def swap(blocks: Blocks, factor: str, donors: Integers) -> dict[str, Floats]:
    """Give each row the block of one factor that another row has.

    Args:
        blocks: Block name to [n, size].
        factor: Whose block is taken from the donors.
        donors: [n], for each row the row whose block it gets.

    Returns:
        All blocks; those of the other factors are the very arrays that were given.

    Raises:
        ValueError: There is no such block, or the donors are not n rows of 0 … n − 1.
        TypeError: The donors are no integers.

    Example:
        >>> swap({"color": np.array([[0.1], [0.9]])}, "color", np.array([1, 0]))
        {'color': array([[0.9],
               [0.1]])}
    """
    if factor not in blocks:
        raise ValueError(f"factor must name one of the blocks. Received: factor={factor!r}, blocks={list(blocks)}")
    return {**blocks, factor: blocks[factor][as_donors(donors, len(blocks[factor]))]}


def as_donors(donors: ArrayLike, count: int) -> Integers:
    """Return one row of ``count`` for each of ``count`` rows; a negative one would silently count from the end."""
    rows = np.asarray(donors)
    if rows.dtype.kind not in "iu":
        raise TypeError(f"donors must hold integers. Received: donors.dtype={rows.dtype}")
    if rows.shape != (count,):
        raise ValueError(f"donors must have the shape [{count}], one for each row. Received: donors.shape={rows.shape}")
    if count and (rows.min() < 0 or rows.max() >= count):
        raise ValueError(f"donors must be rows of 0 … {count - 1}. Received: {rows.min()} … {rows.max()}")
    return rows


def as_blocks(blocks: Mapping[str, ArrayLike], name: str) -> dict[str, NDArray[np.float64]]:
    """Return blocks as float64.

    Args:
        blocks: At least one, each [n, size].
        name: What they are, for the message.

    Raises:
        TypeError: A block holds no real numbers.
        ValueError: There is no block, one has another shape or other rows, or holds what is not finite.
    """
    if not blocks:
        raise ValueError(f"{name} must hold at least one block. Received: {name}={{}}")
    found = {key: as_rows(block, f"{name}[{key!r}]") for key, block in blocks.items()}
    counts = {key: len(block) for key, block in found.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"{name} must all have the same number of rows. Received: rows={counts}")
    return found
