"""A sheet of numbers: each stands in one place for ever, where counting it up takes no more than writing there."""

from collections.abc import Sequence
from typing import TypeAlias

Key: TypeAlias = tuple[str, ...]
"""The name of a family, then the value of each of its labels."""
Numbers: TypeAlias = Sequence[float]
Place: TypeAlias = "memoryview[float]"
"""Where numbers stand (float64)."""


class Sheet:
    """The numbers of one process. One thread writes; others may read meanwhile."""

    def __init__(self) -> None:
        """Begin empty."""
        self._places: dict[Key, Place] = {}

    def place(self, key: Key, count: int) -> Place:
        """Return the place of so many numbers, which are 0 at first; all that is written there is in the sheet."""
        found = self._places.get(key)
        if found is None:
            found = self._places[key] = self._make(key, count)
        return found

    def known(self) -> list[Key]:
        """Return the key of every place."""
        return [*self._places]

    def items(self) -> list[tuple[Key, Numbers]]:
        """Return all numbers as they are now."""
        return [(key, place.tolist()) for key, place in list(self._places.items())]

    def _make(self, key: Key, count: int) -> Place:
        return memoryview(bytearray(8 * count)).cast("d")
