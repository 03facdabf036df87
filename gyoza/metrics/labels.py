"""Labels of factors: classes or quantities, and what a metric needs to know of either."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gyoza.metrics.arrays import Floats, Integers, as_numbers
from gyoza.metrics.scores import accuracy, chance_corrected, r_squared

__all__ = [
    "Classes",
    "Factor",
    "Labels",
    "Quantities",
    "as_factor",
    "as_labels",
    "check_alike",
    "check_own_blocks",
    "discretise",
]

Labels: TypeAlias = Mapping[str, ArrayLike]
"""Factor name to [n] classes (int, str or bool) or to [n] or [n, d] quantities (floats, even where all are whole)."""


@dataclass(frozen=True, eq=False)
class Classes:
    """A factor that is one of several classes, as the digit is."""

    measure: ClassVar[str] = "accuracy"
    values: NDArray[Any]
    """[n]."""

    @cached_property
    def names(self) -> NDArray[Any]:
        """The classes that occur, sorted, shape [C]."""
        return np.unique(self.values)

    @property
    def form(self) -> str:
        """What labels of the same factor must have in common."""
        return {"U": "strings", "S": "bytes"}.get(self.values.dtype.kind, "integers")

    def targets(self) -> Floats:
        """Return what a probe averages: [n, C], 1 for the class of the row."""
        return np.asarray(self.values[:, None] == self.names, np.float64)

    def decode(self, averages: Floats) -> NDArray[Any]:
        """Return the classes [n] that have most of the averaged targets [n, C], the first of equals."""
        return np.asarray(self.names[averages.argmax(axis=1)])

    def discrete(self, bins: int) -> list[Integers]:
        """Return the number of each row's class, one array [n]; ``bins`` does not matter."""
        return [np.searchsorted(self.names, self.values)]

    def agreement(self, reading: ArrayLike) -> float:
        """Return the accuracy of a reading."""
        return accuracy(self.values, reading)

    def corrected(self, agreement: float) -> float:
        """Return an accuracy so that chance is at 0."""
        return chance_corrected(agreement, self.values)


@dataclass(frozen=True, eq=False)
class Quantities:
    """A factor that is one number or several, as the angle or the color are."""

    measure: ClassVar[str] = "R²"
    values: NDArray[np.float64]
    """[n] or [n, d]."""

    @property
    def columns(self) -> NDArray[np.float64]:
        """[n, d], d being 1 for [n]."""
        return self.values.reshape(len(self.values), -1)

    @property
    def form(self) -> str:
        """What labels of the same factor must have in common."""
        return "floats [n" + "".join(f", {size}" for size in self.values.shape[1:]) + "]"

    def targets(self) -> Floats:
        """Return what a probe averages: the numbers themselves, [n, d]."""
        return self.columns

    def decode(self, averages: Floats) -> Floats:
        """Return averaged targets [n, d] in the shape of the labels."""
        return averages.reshape(-1, *self.values.shape[1:])

    def discrete(self, bins: int) -> list[Integers]:
        """Return for each of the d columns the bin [n] of each row, of ``bins`` equally wide ones."""
        return [discretise(column, bins) for column in self.columns.T]

    def agreement(self, reading: ArrayLike) -> float:
        """Return R² of a reading."""
        return r_squared(self.values, reading)

    def corrected(self, agreement: float) -> float:
        """Return R² clipped to 0..1."""
        return min(max(agreement, 0.0), 1.0)


Factor: TypeAlias = Classes | Quantities


def discretise(column: Floats, bins: int) -> Integers:
    """Return for each number [n] which of ``bins`` equally wide bins over their range it lies in."""
    return np.digitize(column, np.histogram_bin_edges(column, bins)[1:-1])


def as_labels(labels: Labels, count: int, name: str) -> dict[str, Factor]:
    """Return each factor's labels as classes or quantities.

    Args:
        labels: At least one factor.
        count: The rows that each must have.
        name: What they are, for the message.

    Raises:
        TypeError: Labels are neither integers, strings, booleans nor floats.
        ValueError: There is no factor, or labels have another shape, are not finite, or do not vary.
    """
    if not labels:
        raise ValueError(f"{name} must hold the labels of at least one factor. Received: {name}={{}}")
    return {factor: as_factor(values, count, f"{name}[{factor!r}]") for factor, values in labels.items()}


def as_factor(values: ArrayLike, count: int, name: str) -> Factor:
    """Return labels as classes or quantities; see ``as_labels``."""
    array = np.asarray(values)
    if array.dtype == object and all(isinstance(value, str) for value in array.flat):  # A column of a data frame.
        array = array.astype(str)
    continuous = array.dtype.kind == "f"
    if array.dtype.kind not in "biuUSf":
        raise TypeError(
            f"{name} must hold classes (int, str or bool) or quantities (float). Received: {name}.dtype={array.dtype}"
        )
    if array.shape[:1] != (count,) or array.ndim > 1 + continuous or not array.size:
        shapes = f"[{count}] or [{count}, d]" if continuous else f"[{count}] (several columns must be floats)"
        raise ValueError(f"{name} must have the shape {shapes}. Received: {name}.shape={array.shape}")
    if (array == array[:1]).all(axis=0).any():
        raise ValueError(
            f"{name} must vary in every column, or nothing can be read; leave it out. Received: {array[0]} in every row"
        )
    return Quantities(as_numbers(array, name)) if continuous else Classes(array)


def check_own_blocks(factors: Iterable[str], blocks: Iterable[str]) -> None:
    """Check that each factor has a block of its own.

    Raises:
        ValueError: One has none.
    """
    names = list(blocks)
    if missing := [factor for factor in factors if factor not in names]:
        raise ValueError(
            "Each factor must have a block of its own name; rename the block or leave the factor's labels out. "
            f"Received: factors={missing}, blocks={names}"
        )


def check_alike(training: Mapping[str, Factor], test: Mapping[str, Factor]) -> None:
    """Check that labels to learn from and labels to measure with are of the same factors and forms.

    Raises:
        ValueError: They are not.
    """
    forms = [{name: factor.form for name, factor in labels.items()} for labels in (training, test)]
    if forms[0] != forms[1]:
        raise ValueError(
            "The labels for training and for the test must name the same factors and be of the same form. "
            f"Received: training={forms[0]}, test={forms[1]}"
        )
