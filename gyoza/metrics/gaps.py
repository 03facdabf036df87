"""MIG and SAP: how far the dimension that tells most of a factor is ahead of the next one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gyoza.metrics.arrays import Floats, Integers, as_rows
from gyoza.metrics.extras import scikit_learn
from gyoza.metrics.labels import Labels, Quantities, as_labels, discretise
from gyoza.metrics.samples import Sample, as_samples

__all__ = ["Gaps", "mig", "sap"]

REGULARISATION = 0.01
"""The C of the linear support vector machines, that of Locatello et al. (2019)."""


@dataclass(frozen=True, eq=False)
class Gaps:
    """What each dimension of a code tells of each factor, and how far the best one is ahead of the next."""

    columns: tuple[str, ...]
    """R names: the factor's, or color[0], color[1] … where a factor has several columns."""
    matrix: Floats
    """[R, D]."""
    factors: Mapping[str, float]
    """The gap of each factor, the mean over its columns."""

    @property
    def mean(self) -> float:
        """The mean over the factors, in 0..1: what the literature calls the score."""
        return float(np.mean(list(self.factors.values())))


def mig(codes: ArrayLike, labels: Labels, *, bins: int = 20) -> Gaps:
    """Measure the mutual information gap (MIG).

    The mutual information of each dimension with a factor, over the factor's entropy; the gap is that of the best
    dimension less that of the second best. Both are estimated from counts, as by Locatello et al.: each dimension, and
    each column of quantities, falls into ``bins`` equally wide bins over its range; classes are taken as they are.
    Estimates from counts are too high by about (bins − 1)(classes − 1) / 2n nats; the gap, a difference, much less.

    A factor that is spread over several dimensions, as over a block, has no gap however well it is told from all
    others: the flow is free to rotate a block within itself. Use ``predictability`` for blocks.

    Args:
        codes: [n, D], D at least 2.
        labels: Factor name to classes [n] (int, str or bool) or quantities [n] or [n, d] (floats).
        bins: How many, at least 2.

    Returns:
        The normalised mutual information [R, D], and the gaps.

    Raises:
        TypeError: Codes hold no real numbers, or labels neither classes nor quantities.
        ValueError: Shapes or rows do not fit together, something is not finite, or labels do not vary.

    References:
        Chen, R. T. Q., Li, X., Grosse, R. & Duvenaud, D. (2018) "Isolating sources of disentanglement in variational
        autoencoders" arXiv:1802.04942
        Locatello, F. et al. (2019) "Challenging common assumptions in the unsupervised learning of disentangled
        representations" arXiv:1811.12359

    Example:
        >>> digit = np.tile([0, 1, 2, 3], 50)
        >>> noise = np.random.default_rng(0).normal(size=200)
        >>> found = mig(np.stack([noise, 2.0 * digit], axis=1), {"digit": digit})
        >>> found.mean > 0.8
        True
    """
    rows = as_rows(codes, "codes")
    _check_dimensions(rows, "codes")
    if bins < 2:
        raise ValueError(f"bins must be at least 2. Received: bins={bins}")
    factors = as_labels(labels, len(rows), "labels")
    binned = [discretise(column, bins) for column in rows.T]
    return _gaps({name: _informations(binned, factor.discrete(bins)) for name, factor in factors.items()})


