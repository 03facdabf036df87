"""The values between codecs and engine: arrays, the form they travel in, and the layout of a code."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np

from app.errors import FieldError, InvalidInput
from gyoza.inference.plan import Floats

LOG_2_PI = float(np.log(2 * np.pi))
ROWS_NAMED = 10
"""So many rows at fault are named; of more, the count is told."""


class TensorError(ValueError):
    """A value is no tensor; the text says what must hold and what was received.

    Args:
        message: The text.
        index: Where in the value the first fault is; () for the whole.
    """

    def __init__(self, message: str, index: tuple[int, ...] = ()) -> None:
        """Keep the index apart from the text."""
        super().__init__(message)
        self.index = index


class Form(StrEnum):
    """How a tensor is written in JSON."""

    LISTS = "lists"
    BASE64 = "base64"


@dataclass(frozen=True)
class Factor:
    """One named part of a code."""

    name: str
    start: int
    """Its first column in the code."""
    size: int
    description: str | None = None
    range: tuple[float, float] | None = None
    """The values that make sense for it, from and to."""

    @property
    def columns(self) -> slice:
        """Its columns in a code."""
        return slice(self.start, self.start + self.size)


@dataclass(frozen=True)
class FactorLayout:
    """The factors of a code in order, the residual first; each column belongs to exactly one."""

    factors: tuple[Factor, ...]

    @classmethod
    def of(cls, parts: Iterable[tuple[str, int, str | None, tuple[float, float] | None]]) -> Self:
        """Lay out factors given as (name, size, description, range) one after the other."""
        factors: list[Factor] = []
        for name, size, description, values in parts:
            factors.append(Factor(name, sum(factor.size for factor in factors), size, description, values))
        return cls(tuple(factors))

    @property
    def size(self) -> int:
        """D, the columns of a code."""
        return sum(factor.size for factor in self.factors)

    def find(self, name: str, field: str) -> Factor:
        """Return the factor of a name that came in a field.

        Raises:
            InvalidInput: There is none.
        """
        for factor in self.factors:
            if factor.name == name:
                return factor
        names = ", ".join(factor.name for factor in self.factors)
        raise InvalidInput(FieldError(field, f"there is no such factor. Factors that exist: {names}"))

    def split(self, codes: Floats) -> dict[str, Floats]:
        """Cut codes [n, D] into factors {name: [n, size]}."""
        return {factor.name: codes[:, factor.columns] for factor in self.factors}

    def join(self, factors: Mapping[str, Floats]) -> Floats:
        """Put factors {name: [n, size]}, every one of them once, together to codes [n, D].

        Raises:
            InvalidInput: A factor is unknown or missing, or the shapes do not fit.
        """
        self._check_names(factors)
        rows = len(factors[self.factors[0].name])
        for factor in self.factors:
            check_shape(factors[factor.name], (factor.size,), f"factors.{factor.name}", rows)
        return np.concatenate([factors[factor.name] for factor in self.factors], axis=1)

    def _check_names(self, factors: Mapping[str, Floats]) -> None:
        names = [factor.name for factor in self.factors]
        every = f"the factors {', '.join(names)} must each be given once"
        unknown = [FieldError(f"factors.{name}", f"no such factor; {every}") for name in factors if name not in names]
        missing = [FieldError(f"factors.{name}", f"missing; {every}") for name in names if name not in factors]
        if unknown or missing:
            raise InvalidInput(*unknown, *missing)


def check_shape(array: Floats, row_shape: tuple[int, ...], field: str, rows: int | None = None) -> None:
    """Refuse an array that is not [n, *row_shape], with n = ``rows`` where that is given."""
    if array.shape[1:] != row_shape or array.ndim != len(row_shape) + 1 or rows not in {None, len(array)}:
        expected = ", ".join(map(str, ("n" if rows is None else rows, *row_shape)))
        received = ", ".join(map(str, array.shape))
        raise InvalidInput(FieldError(field, f"must have the shape [{expected}]. Received: [{received}]"))


def log_likelihood(codes: Floats, logdet: Floats) -> Floats:
    """Return log N(code; 0, I) + logdet of codes [n, …] and logdets [n] as [n], summed in float64, in their dtype."""
    rows = codes.reshape(len(codes), -1)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
        normal = -0.5 * (squares + rows.shape[1] * LOG_2_PI)
        return np.asarray(normal + logdet, codes.dtype)


def round_trip_error(found: Floats, expected: Floats) -> Floats:
    """Return the largest absolute difference of each row of two arrays [n, …] as [n]."""
    with np.errstate(over="ignore", invalid="ignore"):
        errors: Floats = np.abs(found - expected).reshape(len(found), -1).max(axis=1)
        return errors


def check_results(field: str, dtype: np.dtype[Any], result: Floats) -> None:
    """Refuse a result [n, …] with rows that are not finite, so that nothing of the kind is ever sent."""
    finite = np.isfinite(result)
    if finite.all():
        return
    rows = np.flatnonzero(~finite.reshape(len(result), -1).all(axis=1))
    named = ", ".join(map(str, rows[:ROWS_NAMED])) + (f" … ({rows.size} in all)" if rows.size > ROWS_NAMED else "")
    raise InvalidInput(
        FieldError(field, f"the results must be finite in {dtype}, but these rows overflow: {named}; scale them down")
    )
