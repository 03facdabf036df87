"""How alike the blocks of two codes are that share a factor."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gyoza.metrics.arrays import Floats, as_rows
from gyoza.metrics.blocks import as_blocks
from gyoza.metrics.labels import check_own_blocks
from gyoza.metrics.tables import markdown

__all__ = ["PairCorrelations", "pair_correlation", "pair_correlations"]


@dataclass(frozen=True, eq=False)
class PairCorrelations:
    """The correlation of each block over pairs that share one factor.

    Where blocks are as they should be, this is the ρ of the training where the shared factor meets its own block, and 0
    elsewhere. ``print(correlations)`` shows a table.
    """

    factors: tuple[str, ...]
    """F names of what the pairs share."""
    blocks: tuple[str, ...]
    """K names."""
    values: Floats
    """[F, K] in −1..1, the mean over the entries of the block."""

    @property
    def own(self) -> dict[str, float]:
        """For each factor the correlation of its own block over pairs that share it."""
        columns = [self.blocks.index(factor) for factor in self.factors]
        return {
            factor: float(row[column]) for factor, row, column in zip(self.factors, self.values, columns, strict=True)
        }

    def table(self) -> str:
        """Return a Markdown table, readable as it is: a row per shared factor, a column per block."""
        rows = zip(self.factors, self.values, strict=True)
        return markdown(["shared", *self.blocks], ([name, *(f"{value:.3f}" for value in row)] for name, row in rows))

    def __str__(self) -> str:
        return self.table()


def pair_correlation(a: ArrayLike, b: ArrayLike) -> Floats:
    """Correlate the two halves of pairs, entry by entry.

    Args:
        a: One block (or code) of each pair, [n, size].
        b: The other one's, [n, size].

    Returns:
        Pearson's correlation of each entry [size]; its mean says it for the block. An entry that does not vary is
        correlated with nothing: 0.

    Raises:
        TypeError: One of the two holds no real numbers.
        ValueError: The two are not of one shape [n, size], or not finite.

    Example:
        >>> a = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]])
        >>> pair_correlation(a, a * [1, -1]).round(6)
        array([ 1., -1.])
    """
    one, two = as_rows(a, "a"), as_rows(b, "b")
    if one.shape != two.shape:
        raise ValueError(f"a and b must have the same shape. Received: a.shape={one.shape}, b.shape={two.shape}")
    one, two = one - one.mean(axis=0), two - two.mean(axis=0)
    covariance = (one * two).sum(axis=0)
    scale = np.sqrt((one**2).sum(axis=0) * (two**2).sum(axis=0))
    return np.asarray(np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0))


def pair_correlations(
    pairs: Mapping[str, tuple[Mapping[str, ArrayLike], Mapping[str, ArrayLike]]],
) -> PairCorrelations:
    """Correlate every block over pairs, for each factor that pairs share.

    Args:
        pairs: Factor name to the blocks (name to [n, size]) of both halves of pairs that share that factor alone.

    Returns:
        The mean correlation of each block, for each shared factor.

    Raises:
        TypeError: Blocks hold no real numbers.
        ValueError: There are no pairs, blocks differ in name or shape, are not finite, or a factor has no block.

    Example:
        >>> one, two = np.random.default_rng(0).normal(size=(2, 1000, 1))
        >>> shared = {"residual": one, "color": one}, {"residual": two, "color": one}
        >>> print(pair_correlations({"color": shared}))
        | shared | residual | color |
        | :----- | -------: | ----: |
        | color  |    0.059 | 1.000 |
    """
    if not pairs:
        raise ValueError("pairs must hold the pairs of at least one shared factor. Received: pairs={}")
    rows = {factor: _correlate(*halves, factor) for factor, halves in pairs.items()}
    names = [tuple(row) for row in rows.values()]
    if len(set(names)) > 1:
        raise ValueError(f"pairs must hold the same blocks for every factor. Received: blocks={names}")
    check_own_blocks(rows, names[0])
    return PairCorrelations(tuple(rows), names[0], np.array([list(row.values()) for row in rows.values()]))


def _correlate(one: Mapping[str, ArrayLike], two: Mapping[str, ArrayLike], factor: str) -> dict[str, float]:
    """The mean correlation of each block over pairs that share one factor."""
    a, b = as_blocks(one, f"pairs[{factor!r}][0]"), as_blocks(two, f"pairs[{factor!r}][1]")
    if list(a) != list(b):
        raise ValueError(
            "Both halves of pairs must have the same blocks in the same order. "
            f"Received: pairs[{factor!r}] with blocks={list(a)} and {list(b)}"
        )
    return {name: float(pair_correlation(a[name], b[name]).mean()) for name in a}
