"""Normal scores: numbers as the normal quantiles of their ranks, whatever their own distribution. No Keras here."""

from statistics import NormalDist

import numpy as np

from gyoza.inference.plan import Floats, Indices

__all__ = ["normal_quantiles", "normal_scores"]


def normal_scores(values: Floats, rng: np.random.Generator) -> Floats:
    """Replace the numbers of each column by normal scores: Φ⁻¹((rank − ½) / n), rank 1 for the least.

    Equal numbers get different scores, in random order. So every column has the very same scores, and its distribution
    never matters; averaging the ranks of ties would give columns that are not normal where ties are many.

    Args:
        values: [n, d], finite.
        rng: What breaks ties.

    Returns:
        The scores, float64 [n, d].

    Example:
        >>> rng = np.random.default_rng(0)
        >>> normal_scores(np.array([[300.0], [1.0], [2.0]]), rng).round(2).tolist()
        [[0.97], [-0.97], [0.0]]
    """
    quantiles = normal_quantiles(len(values))
    scores = np.empty(values.shape)
    for column, numbers in enumerate(values.T):
        scores[random_order(numbers, rng), column] = quantiles
    return scores


def normal_quantiles(count: int) -> Floats:
    """Return Φ⁻¹((i + ½) / n) for i = 0 … n−1, ascending and exactly odd about 0.

    Args:
        count: n.

    Returns:
        float64 [n].
    """
    # Python's own quantile is exact and written in C; half of the values suffices.
    chances = ((np.arange(count // 2) + 0.5) / count).tolist()
    lower = np.fromiter(map(NormalDist().inv_cdf, chances), float, count // 2)
    return np.concatenate([lower, np.zeros(count % 2), -lower[::-1]])


def random_order(numbers: Floats, rng: np.random.Generator) -> Indices:
    """Return the rows of numbers [n] from the least to the largest, equal ones in random order."""
    shuffled = rng.permutation(len(numbers))
    return np.asarray(shuffled[np.argsort(numbers[shuffled], kind="stable")])
