"""What labels may be: a class or numbers for each row, none of them missing. No Keras here."""

from collections.abc import Mapping
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyoza.data.checks import first_row
from gyoza.factors import RESIDUAL, check_factor_name

__all__ = ["checked_correlations", "checked_labels", "checked_names"]

CLASS_KINDS = "biuUS"
"""NumPy's dtypes of classes: booleans, integers, strings."""
STRING_KINDS = "US"
SCALARS = (str, bytes, bool, int, float, np.generic)


def checked_names(mapping: Any, argument: str) -> list[str]:
    """Return the names of factors, in order.

    Args:
        mapping: Factor names to whatever belongs to them.
        argument: What it is called, for the message.

    Returns:
        The names.

    Raises:
        TypeError: It is no mapping.
        ValueError: There is no factor, or one may not be called so.
    """
    if not hasattr(mapping, "keys"):
        raise TypeError(f"{argument} must map factor names to arrays. Received: {argument} of type {type(mapping)}")
    names = list(mapping.keys())
    if not names:
        raise ValueError(f"{argument} must hold at least one factor. Received: {argument}={{}}")
    for name in names:
        check_factor_name(name)
        if name == RESIDUAL:
            raise ValueError(
                f"{argument} must leave out {RESIDUAL!r}, which no pair shares and which is added first by itself. "
                f"Received: {argument} of {names}"
            )
    return names


def checked_labels(labels: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return labels as arrays.

    Args:
        labels: Factor names to classes [n] (integers, booleans or strings) or to numbers [n] or [n, d] (floats).

    Returns:
        Factor names to classes [n], or to float64 [n, d].

    Raises:
        TypeError: A factor's labels are of another dtype.
        ValueError: A name is not allowed, the factors differ in the number of their rows, or a factor's labels are
            fewer than 2, of another shape, missing, not finite, or all the same.
    """
    found = {name: checked_factor(f"labels[{name!r}]", labels[name]) for name in checked_names(labels, "labels")}
    rows = {name: len(values) for name, values in found.items()}
    if len(set(rows.values())) > 1:
        raise ValueError(f"labels must have one entry for each row in every factor. Received: rows={rows}")
    return found


def checked_factor(name: str, values: Any) -> NDArray[Any]:
    """Return one factor's labels as classes [n] or numbers [n, d]; see ``checked_labels``."""
    if isinstance(values, np.ma.MaskedArray) and values.mask.any():
        raise ValueError(f"{name} must have a label in every row; leave out the rows that have none. Received: a mask")
    # Tensors and columns of tables know their own way to an array; what has no dtype is looked at entry by entry.
    array = np.asarray(values) if hasattr(values, "dtype") else np.asarray(values, object)
    if array.ndim not in (1, 2) or len(array) < 2 or not array.size:
        raise ValueError(
            f"{name} must have the shape [n] or, for numbers, [n, d], with n ≥ 2 rows. Received: shape={array.shape}"
        )
    if array.dtype.kind == "O":
        array = from_objects(name, array)
    if array.dtype.kind == "f":
        return checked_numbers(name, array.astype("float64").reshape(len(array), -1))
    if array.dtype.kind in CLASS_KINDS:
        return checked_classes(name, array)
    raise TypeError(
        f"{name} must be integers, booleans or strings for classes, or floats for numbers. "
        f"Received: dtype={array.dtype}"
    )


def from_objects(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return an array of objects, such as a table's column, in the dtype that fits all of them."""
    entries = array.ravel().tolist()
    # Asked before NumPy converts, which would make the string 'nan' of a missing entry among strings.
    missing = [not isinstance(entry, SCALARS) or (isinstance(entry, float) and isnan(entry)) for entry in entries]
    if any(missing):
        place = missing.index(True)
        row = place // (len(entries) // len(array))
        raise ValueError(
            f"{name} must have a label in every row; leave out the rows that have none. "
            f"Received: row={row}, label={entries[place]!r}"
        )
    return np.asarray(array.tolist())


def checked_classes(name: str, classes: NDArray[Any]) -> NDArray[Any]:
    """Return classes [n] if each row has one and they are not all the same."""
    if classes.ndim != 1:
        raise ValueError(
            f"{name} must have the shape [n] for classes; make them floats if they are numbers. "
            f"Received: shape={classes.shape}, dtype={classes.dtype}"
        )
    empty = np.char.str_len(classes) == 0 if classes.dtype.kind in STRING_KINDS else np.zeros(1, bool)
    if empty.any():
        raise ValueError(
            f"{name} must have a label in every row; leave out the rows that have none. "
            f"Received: row={first_row(empty)}, label=''"
        )
    if (classes == classes[0]).all():
        raise ValueError(
            f"{name} must hold at least two classes; leave the factor out. Received: only {classes[0].item()!r}"
        )
    return classes


def checked_numbers(name: str, numbers: NDArray[Any]) -> NDArray[Any]:
    """Return numbers [n, d] if all are finite and no column is constant."""
    finite = np.isfinite(numbers)
    if not finite.all():
        row = first_row(~finite)
        raise ValueError(
            f"{name} must be finite; leave out the rows that are not. Received: row={row}, label={numbers[row].tolist()}"
        )
    constant = np.flatnonzero((numbers == numbers[0]).all(axis=0))
    if len(constant):
        column = int(constant[0])
        raise ValueError(
            f"{name} must vary in every column; leave the constant ones out. "
            f"Received: column {column} is {numbers[0, column]} throughout"
        )
    return numbers


def checked_correlations(correlations: float | Mapping[str, float], names: list[str]) -> dict[str, float]:
    """Return the correlation ρ of every factor.

    Args:
        correlations: One for all, or factor names to one each.
        names: Of the factors.

    Returns:
        Factor names to ρ, in the order of ``names``.

    Raises:
        TypeError: One of them is no number.
        ValueError: A factor's is missing, a factor is unknown, or a ρ is not between 0 and 1.
    """
    given = correlations if isinstance(correlations, Mapping) else dict.fromkeys(names, correlations)
    if set(given) != set(names):
        raise ValueError(
            f"correlations must be one number, or hold each of {names}. Received: correlations={dict(given)}"
        )
    for name in names:
        if isinstance(given[name], bool) or not isinstance(given[name], (int, float, np.number)):
            raise TypeError(f"correlations must be numbers. Received: correlations[{name!r}]={given[name]!r}")
        if not 0 < given[name] < 1:
            raise ValueError(
                f"correlations must lie between 0 and 1, both excluded. Received: correlations[{name!r}]={given[name]}"
            )
    return {name: float(given[name]) for name in names}
