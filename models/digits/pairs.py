"""Pairs of renders that share some of their factors, drawn fresh for each step."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.digits.data import SIDE, Digits, Floats, Integers, Settings, draw_settings, render

Flags: TypeAlias = NDArray[np.bool_]


DEFORMED = 0.8
SCALE = 0.035
SHIFT = 0.075
ELASTIC = 0.11
ALSO_SHARED = 0.25
CORRELATIONS = {"digit": 0.99, "color": 0.985, "angle": 0.97}
"""ρ: how strongly the two codes of a pair that shares the factor are to be correlated."""


def draw_offsets(count: int, rng: np.random.Generator) -> Floats:
    """Draw small deformations: 80 % of the images are scaled, shifted and bent a little.

    Args:
        count: n.
        rng: Where the numbers come from.

    Returns:
        Offsets in pixels, shape [n, 2, 8, 8]; 0 for the images that stay as they are.
    """
    place = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    scale = rng.normal(0, SCALE, (count, 2, 1, 1)) * place
    shift = rng.normal(0, SHIFT, (count, 2, 1, 1))
    knots = rng.normal(0, ELASTIC, (count, 2, 4, 4))
    bend = np.einsum("ri,nkij,cj->nkrc", BEND, knots, BEND)
    deformed = rng.uniform(size=(count, 1, 1, 1)) < DEFORMED
    return np.asarray((scale + shift + bend) * deformed)


def bend_weights() -> Floats:
    """Return the weights [8, 4] that carry 4 knots to 8 pixels smoothly, so that the variance stays 1 everywhere."""
    distance = np.linspace(0, 3, SIDE)[:, None] - np.arange(4)
    weights = np.exp(-(distance**2) / (2 * 0.6**2))
    return np.asarray(weights / np.linalg.norm(weights, axis=1, keepdims=True))


BEND = bend_weights()


class PairSource:
    """Draws renders and pairs of renders.

    Args:
        digits: What to render.
        *seed: One number or more, of every number drawn.
    """

    def __init__(self, digits: Digits, *seed: int) -> None:
        """Sort the digits by class, so that partners are found at once."""
        self.digits = digits
        self.rng = np.random.default_rng(seed)
        self._sorted = np.argsort(digits.classes, kind="stable")
        self._counts = np.bincount(digits.classes, minlength=10)
        self._starts = np.cumsum(self._counts) - self._counts

    def images(self, count: int) -> Floats:
        """Return fresh renders, slightly deformed, shape [count, 192]."""
        return self._render(self._draw(count))

    def pairs(self, count: int) -> tuple[Floats, Floats, Floats]:
        """Draw pairs: each shares one factor, and each other one with probability .25.

        Args:
            count: n.

        Returns:
            Images a [n, 192], images b [n, 192], and the correlations [n, 4] of the residual (0), digit, color and
            angle: ρ where the pair shares the factor, else 0. A digit that is equal by chance counts as shared.
        """
        shared = self.rng.uniform(size=(count, 3)) < ALSO_SHARED
        shared[np.arange(count), self.rng.integers(0, 3, count)] = True
        one, two = self.settings(shared)
        shared[:, 0] = self.digits.classes[one.index] == self.digits.classes[two.index]
        correlations = np.zeros((count, 4), np.float32)
        correlations[:, 1:] = shared * np.array(list(CORRELATIONS.values()))
        return self._render(one), self._render(two), correlations

    def settings(self, shared: Flags) -> tuple[Settings, Settings]:
        """Draw the settings of pairs.

        Args:
            shared: [n, 3], whether the pair has the digit's class, the color, the angle in common.

        Returns:
            The settings of a and of b, n of each.
        """
        one, two = self._draw(len(shared)), self._draw(len(shared))
        index = np.where(shared[:, 0], self._partners(one.index), two.index)
        color = np.where(shared[:, 1, None], one.color, two.color)
        return one, Settings(index, color, np.where(shared[:, 2], one.angle, two.angle))

    def _draw(self, count: int) -> Settings:
        return draw_settings(self.rng.integers(0, len(self.digits), count), self.rng)

    def _partners(self, index: Integers) -> Integers:
        classes = self.digits.classes[index]
        place = self.rng.integers(0, self._counts[classes])
        return np.asarray(self._sorted[self._starts[classes] + place])

    def _render(self, settings: Settings) -> Floats:
        return render(self.digits, settings, draw_offsets(len(settings), self.rng))
