"""One pass over several cores: its rows are cut into parts, which are computed beside each other."""

from concurrent.futures import Executor, Future, wait

import numpy as np

from app.engine.jobs import Function, Results
from gyoza.inference.plan import Floats

SMALLEST_PART = 64
"""Fewer rows are never a part: they make so little of the weights that they read that two cores hardly beat one."""


class Spread:
    """A function of rows that uses several cores.

    BLAS has a thread of its own for each part, since threads that it shares out by itself wait for each other by spinning
    (``benchmarks/threads.py``).

    Args:
        function: Rows [n, …] to results; rows must not influence each other.
        helpers: Where the parts but the first are computed. Nothing in it may wait for it.
        parts: The most parts.
        smallest: So many rows a part has at least.
    """

    def __init__(self, function: Function, helpers: Executor, parts: int, smallest: int = SMALLEST_PART) -> None:
        """Compute nothing yet."""
        self._function, self._helpers, self._parts, self._smallest = function, helpers, parts, smallest

    def __call__(self, rows: Floats) -> Results:
        """Run the function on rows [n, …] and put the results of the parts together.

        Raises:
            Exception: What the function raises for a part, once no part runs any more.
        """
        parts = min(self._parts, len(rows) // self._smallest)
        if parts < 2:
            return self._function(rows)
        first, *others = np.array_split(rows, parts)
        waited: list[Future[Results]] = []
        try:
            waited.extend(self._helpers.submit(self._function, part) for part in others)
            found = [self._function(first)]
        finally:
            wait(waited)
        found.extend(each.result() for each in waited)
        return tuple(map(np.concatenate, zip(*found, strict=True)))
