"""Shifts and scales of single columns move towards the latents, until they meet a linear step or each other."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from gyoza.inference.plan import (
    Additive,
    Affine,
    BoundedAffine,
    Coupling,
    Dense,
    DenseNetwork,
    Floats,
    Gather,
    Step,
)

__all__ = [
    "LARGEST_SCALE",
    "LARGEST_SHIFT",
    "absorb",
    "is_gentle",
    "join",
    "open_network",
    "pass_coupling",
    "settle",
    "shifted",
    "unscaled",
]

LARGEST_SHIFT = 8.0
"""A step that subtracts a larger location, in units of what it scales to 1, stays as it is: merged with others, it would
lose so many times the rounding error."""
LARGEST_SCALE = 1e3
"""And one that scales by more than this, or by less than its reciprocal, lest the numbers in between leave their range."""


def absorb(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Move every gentle ``Affine`` as far towards the latents as it goes, and join those that meet."""
    settled: list[Step] = []
    for step in steps:
        if isinstance(step, Affine) and is_gentle(step):
            settle(settled, step)
        else:
            settled.append(step)
    return tuple(settled)


def is_gentle(step: Affine) -> bool:
    """Whether a step can be merged with others without loss."""
    size = np.abs(step.scale)
    return bool(
        np.all(np.abs(step.location * step.scale) <= LARGEST_SHIFT)
        and np.all((size <= LARGEST_SCALE) & (size >= 1 / LARGEST_SCALE))
    )


def settle(settled: list[Step], step: Affine) -> None:
    """Find the place of a gentle step at the end of others, and change those that it passes."""
    passed: list[Step] = []
    while settled:
        last = settled[-1]
        if isinstance(last, Gather):
            step = Affine(step.scale[last.inverse], step.location[last.inverse])
            passed.append(settled.pop())
        elif isinstance(last, Coupling) and (network := open_network(last)):
            step, changed = pass_coupling(last, network, step)
            settled.pop()
            passed.append(changed)
        else:
            break
    if settled and isinstance(settled[-1], Affine) and is_gentle(joined := join(settled[-1], step)):
        settled[-1] = joined
    else:
        settled.append(step)
    settled.extend(reversed(passed))


def join(first: Affine, second: Affine) -> Affine:
    """Return the one step that does what two do one after the other."""
    return Affine(first.scale * second.scale, first.location + second.location / first.scale)


def open_network(coupling: Coupling) -> DenseNetwork | None:
    """Return the coupling's network if it can take a shift and a scale into its first and its last layer."""
    network = coupling.network
    if not isinstance(coupling.law, Additive | BoundedAffine) or not isinstance(network, DenseNetwork):
        return None
    return network if network.layers[-1].activation == "linear" else None


def pass_coupling(coupling: Coupling, network: DenseNetwork, step: Affine) -> tuple[Affine, Coupling]:
    """Swap a coupling and the step after it.

    The kept columns arrive shifted and scaled, which the network's first layer undoes. The changed ones arrive scaled,
    and their shift is added as part of t: before the law, it would be scaled by exp(σ).

    Returns:
        The step, now before; the coupling, now after.
    """
    kept, changed = coupling.kept, coupling.changed
    location = step.location.copy()
    location[changed] = 0
    layers = list(network.layers)
    layers[0] = unscaled(layers[0], step.scale[kept], step.location[kept])
    layers[-1] = shifted(layers[-1], step.scale[changed], step.location[changed])
    return Affine(step.scale, location), replace(coupling, network=DenseNetwork(tuple(layers)))


def unscaled(layer: Dense, scale: Floats, location: Floats) -> Dense:
    """Return a layer that does with (x − location) · scale what it did with x."""
    kernel, bias = layer.kernel.astype(np.float64), layer.bias.astype(np.float64)
    return Dense(kernel / scale[:, None], bias + location @ kernel, layer.activation)


def shifted(layer: Dense, scale: Floats, location: Floats) -> Dense:
    """Return a linear layer whose first outputs, the shift t of a coupling, become (t − location) · scale."""
    kernel, bias = layer.kernel.astype(np.float64), layer.bias.astype(np.float64)
    size = len(scale)
    kernel[:, :size] *= scale
    bias[:size] = (bias[:size] - location) * scale
    return Dense(kernel, bias, layer.activation)
