"""Edits of factors, as ``Client.edit`` takes them: small values, made by functions that are called as the service calls them.

    from gyoza.client import edits

    client.edit(latents, edits.set("digit", seven), edits.blend("color", donors, 0.5))

``set`` is Python's own word too, so it is not among the names of ``gyoza.client``; the others are. Arrays are [n, …] with
as many rows as the latents, or with one row for all of them where the service allows that.
"""

import operator
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from gyoza.client.arrays import as_rows
from gyoza.factors import check_factor_name

__all__ = ["Edit", "blend", "documents", "sample", "scale", "set", "shift", "swap"]

SEEDS = 2**32


@dataclass(frozen=True, eq=False)
class Edit:
    """What is to be done to one factor of every row."""

    factor: str
    operation: str
    """``set``, ``shift``, ``scale``, ``swap``, ``blend`` or ``sample``."""
    value: Any
    """As the operation takes it: an array, a number, or a mapping of such."""

    def __post_init__(self) -> None:
        """Refuse what no factor may be called."""
        check_factor_name(self.factor)

    @property
    def document(self) -> Mapping[str, Any]:
        """What the service reads, with arrays in it."""
        return {"factor": self.factor, self.operation: self.value}


def set(factor: str, values: ArrayLike) -> Edit:
    """Give a factor values.

    Args:
        factor: Its name.
        values: [n, size], or [1, size] for all rows.

    Example:
        >>> set("color", [[0.5, 1.0, 0.0]]).value.shape
        (1, 3)
    """
    return Edit(factor, "set", as_rows(values, "set"))


def shift(factor: str, offsets: ArrayLike) -> Edit:
    """Add to a factor.

    Args:
        factor: Its name.
        offsets: [n, size], or [1, size] for all rows.
    """
    return Edit(factor, "shift", as_rows(offsets, "shift"))


def scale(factor: str, by: float) -> Edit:
    """Multiply a factor.

    Args:
        factor: Its name.
        by: 0 takes it to the middle of what the flow knows, 1 leaves it.
    """
    return Edit(factor, "scale", float(by))


def swap(factor: str, donors: ArrayLike) -> Edit:
    """Take a factor from donors.

    Args:
        factor: Its name.
        donors: Latents [n, *latent_shape], one for each row.
    """
    return Edit(factor, "swap", as_rows(donors, "swap"))


def blend(factor: str, donors: ArrayLike, weight: float) -> Edit:
    """Take (1 − weight) · own + weight · the donors' factor.

    Args:
        factor: Its name.
        donors: Latents [n, *latent_shape], one for each row.
        weight: 0 leaves it, 1 is a swap.
    """
    return Edit(factor, "blend", {"latents": as_rows(donors, "blend"), "weight": float(weight)})


def sample(factor: str, seed: int | None = None) -> Edit:
    """Draw a factor from N(0, I).

    Args:
        factor: Its name.
        seed: From 0 to 2³² − 1; the same one draws the same. None: the edit is given one now, which its ``value`` tells.

    Raises:
        ValueError: The seed is none.
    """
    return Edit(factor, "sample", {"seed": secrets.randbelow(SEEDS) if seed is None else as_seed(seed)})


def documents(edits: Iterable[Edit]) -> list[Mapping[str, Any]]:
    """Return what the service reads of edits.

    Raises:
        TypeError: Something among them is none.
    """
    made = list(edits)
    for edit in made:
        if not isinstance(edit, Edit):
            raise TypeError(
                f"Edits must be made by gyoza.client.edits, such as swap, and passed one by one. Received: {type(edit).__name__}"
            )
    return [edit.document for edit in made]


def as_seed(seed: int) -> int:
    """Check a seed, an integer of any kind.

    Raises:
        TypeError: It is none.
    """
    if not 0 <= (number := operator.index(seed)) < SEEDS:
        raise ValueError(f"seed must be an integer from 0 to 2**32 - 1. Received: seed={seed!r}")
    return number
