"""How a flow is made and trained. No Keras here."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from numbers import Real
from typing import Any

from gyoza.data.checks import checked_integer

__all__ = ["COUPLINGS", "FitSettings"]

COUPLINGS = ("affine", "additive", "spline")
COUNTS = ("blocks", "reflections", "width", "batch_size", "batches_per_epoch", "epochs", "patience")
NUMBERS = ("correlations", "noise", "validation", "learning_rate")


def described(default: Any, description: str) -> Any:
    """Return a field with a default and a description that a command line can show."""
    return field(default=default, metadata={"description": description})


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How a flow is made and trained; the defaults are a recipe that separates digit, color and angle of digits.

    An epoch is a fixed number of batches, not a pass over the rows, so a training takes about as long for few rows as for
    many: pairs are drawn at random, and many more can be drawn than there are rows.

    Raises:
        TypeError: A setting is of no type that stands for it.
        ValueError: A setting is out of range. Correlations, noise and validation are checked against the data, by
            ``gyoza.data.FactorPairs`` and ``gyoza.data.split_rows``.

    Example:
        >>> FitSettings(epochs=20).describe()["epochs"]
        20
    """

    blocks: int = described(4, "Blocks of a normalization, reflections and two couplings.")
    reflections: int = described(8, "Reflections in each block; no more than a latent has entries are made.")
    width: int = described(128, "Width of the two hidden layers of each coupling's network.")
    coupling: str = described("affine", f"Law of the couplings: {', '.join(COUPLINGS)}.")
    correlations: float | Mapping[str, float] = described(
        0.95, "How alike pairs that share a factor are in it, from 0 to 1: one number for all factors or one for each."
    )
    noise: float = described(
        0.1, "Noise added to each entry of a latent in training, in standard deviations of the entry."
    )
    validation: float = described(0.2, "Part of the rows that is kept back, to stop in time and to measure on.")
    batch_size: int = described(192, "Pairs in a batch.")
    batches_per_epoch: int = described(50, "Batches in an epoch, however many rows there are.")
    epochs: int = described(100, "Most epochs.")
    patience: int = described(8, "Epochs without a better loss on the rows kept back after which training stops.")
    learning_rate: float = described(
        2e-3, "Step size of Adam at first; it falls where the loss gets no better for half of the patience."
    )

    def __post_init__(self) -> None:
        """Check what no data is needed for, and keep plain numbers, which JSON can hold."""
        plain = {name: checked_integer(name, getattr(self, name), 1) for name in COUNTS}
        plain |= {name: plain_numbers(getattr(self, name)) for name in NUMBERS}
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if self.coupling not in COUPLINGS:
            raise ValueError(f"coupling must be one of {COUPLINGS}. Received: coupling={self.coupling!r}")
        rate = self.learning_rate
        if not isinstance(rate, float) or not (rate > 0 and isfinite(rate)):
            raise ValueError(f"learning_rate must be a finite number above 0. Received: learning_rate={rate!r}")

    def describe(self) -> dict[str, Any]:
        """Return the settings by name, ready for JSON."""
        return asdict(self)


def plain_numbers(value: Any) -> Any:
    """Return a number of any kind as a float and a mapping as a dict of these; what is neither stays, to be refused."""
    if isinstance(value, Mapping):
        return {name: plain_numbers(number) for name, number in value.items()}
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else value
