"""Who may write to the log when, and what each must know of the one before."""

import os
import time

PAUSE_S = 0.001
"""So long one who waits for a turn lets others write before it tries again."""


class Turns:
    """Those of one process alone; its threads wait for each other already, by the lock that each handler has."""

    is_cut = False
    """Whether the last line that was written lacks its end."""

    def begin(self, seconds: float = 0.0) -> bool:
        """Begin a turn within so many seconds; return whether it is had."""
        return True

    def end(self) -> None:
        """End it."""


class SharedTurns(Turns):
    """Those of several processes: a pipe mixes what is longer than 4 KiB, as stack traces are.

    Args:
        file: The descriptor of a file that is empty at first, which all of them lock while they write.
    """

    def __init__(self, file: int) -> None:
        """Wait for no turn yet."""
        self._file = file

    def begin(self, seconds: float = 0.0) -> bool:
        """Begin a turn when no other process writes; one that stands still while it does is not waited for longer.

        Raises:
            OSError: If the file can't be locked at all.
        """
        end = time.monotonic() + seconds
        while not self._is_locked():
            if time.monotonic() >= end:
                return False
            time.sleep(PAUSE_S)
        return True

    def _is_locked(self) -> bool:
        """Lock the file unless another process does; return whether this one has."""
        try:
            os.lockf(self._file, os.F_TLOCK, 0)
        except (BlockingIOError, PermissionError):  # Systems differ in what they say.
            return False
        return True

    def end(self) -> None:
        """Let others write."""
        os.lockf(self._file, os.F_ULOCK, 0)

    @property
    def is_cut(self) -> bool:
        """Whether the last line lacks its end, whichever process wrote it; the file holds a byte then."""
        return os.fstat(self._file).st_size > 0

    @is_cut.setter
    def is_cut(self, value: bool) -> None:
        os.ftruncate(self._file, value)
