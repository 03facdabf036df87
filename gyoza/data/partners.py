"""Partners for rows: another row of the same class, or one whose numbers correlate. No Keras here."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gyoza.data.scores import normal_scores
from gyoza.inference.plan import Floats, Indices

__all__ = ["ClassPartners", "NumberPartners", "Partners"]


class Partners(Protocol):
    """Draws pairs of rows that share one factor."""

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
        """Draw the rows a [count] and b [count] of pairs that share the factor, b never a itself."""

    def equal(self, one: Indices, two: Indices) -> NDArray[np.bool_]:
        """Return which of pairs [n] of any rows share the factor by chance."""


class ClassPartners:
    """Pairs of rows of one class.

    Args:
        name: What the labels are called, for the message.
        classes: [n].

    Raises:
        ValueError: No two rows have the same class.
    """

    def __init__(self, name: str, classes: NDArray[Any]) -> None:
        """Sort the rows by class, without those whose class has no other row."""
        _, codes, counts = np.unique(classes, return_inverse=True, return_counts=True)
        if counts.max() == 1:
            raise ValueError(
                f"{name} must have a class with at least two rows, for pairs to share it; give floats if the labels are "
                f"numbers, or add rows. Received: {len(classes)} rows, each of a class of its own"
            )
        # Small integers, which NumPy sorts in linear time.
        self._codes = codes.astype(np.min_scalar_type(len(counts)))
        self._counts = np.where(counts > 1, counts, 0)
        self._starts = np.cumsum(self._counts) - self._counts
        order = np.argsort(self._codes, kind="stable")
        self._members = order[self._counts[self._codes[order]] > 0]

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
        """Draw a from all rows whose class has another row, and b from those other rows, each equally likely."""
        place = rng.integers(len(self._members), size=count)
        one = self._members[place]
        start, size = self._starts[self._codes[one]], self._counts[self._codes[one]]
        # A step of 1 to size - 1 round the class leads to every member but a itself.
        step = rng.integers(1, size)
        return one, self._members[start + (place - start + step) % size]

    def equal(self, one: Indices, two: Indices) -> NDArray[np.bool_]:
        """Return whether the classes are the same."""
        return np.asarray(self._codes[one] == self._codes[two])


class NumberPartners:
    """Pairs of rows whose normal scores correlate.

    Of a row with the scores g the partner is the row whose scores are nearest to ρ g + √(1 − ρ²) ε, ε normal with the
    correlations that the columns of the scores have among themselves. So b is distributed as a is, and each of its
    columns correlates with a's by ρ: the Gaussian copula. With several columns that is exact where the scores are
    jointly normal and rows are many, for else no row may be near: of .95, three independent columns keep .936 with 1,000
    rows and .947 with 10,000.

    Args:
        numbers: float64 [n, d].
        correlation: ρ.
        rng: What breaks ties.

    Raises:
        ImportError: d > 1 and scipy is not installed.
    """

    def __init__(self, numbers: Floats, correlation: float, rng: np.random.Generator) -> None:
        """Make the scores and what finds the nearest."""
        self._correlation = correlation
        self._scores = normal_scores(numbers, rng)
        size = numbers.shape[1]
        self._mixing = square_root(np.corrcoef(self._scores, rowvar=False).reshape(size, size))
        self._neighbours: Neighbours = Line(self._scores[:, 0]) if size == 1 else Tree(self._scores)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
        """Draw a from all rows, and b by its scores."""
        one = rng.integers(len(self._scores), size=count)
        noise = rng.standard_normal((count, self._scores.shape[1])) @ self._mixing
        rho = self._correlation
        target = rho * self._scores[one] + np.sqrt((1 - rho) * (1 + rho)) * noise
        return one, self._neighbours.nearest(target, one)

    def equal(self, one: Indices, two: Indices) -> NDArray[np.bool_]:
        """Return that none is: numbers that come near by chance are what no correlation means."""
        return np.zeros(len(one), bool)


class Neighbours(Protocol):
    """Finds the rows nearest to given scores."""

    def nearest(self, targets: Floats, rows: Indices) -> Indices:
        """Return the row [m] nearest to each of the targets [m, d] that is not the one of ``rows`` [m]."""


class Line:
    """Nearest rows by one score each, without scipy.

    Args:
        scores: [n], all different.
    """

    def __init__(self, scores: Floats) -> None:
        """Sort the rows."""
        self._order = np.argsort(scores)
        self._sorted = scores[self._order]
        self._places = np.empty_like(self._order)
        self._places[self._order] = np.arange(len(scores))

    def nearest(self, targets: Floats, rows: Indices) -> Indices:
        """Search the sorted scores from which the own one is thought away."""
        target, own = targets[:, 0], self._places[rows]
        above = np.searchsorted(self._sorted, target) - (self._sorted[own] < target)
        pair = np.clip([above - 1, above], 0, len(self._sorted) - 2)
        pair += pair >= own
        distance = np.abs(self._sorted[pair] - target)
        return np.asarray(self._order[np.where(distance[0] <= distance[1], *pair)])


class Tree:
    """Nearest rows by several scores each.

    Args:
        scores: [n, d].

    Raises:
        ImportError: scipy is not installed.
    """

    def __init__(self, scores: Floats) -> None:
        """Build the tree."""
        try:
            from scipy.spatial import cKDTree  # noqa: PLC0415 - an optional extra.
        except ImportError as error:
            raise ImportError(
                "Factors of several numbers a row need scipy. Install the extra metrics of gyoza-serve: "
                f"pip install '.[metrics]' in the checkout. Received: {type(error).__name__}: {error}"
            ) from error
        self._tree = cKDTree(scores)

    def nearest(self, targets: Floats, rows: Indices) -> Indices:
        """Take the second nearest where the nearest is the row itself."""
        _, found = self._tree.query(targets, k=2)
        return np.asarray(np.where(found[:, 0] == rows, found[:, 1], found[:, 0]))


def square_root(matrix: Floats) -> Floats:
    """Return the symmetric root of a positive semidefinite matrix [d, d], singular ones included."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)
