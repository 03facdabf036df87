"""Samples: rows of a code with their labels, for metrics that learn from some and measure on others."""

from collections.abc import Mapping
from dataclasses import dataclass

from numpy.typing import ArrayLike

from gyoza.metrics.arrays import Floats, as_rows
from gyoza.metrics.labels import Factor, Labels, as_labels, check_alike

__all__ = ["Sample", "as_samples"]


@dataclass(frozen=True, eq=False)
class Sample:
    """Codes and what they stand for."""

    rows: Floats
    """[n, D]."""
    factors: Mapping[str, Factor]


def as_samples(
    train_codes: ArrayLike, train_labels: Labels, test_codes: ArrayLike, test_labels: Labels
) -> tuple[Sample, Sample]:
    """Return the sample to learn from and the sample to measure on.

    Args:
        train_codes: [m, D].
        train_labels: Of these rows.
        test_codes: [n, D].
        test_labels: Of these rows.

    Raises:
        TypeError: Codes hold no real numbers, or labels neither classes nor quantities.
        ValueError: Shapes, rows, names or forms do not fit together, something is not finite, or labels do not vary.
    """
    train, test = as_rows(train_codes, "train_codes"), as_rows(test_codes, "test_codes")
    if train.shape[1] != test.shape[1]:
        raise ValueError(
            "train_codes and test_codes must have the same number of dimensions. "
            f"Received: train_codes.shape={train.shape}, test_codes.shape={test.shape}"
        )
    known = as_labels(train_labels, len(train), "train_labels")
    asked = as_labels(test_labels, len(test), "test_labels")
    check_alike(known, asked)
    return Sample(train, known), Sample(test, asked)
