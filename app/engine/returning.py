"""Clients that one pass answered mostly ask again at once: whether the next pass should wait for them.

Left alone, clients fall into two groups, each of which asks while the other is computed, for ever. Where a pass costs its
reading of the weights rather than its rows, that is half of what one group would get.
"""

from app.engine.pace import Pace

SHARE = 0.5
"""So much of what a common pass would save is risked by waiting for it."""
LONGEST_S = 0.02
LONGEST_REST = 64
"""After waits in vain, up to so many passes follow without one."""


class Returning:
    """Rows that were answered and whose clients may come back.

    Args:
        pace: How long passes take.
        most_rows: The most rows in one pass.
    """

    def __init__(self, pace: Pace, most_rows: int) -> None:
        """Wait for nobody."""
        self._pace = pace
        self._most_rows = most_rows
        self._since = 0.0
        self._answered = self._away = 0
        self._rest = self._next_rest = 0

    def answered(self, rows: int, now: float) -> None:
        """Note that a pass has answered so many rows."""
        self._since = now
        self._answered = self._away = 0 if self._rest else rows
        self._rest = max(0, self._rest - 1)

    def arrived(self, rows: int) -> None:
        """Note that so many rows came, be it from the same clients or from others."""
        self._away = max(0, self._away - rows)

    def patience_s(self, waiting: int, now: float) -> float:
        """Return how long so many rows that wait should still wait for others; 0 or less: no longer."""
        if not self._away or waiting + self._away > self._most_rows:
            return 0.0
        return self._since + min(SHARE * self._pace.saved(waiting, self._away), LONGEST_S) - now

    def stop_waiting(self) -> None:
        """Wait for nobody any more; where fewer than half came back, some of the next passes won't either."""
        if not self._answered:
            return
        in_vain = 2 * self._away > self._answered
        self._next_rest = min(2 * self._next_rest or 1, LONGEST_REST) if in_vain else 0
        self._rest = self._next_rest
        self._away = 0
