"""Names and sizes of factors."""

import re
from collections.abc import Mapping, Sequence

FACTOR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
RESERVED_NAMES = frozenset({"latents", "codes", "logdet", "log_likelihood"})


def checked_factors(factors: Mapping[str, int] | Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """Return factors as pairs of name and size.

    Raises:
        ValueError: There are none, a name is not allowed or there twice, or a size is below 1.
    """
    pairs = tuple((name, size) for name, size in (factors.items() if isinstance(factors, Mapping) else factors))
    names = [name for name, _ in pairs]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"factors must hold at least one factor, and each name once. Received: factors={names}")
    for name, size in pairs:
        if not FACTOR_NAME.fullmatch(name) or name in RESERVED_NAMES:
            raise ValueError(
                f"A factor's name must match {FACTOR_NAME.pattern} and be none of {sorted(RESERVED_NAMES)}. "
                f"Received: name={name!r}"
            )
        if size < 1:
            raise ValueError(f"A factor's size must be at least 1. Received: {name}={size}")
    return pairs
