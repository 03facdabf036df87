"""Nearest neighbours, in NumPy alone."""

import numpy as np

from gyoza.inference.plan import Indices
from gyoza.metrics.arrays import Floats

__all__ = ["NearestNeighbours"]

ENTRIES = 1_000_000
"""How many distances are held at once."""
ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""Distances that differ by less than this, times size and squared norms, are the same: rounding makes as much."""


class NearestNeighbours:
    """The nearest of known rows, weighted by the inverse of their distance.

    Rows as near as the last neighbour are neighbours too, so that the order of the rows never matters. Where some are
    in the very place of the query, these alone count, equally.

    Args:
        rows: [m, size], the known rows.
        count: How many neighbours, 1 … m.
    """

    def __init__(self, rows: Floats, count: int) -> None:
        """Centre the rows: large locations would cost digits of the distances."""
        self._count = count
        self._location = rows.mean(axis=0)
        self._rows = rows - self._location
        self._squares = (self._rows**2).sum(axis=1)

    def averages(self, queries: Floats, values: Floats) -> Floats:
        """Average values over the neighbours of each query.

        Args:
            queries: [n, size].
            values: [m, t], of the known rows.

        Returns:
            [n, t].
        """
        centred, step = queries - self._location, max(1, ENTRIES // len(values))
        chunks = [centred[start : start + step] for start in range(0, len(centred), step)]
        return np.concatenate([self._average(chunk, values) for chunk in chunks])

    def _average(self, queries: Floats, values: Floats) -> Floats:
        query, row = self._pairs(queries)
        distances = np.linalg.norm(queries[query] - self._rows[row], axis=1)
        starts = np.searchsorted(query, np.arange(len(queries)))
        here = distances == 0
        some_here = np.logical_or.reduceat(here, starts)[query]
        weights = np.where(some_here, here, 1 / np.where(here, 1, distances))[:, None]
        return np.asarray(np.add.reduceat(weights * values[row], starts) / np.add.reduceat(weights, starts))

    def _pairs(self, queries: Floats) -> tuple[Indices, Indices]:
        """Every pair of a query and a neighbour of it, by query."""
        # Squared distances less what is the same for all rows of a query: one product ranks them.
        ranks = queries @ (-2 * self._rows.T) + self._squares
        last = np.partition(ranks, self._count - 1, axis=1)[:, self._count - 1]
        rounding = ROUNDING * queries.shape[1] * ((queries**2).sum(axis=1) + self._squares.max())
        query, row = np.nonzero(ranks <= (last + rounding)[:, None])
        return query, row
