"""What a factor may be called: one rule for the models, the service and the files beside a flow. No Keras here."""

import re
from typing import Any

__all__ = ["FACTOR_NAME", "RESERVED_NAMES", "RESIDUAL", "check_factor_name"]

FACTOR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""What a whole name must match."""
RESERVED_NAMES = frozenset({"latents", "codes", "logdet", "log_likelihood"})
"""Names that stand for something else wherever factors are named."""
RESIDUAL = "residual"
"""The factor for all that no label tells, first in every code."""


def check_factor_name(name: Any) -> None:
    """Check that a factor may be called so.

    Args:
        name: What it is to be called.

    Raises:
        ValueError: It may not.
    """
    if not isinstance(name, str) or not FACTOR_NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise ValueError(
            f"A factor's name must match {FACTOR_NAME.pattern} and be none of {sorted(RESERVED_NAMES)}. "
            f"Received: name={name!r}"
        )
