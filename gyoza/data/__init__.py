"""Pairs to train flows on, from latents and labels, and what to know before: factor sizes, rows to validate on.

Only ``FactorPairs`` needs Keras, and so Keras is imported with it, not before.
"""

from typing import TYPE_CHECKING, Any

from gyoza.data.files import LabelColumn, read_labels, read_latents
from gyoza.data.sampling import PairRows, PairSampler
from gyoza.data.sizes import FactorSizes, estimate_factor_sizes
from gyoza.data.splitting import split_rows

if TYPE_CHECKING:
    from gyoza.data.dataset import FactorPairs

__all__ = [
    "FactorPairs",
    "FactorSizes",
    "LabelColumn",
    "PairRows",
    "PairSampler",
    "estimate_factor_sizes",
    "read_labels",
    "read_latents",
    "split_rows",
]


def __getattr__(name: str) -> Any:
    """Import ``FactorPairs``, and Keras, when it is first asked for."""
    if name != "FactorPairs":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gyoza.data.dataset import FactorPairs  # noqa: PLC0415 - Keras is an optional extra.

    return FactorPairs
