"""Names and sizes of factors."""

from collections.abc import Mapping, Sequence

from gyoza.factors import check_factor_name
from gyoza.modelling.axes import as_integers

__all__ = ["checked_factors"]


def checked_factors(factors: Mapping[str, int] | Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """Return factors as pairs of name and size.

    Raises:
        ValueError: There are none, a name is not allowed or there twice, or a size is below 1.
        TypeError: A size is no integer.
    """
    pairs = [(name, size) for name, size in (factors.items() if isinstance(factors, Mapping) else factors)]
    names = [name for name, _ in pairs]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"factors must hold at least one factor, and each name once. Received: factors={names}")
    for name in names:
        check_factor_name(name)
    sizes = as_integers((size for _, size in pairs), "factors")
    for name, size in zip(names, sizes, strict=True):
        if size < 1:
            raise ValueError(f"A factor's size must be at least 1. Received: {name}={size}")
    return tuple(zip(names, sizes, strict=True))
