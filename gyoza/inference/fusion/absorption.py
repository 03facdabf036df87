"""Shifts and scales of single columns move towards the latents, until they meet a linear step or each other."""

from collections.abc import Sequence
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
    "pass_coupling",
    "shifted",
    "swap",
    "unscaled",
]

LARGEST_SHIFT = 8.0
"""A step that subtracts a larger location, in units of what it scales to 1, stays as it is: merged with others, it would
lose so many times the rounding error. The same holds of one that would pass a coupling and whose location is larger."""
LARGEST_SCALE = 1e3
"""And one that scales by more than this, or by less than its reciprocal, lest the numbers in between leave their range."""


def absorb(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Move every gentle ``Affine`` as far towards the latents as it goes, and join those that meet."""
    moved: list[Step] = []
    carried: Affine | None = None
    for step in reversed(steps):
        if isinstance(step, Affine) and is_gentle(step):
            if carried and not is_gentle(joined := join(step, carried)):
                moved.append(carried)
                carried = step
            else:
                carried = joined if carried else step
        elif carried and (passed := swap(step, carried)):
            carried, other = passed
            moved.append(other)
        else:
            moved += [carried, step] if carried else [step]
            carried = None
    return tuple(reversed([*moved, carried] if carried else moved))


def is_gentle(step: Affine) -> bool:
    """Whether a step can be merged with others without loss."""
    size = np.abs(step.scale)
    return bool(
        np.all(np.abs(step.location * step.scale) <= LARGEST_SHIFT)
        and np.all((size <= LARGEST_SCALE) & (size >= 1 / LARGEST_SCALE))
    )


def join(first: Affine, second: Affine) -> Affine:
    """Return the one step that does what two do one after the other."""
    return Affine(first.scale * second.scale, first.location + second.location / first.scale)


def swap(step: Step, after: Affine) -> tuple[Affine, Step] | None:
    """Swap a step and the shift and scale after it.

    Returns:
        Both in their new order; None where the step can't take these in.
    """
    if isinstance(step, Gather):
        return Affine(after.scale[step.inverse], after.location[step.inverse]), step
    if not isinstance(step, Coupling) or not isinstance(step.law, Additive | BoundedAffine):
        return None
    network = step.network
    if not isinstance(network, DenseNetwork) or network.layers[-1].activation != "linear":
        return None
    # The kept columns will be rounded once they are shifted, at the size of the location: theirs may be smaller.
    if np.any(np.abs(after.location[step.kept]) > LARGEST_SHIFT):
        return None
    return pass_coupling(step, network, after)


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
