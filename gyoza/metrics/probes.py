"""Probes: nearest-neighbour readers of factors from blocks, and the predictability that they find."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gyoza.metrics.arrays import Floats
from gyoza.metrics.block_scores import BlockScores
from gyoza.metrics.blocks import as_blocks
from gyoza.metrics.labels import Labels, as_labels, check_alike, check_own_blocks
from gyoza.metrics.neighbours import NearestNeighbours

__all__ = ["Probes", "predictability"]


class Probes:
    """Readers of every factor from every block: a vote or mean of the nearest training rows.

    The neighbours are weighted by the inverse of their distance in the block, as it is: nothing is standardised.
    Classes are read by vote, quantities by mean.

    Args:
        train_blocks: Block name to [m, size] of the training rows, the residual's included.
        train_labels: Factor name to the training rows' classes [m] (int, str or bool) or quantities [m] or [m, d]
            (floats). Each factor has a block of its own name.
        neighbours: How many, 1 … m.

    Raises:
        TypeError: Blocks hold no real numbers, or labels neither classes nor quantities.
        ValueError: Shapes or rows do not fit together, something is not finite, labels do not vary, or a factor has no
            block.

    Example:
        >>> codes = np.arange(40.0)[:, None]
        >>> probes = Probes({"angle": codes}, {"angle": 2 * codes[:, 0]}, neighbours=2)
        >>> probes.read({"angle": np.array([[3.5]])})
        {'angle': array([7.])}
    """

    def __init__(self, train_blocks: Mapping[str, ArrayLike], train_labels: Labels, *, neighbours: int = 10) -> None:
        """Keep the training rows."""
        rows = as_blocks(train_blocks, "train_blocks")
        count = len(next(iter(rows.values())))
        if not 1 <= neighbours <= count:
            raise ValueError(
                f"neighbours must lie in 1 … {count}, the number of training rows. Received: neighbours={neighbours}"
            )
        self.labels = as_labels(train_labels, count, "train_labels")
        check_own_blocks(self.labels, rows)
        self._sizes = {name: block.shape[1] for name, block in rows.items()}
        self._neighbours = {name: NearestNeighbours(block, neighbours) for name, block in rows.items()}
        targets = [factor.targets() for factor in self.labels.values()]
        self._targets = np.concatenate(targets, axis=1)
        self._ends = list(accumulate(part.shape[1] for part in targets))

    def read(self, test_blocks: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
        """Read every factor from its own block.

        Args:
            test_blocks: As in training, of n other rows.

        Returns:
            Factor name to classes [n] or quantities [n] or [n, d], as in training.

        Raises:
            TypeError: Blocks hold no real numbers.
            ValueError: Names or sizes are others than in training, or something is not finite.
        """
        rows = self._checked(test_blocks)
        return {factor: self._read(factor, rows[factor])[factor] for factor in self.labels}

    def score(self, test_blocks: Mapping[str, ArrayLike], test_labels: Labels) -> BlockScores:
        """Compare what is read from every block with the truth.

        Args:
            test_blocks: As in training, of n other rows.
            test_labels: Of these rows; the same factors as in training.

        Returns:
            The scores of every factor in every block.

        Raises:
            TypeError: As for the constructor.
            ValueError: As for the constructor, or names, sizes or forms are others than in training.
        """
        rows = self._checked(test_blocks)
        truth = as_labels(test_labels, len(next(iter(rows.values()))), "test_labels")
        check_alike(self.labels, truth)
        readings = [self._read(name, block) for name, block in rows.items()]
        raw = [[factor.agreement(reading[name]) for reading in readings] for name, factor in truth.items()]
        scores = [[factor.corrected(value) for value in row] for factor, row in zip(truth.values(), raw, strict=True)]
        measures = tuple(factor.measure for factor in truth.values())
        return BlockScores(tuple(truth), tuple(rows), np.array(scores), np.array(raw), measures)

    def _read(self, name: str, block: Floats) -> dict[str, NDArray[Any]]:
        """Every factor as it is read from one block."""
        averages = self._neighbours[name].averages(block, self._targets)
        parts = np.split(averages, self._ends[:-1], axis=1)
        return {key: factor.decode(part) for (key, factor), part in zip(self.labels.items(), parts, strict=True)}

    def _checked(self, test_blocks: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.float64]]:
        rows = as_blocks(test_blocks, "test_blocks")
        sizes = {name: block.shape[1] for name, block in rows.items()}
        if sizes != self._sizes:
            raise ValueError(
                f"test_blocks must have the names and sizes of the training blocks, {self._sizes}. Received: {sizes}"
            )
        return rows


def predictability(
    train_blocks: Mapping[str, ArrayLike],
    train_labels: Labels,
    test_blocks: Mapping[str, ArrayLike],
    test_labels: Labels,
    *,
    neighbours: int = 10,
) -> BlockScores:
    """Measure how well each factor can be predicted from each block.

    The predictor is a vote (classes) or mean (quantities) of the nearest training rows in the block, weighted by the
    inverse of their distance. What it predicts for the test rows is judged by accuracy, so corrected that always
    guessing the commonest class of the test rows is 0, or by R² (the mean over d columns) clipped to 0..1. Test on rows
    that neither the flow nor its host has learnt from, or the scores say how well they were learnt by heart.

    Args:
        train_blocks: Block name to [m, size], the residual's included.
        train_labels: Factor name to classes [m] (int, str or bool) or quantities [m] or [m, d] (floats). Each factor
            has a block of its own name.
        test_blocks: The same blocks of n other rows.
        test_labels: The same factors of these rows.
        neighbours: How many, 1 … m.

    Returns:
        Scores of every factor in every block, and the informativeness, leakage and completeness of every factor.

    Raises:
        TypeError: Blocks hold no real numbers, or labels neither classes nor quantities.
        ValueError: Shapes, rows, names or forms do not fit together, something is not finite, labels do not vary, or a
            factor has no block.

    Example:
        >>> draw = np.random.default_rng(0)
        >>> labels = {"digit": draw.integers(0, 2, 400), "color": draw.uniform(size=400)}
        >>> blocks = {"residual": draw.normal(size=(400, 1))} | {name: rows[:, None] for name, rows in labels.items()}
        >>> train, test = ({name: rows[half::2] for name, rows in blocks.items()} for half in (0, 1))
        >>> known, asked = ({name: rows[half::2] for name, rows in labels.items()} for half in (0, 1))
        >>> print(predictability(train, known, test, asked))
        | factor |  measure | residual |   digit |   color | informativeness | leakage | completeness |
        | :----- | -------: | -------: | ------: | ------: | --------------: | ------: | -----------: |
        | digit  | accuracy |   0.000  | [1.000] |  0.000  |           1.000 |   0.000 |        1.000 |
        | color  |       R² |   0.000  |  0.000  | [1.000] |           1.000 |   0.000 |        1.000 |
    """
    return Probes(train_blocks, train_labels, neighbours=neighbours).score(test_blocks, test_labels)
