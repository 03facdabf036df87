"""How well factors are apart: probes of the blocks of a code, from arrays alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from models.digits.data import Floats, Integers

NEIGHBOURS = 10
Blocks: TypeAlias = Mapping[str, Floats]
"""The block [n, size] of each factor, by name."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What n renders show."""

    digit: Integers
    """[n], the class."""
    color: Floats
    """[n, 3]."""
    angle: Floats
    """[n]."""


class Probes:
    """Nearest-neighbour readers of each factor from each block.

    Args:
        blocks: Codes of renders of training digits, by block.
        truth: What those renders show.
    """

    def __init__(self, blocks: Blocks, truth: Truth) -> None:
        """Keep the neighbours."""
        self._readers: dict[tuple[str, str], Any] = {}
        for name, block in blocks.items():
            self._readers["digit", name] = KNeighborsClassifier(NEIGHBOURS, weights="distance").fit(block, truth.digit)
            self._readers["color", name] = KNeighborsRegressor(NEIGHBOURS, weights="distance").fit(block, truth.color)
            self._readers["angle", name] = KNeighborsRegressor(NEIGHBOURS, weights="distance").fit(block, truth.angle)

    def read(self, factor: str, blocks: Blocks, block: str | None = None) -> Any:
        """Read a factor from a block, by default its own.

        Args:
            factor: digit, color or angle.
            blocks: Of n codes.
            block: Whose.

        Returns:
            Classes [n], colours [n, 3] or angles [n].
        """
        block = block or factor
        return self._readers[factor, block].predict(blocks[block])

    def scores(self, blocks: Blocks, truth: Truth) -> dict[str, dict[str, float]]:
        """Return how well each factor can be read from each block.

        Args:
            blocks: Codes of renders of held-out digits, by block.
            truth: What those renders show.

        Returns:
            Factor name → block name → accuracy (digit) or R² (color, angle).
        """
        return {
            "digit": {name: accuracy(truth.digit, self.read("digit", blocks, name)) for name in blocks},
            "color": {name: r_squared(truth.color, self.read("color", blocks, name)) for name in blocks},
            "angle": {name: r_squared(truth.angle, self.read("angle", blocks, name)) for name in blocks},
        }


def accuracy(truth: Integers, reading: Integers) -> float:
    """Return the part of readings [n] that equal the truth [n]."""
    return float((truth == reading).mean())


def chance_corrected(accuracy: float, truth: Integers) -> float:
    """Return 0 for the accuracy of always reading the commonest class of ``truth`` [n], and 1 for 1."""
    chance = float(np.bincount(truth).max() / len(truth))
    return max(0.0, (accuracy - chance) / (1 - chance))


def r_squared(truth: Floats, reading: Floats) -> float:
    """Return R² of readings [n] or [n, d], the mean over d, clipped to 0..1."""
    residual = ((truth - reading) ** 2).sum(axis=0)
    total = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    return float(np.clip(np.mean(1 - residual / total), 0, 1))


def pair_correlation(one: Floats, two: Floats) -> float:
    """Return the correlation of two blocks [n, d], entry by entry, the mean over the d entries."""
    one, two = one - one.mean(axis=0), two - two.mean(axis=0)
    covariance = (one * two).sum(axis=0)
    return float(np.mean(covariance / np.sqrt((one**2).sum(axis=0) * (two**2).sum(axis=0))))


def split(codes: Floats, sizes: Mapping[str, int]) -> dict[str, Floats]:
    """Cut codes [n, D] into the block [n, size] of each factor."""
    return dict(zip(sizes, np.split(codes, np.cumsum(list(sizes.values()))[:-1], axis=1), strict=True))


def join(blocks: Blocks) -> Floats:
    """Undo ``split``: codes [n, D]."""
    return np.concatenate(list(blocks.values()), axis=1)


def swap(blocks: Blocks, factor: str, donors: Integers) -> dict[str, Floats]:
    """Return blocks of which one factor's is that of the donor rows [n]."""
    return {**blocks, factor: blocks[factor][donors]}


def draw_donors(classes: Integers, seed: int) -> Integers:
    """Draw for each of n rows another one of another class, shape [n]."""
    rng = np.random.default_rng(seed)
    donors = rng.integers(0, len(classes), len(classes))
    while (same := classes[donors] == classes).any():
        donors[same] = rng.integers(0, len(classes), same.sum())
    return donors