def sap(train_codes: ArrayLike, train_labels: Labels, test_codes: ArrayLike, test_labels: Labels) -> Gaps:
    """Measure the separated attribute predictability (SAP).

    How well a linear predictor reads a factor from one dimension alone; the gap is the score of the best dimension less
    that of the second best. As by Locatello et al.: classes are read by a linear support vector machine (scikit-learn's
    ``LinearSVC``, one class against the rest, C = 0.01, classes weighed equally), learnt from the training rows, with
    its accuracy on the test rows as score; for quantities the score is the squared correlation, which is R² of the best
    line, over the test rows. Codes are not standardised.

    As with ``mig``, a factor that is spread over several dimensions has no gap. A linear machine on one dimension can
    tell at most the outermost of many classes.

    Args:
        train_codes: [m, D], D at least 2.
        train_labels: Factor name to classes [m] (int, str or bool) or quantities [m] or [m, d] (floats).
        test_codes: [n, D], of other rows.
        test_labels: The same factors of these rows.

    Returns:
        The scores [R, D], and the gaps.

    Raises:
        ImportError: There are classes, and scikit-learn is not installed.
        TypeError: Codes hold no real numbers, or labels neither classes nor quantities.
        ValueError: Shapes, rows, names or forms do not fit together, something is not finite, or labels do not vary.

    References:
        Kumar, A., Sattigeri, P. & Balakrishnan, A. (2018) "Variational inference of disentangled latent concepts from
        unlabeled observations" arXiv:1711.00848
        Locatello, F. et al. (2019) "Challenging common assumptions in the unsupervised learning of disentangled
        representations" arXiv:1811.12359

    Example:
        >>> codes = np.random.default_rng(0).normal(size=(400, 2))
        >>> labels = {"angle": codes[:, 1]}
        >>> sap(codes, labels, codes, labels).mean > 0.9
        True
    """
    train, test = as_samples(train_codes, train_labels, test_codes, test_labels)
    _check_dimensions(train.rows, "train_codes")
    return _gaps({name: _linear_scores(name, train, test) for name in train.factors})


def _check_dimensions(rows: Floats, name: str) -> None:
    if rows.shape[1] < 2:
        raise ValueError(f"{name} must have at least 2 dimensions to compare. Received: {name}.shape={rows.shape}")


def _gaps(matrices: Mapping[str, Floats]) -> Gaps:
    """Gaps from what each dimension tells of each column [columns, D] of each factor."""
    best = {name: np.sort(matrix, axis=1)[:, -2:] for name, matrix in matrices.items()}
    names = [
        name if len(matrix) == 1 else f"{name}[{column}]"
        for name, matrix in matrices.items()
        for column in range(len(matrix))
    ]
    gaps = {name: float(np.mean(two[:, 1] - two[:, 0])) for name, two in best.items()}
    return Gaps(tuple(names), np.concatenate(list(matrices.values())), gaps)


def _informations(dimensions: list[Integers], columns: list[Integers]) -> Floats:
    """The mutual information of each column with each dimension over the column's entropy, [columns, D]."""
    return np.array(
        [[_information(one, column) / _information(column, column) for one in dimensions] for column in columns]
    )


def _information(one: Integers, two: Integers) -> float:
    """The mutual information of two arrays [n] of numbers from 0 on, in nats, from their counts."""
    counts = np.zeros((one.max() + 1, two.max() + 1))
    np.add.at(counts, (one, two), 1)
    joint = counts / len(one)
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log(joint[seen] / independent[seen])))


def _linear_scores(name: str, train: Sample, test: Sample) -> Floats:
    """How well a linear predictor reads each column of a factor from each dimension, [columns, D]."""
    known, asked = train.factors[name], test.factors[name]
    if isinstance(asked, Quantities):
        return _squared_correlations(asked.columns, test.rows)
    machine = scikit_learn("svm").LinearSVC(C=REGULARISATION, class_weight="balanced", dual=False)
    readings = [
        machine.fit(train.rows[:, [j]], known.values).predict(test.rows[:, [j]]) for j in range(test.rows.shape[1])
    ]
    return np.array([[asked.agreement(reading) for reading in readings]])


def _squared_correlations(columns: Floats, rows: Floats) -> Floats:
    """The squared correlation of each column [n, c] with each dimension [n, D], 0 where one does not vary, [c, D]."""
    columns, rows = columns - columns.mean(axis=0), rows - rows.mean(axis=0)
    scale = np.outer((columns**2).sum(axis=0), (rows**2).sum(axis=0))
    return np.divide((columns.T @ rows) ** 2, scale, out=np.zeros_like(scale), where=scale > 0)
