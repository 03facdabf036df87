"""Who may write to the log when, and what each must know of the one before."""

import os
from typing import Self


class Turns:
    """Those of one process alone; its threads wait for each other already, by the lock that each handler has."""

    is_cut = False
    """Whether the last line that was written lacks its end."""

    def __enter__(self) -> Self:
        """Wait for the turn."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""


class SharedTurns(Turns):
    """Those of several processes: a pipe mixes what is longer than 4 KiB, as stack traces are.

    Args:
        file: The descriptor of a file that is empty at first, which all of them lock while they write.
    """

    def __init__(self, file: int) -> None:
        """Wait for no turn yet."""
        self._file = file

    def __enter__(self) -> Self:
        """Wait until no other process writes."""
        os.lockf(self._file, os.F_LOCK, 0)
        return self

    def __exit__(self, *_: object) -> None:
        """Let others write."""
        os.lockf(self._file, os.F_ULOCK, 0)

    @property
    def is_cut(self) -> bool:
        """Whether the last line lacks its end, whichever process wrote it; the file holds a byte then."""
        return os.fstat(self._file).st_size > 0

    @is_cut.setter
    def is_cut(self, value: bool) -> None:
        os.ftruncate(self._file, value)
