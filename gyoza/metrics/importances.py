"""DCI: disentanglement, completeness and informativeness from how important each dimension is for each factor."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gyoza.metrics.arrays import Floats
from gyoza.metrics.extras import scikit_learn
from gyoza.metrics.labels import Factor, Labels, Quantities
from gyoza.metrics.samples import as_samples
from gyoza.metrics.scores import concentration

__all__ = ["DCI", "dci"]


@dataclass(frozen=True, eq=False)
class DCI:
    """How important each dimension of a code is for each factor, and what follows from it."""

    factors: tuple[str, ...]
    """F names."""
    importance: Floats
    """[D, F], at least 0; each column adds up to 1 (to 0 where no dimension tells anything of the factor)."""
    informativeness: Mapping[str, float]
    """How well each factor is predicted from the whole code: accuracy, or R² (the mean over the columns)."""

    @property
    def disentanglement(self) -> float:
        """1 where no dimension is important for more than one factor.

        1 − H / log F of each dimension's importances, weighed by how important it is in all.
        """
        weights = self.importance.sum(axis=1)
        return float(concentration(self.importance) @ weights / weights.sum()) if weights.any() else 0.0

    @property
    def completeness(self) -> dict[str, float]:
        """1 − H / log D of each factor's importances: 1 where one dimension is enough for it."""
        return dict(zip(self.factors, concentration(self.importance.T).tolist(), strict=True))


def dci(
    train_codes: ArrayLike, train_labels: Labels, test_codes: ArrayLike, test_labels: Labels, *, seed: int = 0
) -> DCI:
    """Measure disentanglement, completeness and informativeness (DCI).

    As by Locatello et al., the importances are those of gradient-boosted trees (scikit-learn's
    ``GradientBoostingClassifier`` for classes, ``GradientBoostingRegressor`` for each column of quantities, both as
    they come: 100 rounds of trees of depth 3), learnt from the training rows, and the informativeness is what the trees
    reach on the test rows. The importances of a factor of several columns are the mean over these.

    Disentanglement asks of each dimension whether it serves one factor alone, and so judges blocks well. Completeness
    asks for one dimension that is enough; a factor that is spread over its block is not complete in this sense, though
    it may be in that of ``predictability``.

    Args:
        train_codes: [m, D].
        train_labels: Factor name to classes [m] (int, str or bool) or quantities [m] or [m, d] (floats).
        test_codes: [n, D], of other rows.
        test_labels: The same factors of these rows.
        seed: Of the trees.

    Returns:
        The importances, and the three scores.

    Raises:
        ImportError: scikit-learn is not installed.
        TypeError: Codes hold no real numbers, or labels neither classes nor quantities.
        ValueError: Shapes, rows, names or forms do not fit together, something is not finite, or labels do not vary.

    References:
        Eastwood, C. & Williams, C. K. I. (2018) "A framework for the quantitative evaluation of disentangled
        representations" International Conference on Learning Representations
        Locatello, F. et al. (2019) "Challenging common assumptions in the unsupervised learning of disentangled
        representations" arXiv:1811.12359

    Example:
        >>> codes = np.random.default_rng(0).normal(size=(200, 2))
        >>> labels = {"color": codes[:, 0], "angle": codes[:, 1]}
        >>> found = dci(codes, labels, codes, labels)
        >>> found.disentanglement > 0.9
        True
    """
    train, test = as_samples(train_codes, train_labels, test_codes, test_labels)
    trees = {name: _grow(train.rows, factor, seed) for name, factor in train.factors.items()}
    importance = [np.mean([tree.feature_importances_ for tree in grown], axis=0) for grown in trees.values()]
    informativeness = {name: _score(trees[name], test.rows, factor) for name, factor in test.factors.items()}
    return DCI(tuple(trees), np.stack(importance, axis=1), informativeness)


def _grow(rows: Floats, factor: Factor, seed: int) -> list[Any]:
    """The trees that have learnt each column of a factor."""
    ensemble = scikit_learn("ensemble")
    kind = ensemble.GradientBoostingRegressor if isinstance(factor, Quantities) else ensemble.GradientBoostingClassifier
    return [kind(random_state=seed).fit(rows, column) for column in _columns(factor)]


def _score(trees: list[Any], rows: Floats, factor: Factor) -> float:
    """The accuracy or R² of trees, the mean over the columns of the factor."""
    return float(np.mean([tree.score(rows, column) for tree, column in zip(trees, _columns(factor), strict=True)]))


def _columns(factor: Factor) -> list[Any]:
    return list(factor.columns.T) if isinstance(factor, Quantities) else [factor.values]
