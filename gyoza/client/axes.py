"""Axes of a traversal."""

from typing import Any, NamedTuple

__all__ = ["Axis"]


class Axis(NamedTuple):
    """One dimension of a factor, and the values to set it to."""

    factor: str
    dimension: int
    """From 0, within the factor."""
    start: float
    stop: float
    steps: int
    """2 or more; start and stop are the first and the last."""

    @property
    def document(self) -> dict[str, Any]:
        """What the service reads."""
        return {
            "factor": self.factor,
            "dimension": self.dimension,
            "from": self.start,
            "to": self.stop,
            "steps": self.steps,
        }
