"""The plain layers of a config that names code of others too: each by itself, so that the others' code is left out."""

from collections.abc import Iterator, Mapping
from typing import Any

from gyoza.allow_list import KERAS_LAYER_MODULES, KERAS_LAYERS, is_known, named_nodes
from gyoza.loading.sizes import made
from gyoza.modelling import keras
from gyoza.modelling.original import is_of_gyoza

__all__ = ["called", "plain_layers"]

CONTAINERS = frozenset({"Functional", "InputLayer", "Sequential", "SpectralNormalization"})
"""Layers of Keras whose weights are those of the layers in them."""
GYOZA_CONTAINERS = ("Constraint_", "Coupling", "FlowLayer", "Mask", "Model")
"""How the names of gyoza's classes end that have no weights but those of the layers in them."""


def plain_layers(config: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place and the node of each layer that is on the list and may have weights of its own.

    Args:
        config: A config of which everything is allowed.

    Yields:
        The layer's place, and its node without what others' code is in it.
    """
    for place, node in named_nodes(config):
        if is_plain_layer(node):
            yield place, without_others(node)


def is_plain_layer(node: Mapping[str, Any]) -> bool:
    """Whether a node is a layer on the list that may have weights of its own."""
    module, name = node.get("module"), node["class_name"]
    if not is_known(node):
        return False
    if is_of_gyoza(module):
        return not name.endswith(GYOZA_CONTAINERS)
    return module in KERAS_LAYER_MODULES and name in KERAS_LAYERS - CONTAINERS


def without_others(value: Any) -> Any:
    """Return a part of a config in which the defaults stand in for objects of classes that are not on the list."""
    if isinstance(value, dict):
        return {key: without_others(item) for key, item in value.items() if not is_others(item)}
    return [without_others(item) for item in value if not is_others(item)] if isinstance(value, list) else value


def is_others(value: Any) -> bool:
    """Whether a part of a config names a class that is not on the list."""
    return isinstance(value, dict) and "class_name" in value and not is_known(value)


def called(node: Mapping[str, Any]) -> Any:
    """Make the layer of a node and call it on what it was built for.

    Raises:
        ValueError: The node does not say what that is.
        Exception: Whatever the layer raises.
    """
    build = node.get("build_config")
    shape = build.get("input_shape") if isinstance(build, Mapping) else None
    if not isinstance(shape, list) or not shape:
        raise ValueError(f"its build_config must hold the input_shape that it was built for. Received: {build!s:.80}")
    layer = made(node)
    layer([keras.KerasTensor(part) for part in shape] if isinstance(shape[0], list) else keras.KerasTensor(shape))
    return layer
