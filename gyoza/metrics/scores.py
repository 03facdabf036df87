"""Numbers that say how good a reading is, and how concentrated a row of weights."""

import numpy as np
from numpy.typing import ArrayLike

from gyoza.metrics.arrays import Floats

__all__ = ["accuracy", "chance_corrected", "concentration", "r_squared"]


def accuracy(truth: ArrayLike, reading: ArrayLike) -> float:
    """Return the part of readings that are right.

    Args:
        truth: Classes [n].
        reading: Classes [n].

    Returns:
        A number in 0..1.

    Raises:
        ValueError: The two differ in shape.

    Example:
        >>> accuracy(["red", "blue"], ["red", "red"])
        0.5
    """
    classes, found = np.asarray(truth), np.asarray(reading)
    _check_shapes(classes, found)
    return float((classes == found).mean())


def chance_corrected(accuracy: float, truth: ArrayLike) -> float:
    """Return 0 for the accuracy of always reading the commonest class, or worse, and 1 for 1.

    Args:
        accuracy: Of readings of ``truth``, in 0..1.
        truth: Classes [n].

    Returns:
        (accuracy − p) / (1 − p), at least 0, with p the part of the commonest class; 0 where there is no other class.

    Example:
        >>> chance_corrected(0.875, [0, 0, 0, 1])
        0.5
    """
    _, counts = np.unique(np.asarray(truth), return_counts=True)
    chance = float(counts.max() / counts.sum())
    return max(0.0, (accuracy - chance) / (1 - chance)) if chance < 1 else 0.0


def r_squared(truth: ArrayLike, reading: ArrayLike) -> float:
    """Return R², the part of the variance that readings explain.

    Args:
        truth: Numbers [n] or [n, d].
        reading: Numbers of the same shape.

    Returns:
        1 − Σ(truth − reading)² / Σ(truth − mean)², the mean of it over the d columns: at most 1, below 0 where the mean
        of the truth would have been a better reading. A column that does not vary counts 1 where it is read exactly,
        else 0.

    Raises:
        ValueError: The two differ in shape.

    Example:
        >>> r_squared([0.0, 1.0, 2.0], [0.0, 1.0, 1.0])
        0.5
    """
    values, found = np.asarray(truth, np.float64), np.asarray(reading, np.float64)
    _check_shapes(values, found)
    residual = np.atleast_1d(((values - found) ** 2).sum(axis=0))
    total = np.atleast_1d(((values - values.mean(axis=0)) ** 2).sum(axis=0))
    unexplained = np.divide(residual, total, out=(residual > 0).astype(np.float64), where=total > 0)
    return float(np.mean(1 - unexplained))


def concentration(weights: ArrayLike) -> Floats:
    """Return 1 − H / log K of weights, H being the entropy of their shares.

    Args:
        weights: [..., K], at least 0.

    Returns:
        [...]: 1 where one entry has all the weight, 0 where all have the same. 0 too where there is no weight at all,
        for then it is nowhere; otherwise 1 where K = 1.

    Example:
        >>> concentration([[1, 0], [1, 1], [0, 0]])
        array([1., 0., 0.])
    """
    array = np.asarray(weights, np.float64)
    total = array.sum(axis=-1, keepdims=True)
    shares = np.divide(array, total, out=np.zeros_like(array), where=total > 0)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=-1)
    largest = np.log(max(array.shape[-1], 2))  # With K = 1 the entropy is 0, whatever it is divided by.
    return np.where(total[..., 0] > 0, np.clip(1 - entropy / largest, 0, 1), 0.0)


def _check_shapes(truth: Floats, reading: Floats) -> None:
    if truth.shape != reading.shape:
        raise ValueError(
            "truth and reading must have the same shape. "
            f"Received: truth.shape={truth.shape}, reading.shape={reading.shape}"
        )
