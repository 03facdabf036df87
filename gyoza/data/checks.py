"""What latents and numbers must be, in one place for all that draws pairs. No Keras here."""

from operator import index
from typing import Any

import numpy as np

from gyoza.inference.plan import Floats

__all__ = ["checked_integer", "checked_latents", "first_row"]

ROWS_AT_ONCE = 65_536
"""How many rows are looked at together, so that a check of a large file needs little memory."""


def checked_integer(name: str, value: Any, least: int) -> int:
    """Return an argument as an int; nothing is rounded, and True is no number.

    Args:
        name: Of the argument, for the message.
        value: An integer of any kind.
        least: The least that it may be.

    Returns:
        The same as an int.

    Raises:
        TypeError: It is no integer.
        ValueError: It is less.
    """
    try:
        number = index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer. Received: {name}={value!r}")
    if number < least:
        raise ValueError(f"{name} must be at least {least}. Received: {name}={number}")
    return number


def checked_latents(name: str, values: Any) -> Floats:
    """Return latents as an array, without a copy where they are one.

    Args:
        name: Of the argument, for the message.
        values: [n, …], n ≥ 2, of a floating dtype.

    Returns:
        The same.

    Raises:
        TypeError: The dtype is not floating.
        ValueError: There are fewer than 2 rows or no entries, or an entry is not finite.
    """
    latents = np.asarray(values)
    if latents.dtype.kind != "f":
        raise TypeError(
            f"{name} must be floats; convert them, for example by .astype('float32'). "
            f"Received: {name}.dtype={latents.dtype}"
        )
    if latents.ndim < 2 or len(latents) < 2 or not latents.size:
        raise ValueError(f"{name} must have the shape [n, …] with n ≥ 2 rows. Received: {name}.shape={latents.shape}")
    for start in range(0, len(latents), ROWS_AT_ONCE):
        finite = np.isfinite(latents[start : start + ROWS_AT_ONCE])
        if not finite.all():
            row = start + first_row(~finite)
            raise ValueError(f"{name} must be finite; leave out the rows that are not. Received: {name}[{row}] is not")
    return latents


def first_row(flags: Any) -> int:
    """Return the first of the rows [n, …] in which a flag is set; at least one must be."""
    return int(np.flatnonzero(np.asarray(flags).reshape(len(flags), -1).any(axis=1))[0])
