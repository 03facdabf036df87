"""What a plan tells of the model that it was lowered from."""

from typing import Any

import keras

from gyoza import __version__
from gyoza.inference.plan import Origin

__all__ = ["origin"]


def origin(model: Any) -> Origin:
    """Describe a built flow model: its factors if it has any, its layers and weights, the libraries that made it."""
    libraries = {"gyoza": __version__, "keras": keras.__version__, "backend": keras.backend.backend()}
    return Origin(getattr(model, "factors", None), len(model._flow_layers_), model.count_params(), libraries)
