"""What a plan tells of the model that it was lowered from."""

from collections.abc import Mapping
from typing import Any

import keras

from gyoza import __version__
from gyoza.factors import FACTOR_NAME, RESERVED_NAMES
from gyoza.inference.plan import Origin

__all__ = ["is_layout", "libraries", "origin"]


def origin(model: Any) -> Origin:
    """Describe a built flow model: its factors if it has any, its layers and weights, the libraries that made it."""
    factors = getattr(model, "factors", None)
    return Origin(factors if is_layout(factors) else None, len(model._flow_layers_), model.count_params(), libraries())


def libraries() -> dict[str, str]:
    """Return the libraries that make a plan, name to version."""
    return {"gyoza": __version__, "keras": keras.__version__, "backend": keras.backend.backend()}


def is_layout(factors: Any) -> bool:
    """Whether a model's ``factors`` map names of factors to sizes; a model of one's own may call anything so."""
    return (
        isinstance(factors, Mapping)
        and len(factors) > 0
        and all(isinstance(name, str) and FACTOR_NAME.fullmatch(name) for name in factors)
        and not RESERVED_NAMES.intersection(factors)
        and all(type(size) is int and size > 0 for size in factors.values())
    )
