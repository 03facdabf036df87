"""How long passes take: as timed at warm-up, in proportion between the counts of rows that were timed, then as they do."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate

INLINE_SECONDS = 1.5e-3
"""A pass that takes less runs on the loop: handing it to a thread would cost more than it holds up others."""
WEIGHT = 0.1
"""So much of what is known gives way to what a pass took."""
LARGEST_CHANGE = 4.0
"""A pass that took more times what was known, or fewer, was an exception, and counts as this."""


class Pace:
    """How long passes take.

    Args:
        timed: Rows of a pass to its seconds; where it is empty, nothing is known and no pass is quick.
    """

    def __init__(self, timed: Mapping[int, float]) -> None:
        """Begin with the warm-up, of which no pass of more rows counts as quicker."""
        rows = sorted(timed)
        seconds = [*accumulate((timed[count] for count in rows), max)]
        self.quick_rows = int(between(INLINE_SECONDS, seconds, rows))
        """So many rows a pass may have to be quick; 0: none."""
        self._rows = sorted({*(2**power for power in range(rows[-1].bit_length())), rows[-1]}) if rows else []
        self._seconds = [between(count, rows, seconds) for count in self._rows]

    def learn(self, rows: int, seconds: float) -> None:
        """Note how long a pass took."""
        known = self.seconds(rows)
        if not known:
            return
        change = min(max(seconds / known, 1 / LARGEST_CHANGE), LARGEST_CHANGE)
        last = bisect_left(self._rows, rows)
        for place in {max(0, last - 1), min(last, len(self._rows) - 1)}:
            self._seconds[place] *= 1 + WEIGHT * (change - 1)

    def seconds(self, rows: int) -> float:
        """Return how long a pass of so many rows takes; of more than were timed, as long as the largest that was."""
        return between(rows, self._rows, self._seconds)

    def saved(self, first: int, second: int) -> float:
        """Return the seconds that one pass of both takes less than two; 0 where it takes more."""
        return max(0.0, self.seconds(first) + self.seconds(second) - self.seconds(first + second))


def between(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return y at x by straight lines between points, whose x ascend: 0 before the first, the last y behind the last."""
    after = bisect_left(xs, x)
    if after == len(xs):
        return ys[-1] if ys else 0.0
    if xs[after] == x:
        return ys[after]
    if not after:
        return 0.0
    share = (x - xs[after - 1]) / (xs[after] - xs[after - 1])
    return ys[after - 1] + share * (ys[after] - ys[after - 1])
