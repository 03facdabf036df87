"""How well each block tells each factor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gyoza.metrics.arrays import Floats
from gyoza.metrics.scores import concentration
from gyoza.metrics.tables import markdown

__all__ = ["BlockScores"]


@dataclass(frozen=True, eq=False)
class BlockScores:
    """S[f, k], how well factor f can be read from block k, and what follows from it.

    Where blocks are as they should be, S is 1 where a factor meets its own block and 0 elsewhere. ``print(scores)``
    shows everything in one table.
    """

    factors: tuple[str, ...]
    """F names."""
    blocks: tuple[str, ...]
    """K names, each factor's among them, and the residual's."""
    scores: Floats
    """S [F, K] in 0..1: accuracies so corrected that always guessing the commonest class is 0; R², clipped."""
    raw: Floats
    """[F, K]: the plain accuracies, and R² as it is, below 0 where a reading is worse than a constant."""
    measures: tuple[str, ...]
    """F times "accuracy" or "R²"."""

    @property
    def informativeness(self) -> dict[str, float]:
        """S[f, own]: how well each factor can be read from its own block; 1 is best."""
        return self._by_factor(self.scores[self._own])

    @property
    def leakages(self) -> Floats:
        """S [F, K] with 0 where a factor meets its own block: how well it can be read where it should not be."""
        return np.where(self._own, 0.0, self.scores)

    @property
    def leakage(self) -> dict[str, float]:
        """The largest of S[f, k] over all blocks but the factor's own, the residual's included; 0 is best."""
        return self._by_factor(self.leakages.max(axis=1))

    @property
    def completeness(self) -> dict[str, float]:
        """1 − H(S[f, ·] / ΣS) / log K: 1 where one block tells all, 0 where all tell as much or none tells anything."""
        return self._by_factor(concentration(self.scores))

    def table(self) -> str:
        """Return a Markdown table, readable as it is: a row per factor, a column per block, [own] in brackets."""
        header = ["factor", "measure", *self.blocks, "informativeness", "leakage", "completeness"]
        columns = (self.informativeness, self.leakage, self.completeness)
        return markdown(
            header,
            (
                [factor, measure, *cells, *(f"{column[factor]:.3f}" for column in columns)]
                for factor, measure, cells in zip(self.factors, self.measures, self._cells(), strict=True)
            ),
        )

    def __str__(self) -> str:
        return self.table()

    @property
    def _own(self) -> NDArray[np.bool_]:
        """[F, K], True where a factor meets its own block."""
        return np.array([[factor == block for block in self.blocks] for factor in self.factors])

    def _by_factor(self, values: Floats) -> dict[str, float]:
        return dict(zip(self.factors, values.tolist(), strict=True))

    def _cells(self) -> list[list[str]]:
        return [
            [f"[{score:.3f}]" if own else f" {score:.3f} " for score, own in zip(*row, strict=True)]
            for row in zip(self.scores, self._own, strict=True)
        ]
