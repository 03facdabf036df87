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
        self._location = np.median(rows, axis=0)
        self._rows = rows - self._location
        self._squares = self._checked_squares(self._rows)

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
        query, row = self._candidates(queries)
        distances = self._distances(queries, query, row)
        starts = np.searchsorted(query, np.arange(len(queries)))
        order = np.lexsort((distances, query))
        last = distances[order][starts + self._count - 1]
        near = distances <= (last * (1 + ROUNDING))[query]
        query, row, distances = query[near], row[near], distances[near]
        starts = np.searchsorted(query, np.arange(len(queries)))
        here = distances == 0
        some_here = np.logical_or.reduceat(here, starts)[query]
        weights = np.where(some_here, here, 1 / np.where(here, 1, distances))[:, None]
        return np.asarray(np.add.reduceat(weights * values[row], starts) / np.add.reduceat(weights, starts))

    def _candidates(self, queries: Floats) -> tuple[Indices, Indices]:
        """Pairs of a query and a row, by query, among which all its neighbours are: as near as rounding can tell."""
        # Squared distances less what is the same for all rows of a query: one product ranks them.
        ranks = queries @ (-2 * self._rows.T) + self._squares
        rounding = ROUNDING * queries.shape[1] * (self._checked_squares(queries)[:, None] + self._squares)
        last = np.partition(ranks + rounding, self._count - 1, axis=1)[:, self._count - 1, None]
        query, row = np.nonzero(ranks - rounding <= last)
        return query, row

    def _distances(self, queries: Floats, query: Indices, row: Indices) -> Floats:
        """The distances of pairs of a query and a row, in chunks, since each holds all entries of both."""
        step = max(1, ENTRIES // queries.shape[1])
        chunks = [slice(start, start + step) for start in range(0, len(query), step)]
        return np.concatenate([np.linalg.norm(queries[query[c]] - self._rows[row[c]], axis=1) for c in chunks])

    def _checked_squares(self, rows: Floats) -> Floats:
        with np.errstate(over="ignore"):
            squares: Floats = (rows**2).sum(axis=1)
        if not np.isfinite(squares).all():
            raise ValueError(
                "Blocks must hold entries whose squares are numbers; leave out the rows that have none. "
                f"Received: row={int(np.argmin(np.isfinite(squares)))}, largest entry={np.abs(rows).max():.1e}"
            )
        return squares
