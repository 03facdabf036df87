"""The layers that a flow is made of, those of flows inside it included."""

from collections.abc import Iterable, Iterator
from typing import Any

from keras import ops

from gyoza.modelling.flow_layers.normalization import ActivationNormalization

__all__ = ["check_distinct", "leaves", "waits_for_data"]


def waits_for_data(layer: Any) -> bool:
    """Whether the first batch of training will initialise a layer."""
    normalizes = isinstance(layer, ActivationNormalization) and layer.trainable
    return normalizes and not ops.convert_to_numpy(layer._initialized_)


def leaves(model: Any) -> Iterator[Any]:
    """Yield the layers of a flow in order; of a flow in it, the layers of that one."""
    for layer in model._flow_layers_:
        if hasattr(layer, "_flow_layers_"):
            yield from leaves(layer)
        else:
            yield layer


def check_distinct(layers: Iterable[Any]) -> None:
    """Refuse flow layers of which two are the same object, or have the same network.

    Raises:
        ValueError: Two of them are, or have.
    """
    owners: dict[int, str] = {}
    for layer in layers:
        network = getattr(layer, "_compute_coupling_parameters_", None)
        for part in [layer] if network is None else [layer, network]:
            if id(part) in owners:
                raise ValueError(
                    "Each flow layer, and the network of each coupling, must be an object of its own, or the flow could "
                    f"be saved but not loaded. Received: {part.name} in {owners[id(part)]} and in {layer.name}"
                )
            owners[id(part)] = layer.name
