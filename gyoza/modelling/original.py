"""Files of gyoza 0.3: under which names they hold our classes, what their configs lack, and how both are mended.

That library registered its classes in Keras' default package, ``Custom``, where everybody's own classes are too. Ours
are registered in the package ``gyoza``; only the two models can also be found by their old names, for ``load_model`` of
Keras, and only while nobody else registers these. The parts of such a model are found by our names, so a class that
someone registered as ``Custom>Reflection`` is neither used for them nor touched.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras

__all__ = [
    "ORIGINAL_PACKAGE",
    "SIZES",
    "complete",
    "is_of_gyoza",
    "lacks_sizes",
    "make_readable",
    "renamed",
    "with_sizes",
]

ORIGINAL_PACKAGE = "Custom"
"""The package under which gyoza 0.3 registered its classes."""
SIZES = "dimensions_per_factor"
LOSS = "SupervisedFactorLoss"


def is_of_gyoza(module: Any) -> bool:
    """Whether a module is one of gyoza's that hold layers."""
    return isinstance(module, str) and f"{module}.".startswith("gyoza.modelling.")


def renamed(value: Any) -> Any:
    """Return a config in which the classes that gyoza 0.3 registered bear the names under which ours are."""
    if isinstance(value, list):
        return [renamed(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: renamed(item) for key, item in value.items()}
    if "class_name" in value and is_of_gyoza(value.get("module")) and value.get("registered_name") is not None:
        changed["registered_name"] = f"gyoza>{value['class_name']}"
    return changed


def make_readable(model: Any) -> None:
    """Let Keras find a model by the name under which gyoza 0.3 registered it, unless that name is someone's own.

    Args:
        model: The class of the model. Files that are written anew hold the name under which it is registered itself.
    """

    class Reader:
        """Makes the model of a config whose parts bear the old names."""

        @staticmethod
        def from_config(config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
            return model.from_config(renamed(config), custom_objects)

    keras.saving.get_custom_objects().setdefault(f"{ORIGINAL_PACKAGE}>{model.__name__}", Reader)


def lacks_sizes(value: Any) -> bool:
    """Whether a config holds a factor loss that does not know how large its factors are, as gyoza 0.3 saved it."""
    if isinstance(value, list):
        return any(lacks_sizes(item) for item in value)
    if not isinstance(value, dict):
        return False
    return is_sizeless_loss(value) or any(lacks_sizes(item) for item in value.values())


def is_sizeless_loss(value: Mapping[str, Any]) -> bool:
    """Whether a node of a config is such a loss itself."""
    is_loss = value.get("class_name") == LOSS and is_of_gyoza(value.get("module"))
    return is_loss and SIZES not in (value.get("config") or {})


def with_sizes(value: Any, sizes: Sequence[int]) -> Any:
    """Return a config in which every factor loss knows the sizes of the factors.

    Args:
        value: A config, or a part of one.
        sizes: The number of entries of each factor, for the losses that do not know them.
    """
    if isinstance(value, list):
        return [with_sizes(item, sizes) for item in value]
    if not isinstance(value, dict):
        return value
    if is_sizeless_loss(value):
        return {**value, "config": {**(value.get("config") or {}), SIZES: list(sizes)}}
    return {key: with_sizes(item, sizes) for key, item in value.items()}


def complete(training: Mapping[str, Any], sizes: Sequence[int]) -> dict[str, Any]:
    """Return a training set-up that can be restored, whichever version of gyoza saved it.

    Args:
        training: The ``compile_config`` of a file.
        sizes: The sizes of the model's factors; empty where it does not know them. Then a loss that does not know them
            either is left aside, with a warning that says how to go on; the optimizer stays.

    Returns:
        What ``compile_from_config`` of a Keras model takes.
    """
    ours: dict[str, Any] = renamed(dict(training))
    if not lacks_sizes(ours) or sizes:
        filled: dict[str, Any] = with_sizes(ours, sizes)
        return filled
    warnings.warn(
        f"A file of gyoza 0.3 does not hold the {SIZES} of its {LOSS}: the loss is left aside, the optimizer is kept. "
        f"To go on training, load the file by gyoza.loading.load_model(path, {SIZES}=[…]), or call "
        f"model.compile(model.optimizer, {LOSS}([…])); the residual factor's size comes first.",
        UserWarning,
        stacklevel=2,
    )
    return {**ours, "loss": None}
