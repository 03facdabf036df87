"""How far a call with many rows is."""

import sys
from collections.abc import Callable
from typing import TextIO, TypeAlias

__all__ = ["Counter", "Progress", "bar"]

Report: TypeAlias = Callable[[int, int], object]
Progress: TypeAlias = bool | Report
"""``True`` for a bar on standard error, or a function that is called with the rows that are done and all rows."""
WIDTH = 40


class Counter:
    """Counts rows and reports them.

    Args:
        total: All rows.
        progress: To whom.
    """

    def __init__(self, total: int, progress: Progress) -> None:
        """Begin with no row."""
        self._total, self._done = total, 0
        self._report = (show if progress else None) if isinstance(progress, bool) else progress

    def add(self, rows: int) -> None:
        """Note that so many more are done."""
        self._done += rows
        if self._report:
            self._report(self._done, self._total)


def show(done: int, total: int, stream: TextIO | None = None) -> None:
    """Write the bar over the former one; the last one ends its line."""
    stream = stream or sys.stderr
    stream.write(f"\r{bar(done, total)}" + ("\n" if done == total else ""))
    stream.flush()


def bar(done: int, total: int) -> str:
    """Draw a bar.

    Example:
        >>> bar(250, 1000)
        '[##########------------------------------]  25 %  250/1,000 rows'
    """
    filled = WIDTH * done // total
    return f"[{'#' * filled}{'-' * (WIDTH - filled)}] {100 * done // total:3} %  {done:,}/{total:,} rows"
