"""The bodies that are on their way: many large ones at once may not take all memory."""

from types import TracebackType
from typing import Self

from app.errors import Overloaded

SMALL = 2**16
"""A body of no more bytes is taken in always, whatever others do."""


class Intake:
    """Counts the bytes of all bodies that have not been decoded yet, but for small ones.

    Args:
        most: So many of them may be held.
    """

    def __init__(self, most: int) -> None:
        """Begin with none."""
        self.most = most
        self.size = 0

    def portion(self) -> "Portion":
        """Begin with a body."""
        return Portion(self)


class Portion:
    """What one body takes of an intake, until its context ends.

    Args:
        intake: What it is a part of.
    """

    __slots__ = ("_arrived", "_intake", "_taken")

    def __init__(self, intake: Intake) -> None:
        """Take nothing yet."""
        self._intake = intake
        self._arrived = self._taken = 0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give back what was taken."""
        self._intake.size -= self._taken

    def take(self, size: int) -> None:
        """Take room for so many bytes more.

        Raises:
            Overloaded: There is none.
        """
        self._arrived += size
        if self._arrived <= SMALL:
            return
        intake, more = self._intake, self._arrived - self._taken
        if intake.size + more > intake.most:
            raise Overloaded(
                f"All bodies on their way to this process may have at most {intake.most} bytes. Received: more than that, "
                "in this one and others. Try again, with smaller ones, or raise GYOZA_MAX_INTAKE_BYTES."
            )
        intake.size += more
        self._taken = self._arrived
