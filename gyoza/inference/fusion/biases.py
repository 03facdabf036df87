"""Biases of relu layers move into the layer behind: relu(h + b) @ W + c = max(h, −b) @ W + (c + b @ W), one step less."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from gyoza.inference.plan import Coupling, Dense, DenseNetwork, Floor, FoldedNetwork, Step

__all__ = ["LARGEST_FOLDED", "can_fold", "fold", "folded"]

LARGEST_FOLDED = 8.0
"""A bias that would add more to the next layer stays: its unit, where it is off, would give −b and then b again, and lose so
many times the rounding error of numbers near 1."""


def fold(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Fold the dense networks of couplings."""
    return tuple(
        replace(step, network=folded(step.network))
        if isinstance(step, Coupling) and isinstance(step.network, DenseNetwork)
        else step
        for step in steps
    )


def folded(network: DenseNetwork) -> FoldedNetwork:
    """Return a network that computes the same, with a floor in place of each bias that can be folded."""
    layers: list[Dense | Floor] = []
    layer, *others = network.layers
    for after in others:
        if can_fold(layer, after):
            bias = layer.bias.astype(np.float64)
            layers.append(Floor(layer.kernel, -bias))
            layer = replace(after, bias=after.bias + bias @ after.kernel.astype(np.float64))
        else:
            layers.append(layer)
            layer = after
    return FoldedNetwork((*layers, layer))


def can_fold(layer: Dense, after: Dense) -> bool:
    """Whether the layer behind can add a layer's bias without loss."""
    added = np.abs(layer.bias.astype(np.float64)) @ np.abs(after.kernel.astype(np.float64))
    return layer.activation == "relu" and bool(np.all(added <= LARGEST_FOLDED))
