"""Latents of any scale, each entry brought to mean 0 and deviation 1. No Keras here."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gyoza.data.checks import checked_latents
from gyoza.inference.plan import Floats

__all__ = ["Standardisation", "flat_latents"]

SMALLEST_DEVIATION = 2e-6
"""Above the smallest scale of ``ActivationNormalization``, which it stands for constant entries."""
MOST_NAMED = 10


def flat_latents(latents: Any) -> Floats:
    """Return latents [n, …] as float32 [n, D], each of the other axes' entries in C order.

    Args:
        latents: Floats, finite.

    Returns:
        The same, float32 [n, D].

    Raises:
        TypeError: They are no floats.
        ValueError: Their shape is not [n, …] with n ≥ 2, or an entry is not finite, or too large for float32.
    """
    checked = checked_latents("latents", latents)
    with np.errstate(over="ignore"):
        flat = checked.reshape(len(checked), -1).astype(np.float32, copy=False)
    if not np.isfinite(flat).all():
        raise ValueError(
            f"latents must be finite in float32; divide them. Received: the largest is {np.abs(checked).max():.2g}"
        )
    return flat


@dataclass(frozen=True, eq=False)
class Standardisation:
    """What brings each entry of a latent to mean 0 and deviation 1."""

    location: Floats
    """float64 [D]."""
    scale: Floats
    """float64 [D], above 0."""

    @classmethod
    def of(cls, latents: Floats, shape: tuple[int, ...]) -> "Standardisation":
        """Measure latents.

        Args:
            latents: [n, D].
            shape: Of one latent before it was flattened, for the message.

        Raises:
            ValueError: An entry is constant, or so nearly that no flow could undo what makes it vary.
        """
        location, scale = latents.mean(axis=0, dtype=np.float64), latents.std(axis=0, dtype=np.float64)
        constant = np.flatnonzero(scale < SMALLEST_DEVIATION)
        if len(constant):
            raise ValueError(
                f"latents must vary in every {entry_of(shape)}, by a standard deviation of {SMALLEST_DEVIATION} at least; "
                f"leave out those that do not, or multiply small ones. Received: {len(constant)} constant, "
                f"at {named(constant, shape)}"
            )
        return cls(location, scale)

    def apply(self, latents: Floats) -> Floats:
        """Return latents [n, D] standardised, float32 [n, D]."""
        return np.asarray((latents - self.location) / self.scale, np.float32)


def entry_of(shape: tuple[int, ...]) -> str:
    """Say what an entry of a latent is called."""
    return "column" if len(shape) == 1 else f"entry of {list(shape)}"


def named(places: Any, shape: tuple[int, ...]) -> str:
    """Name the first of the entries [m] of a flattened latent, by their place in one of shape ``shape``."""
    first = np.stack(np.unravel_index(places[:MOST_NAMED], shape), axis=1).tolist()
    text = ", ".join(str(place[0]) if len(place) == 1 else str(place) for place in first)
    return text if len(places) <= MOST_NAMED else f"{text}, …"
