"""Swaps: give a code another one's block, send it through the host, and see whether only that factor has changed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gyoza.inference.checks import Flow
from gyoza.metrics.arrays import Floats, Integers
from gyoza.metrics.blocks import Blocks, join, split, swap
from gyoza.metrics.labels import Factor, Labels, as_factor, as_labels, check_alike
from gyoza.metrics.probes import Probes

__all__ = ["Host", "SwapConsistency", "SwapScores", "Swapped", "draw_donors", "send_swap", "swap_consistency"]


class Host(Protocol):
    """The network whose latents the flow takes, as two halves."""

    def encode(self, inputs: Any) -> Any:
        """Map inputs to latents [n, D]."""

    def decode(self, latents: Floats) -> Any:
        """Map latents [n, D] to outputs, which ``encode`` takes."""


@dataclass(frozen=True, eq=False)
class Swapped:
    """Codes of which one block was swapped between rows, before and after."""

    factor: str
    """Whose block was swapped."""
    donors: Integers
    """[n], the row that each row got the block from."""
    before: Blocks
    """Block name to [n, size]."""
    after: Blocks
    """The blocks of what came back."""
    latents: Floats | None = None
    """[n, D], of the inverted flow."""
    outputs: Any = None
    """What the host made of the latents, where there is a host."""


@dataclass(frozen=True)
class SwapScores:
    """How well swapped codes give what is expected of them: accuracies, and R² clipped to 0..1."""

    follows: float
    """How well the swapped factor is the donor's."""
    keeps: Mapping[str, float]
    """How well each other factor is still the row's own."""


@dataclass(frozen=True)
class SwapConsistency:
    """How consistent the swap of one factor is."""

    factor: str
    """Which was swapped."""
    as_read: SwapScores
    """Compared with what the probes read before the swap, so that their mistakes do not count."""
    as_labelled: SwapScores
    """Compared with the truth."""


def draw_donors(labels: ArrayLike, *, seed: int) -> Integers:
    """Draw for each row another one that differs in a factor.

    Args:
        labels: The factor's classes [n] or quantities [n] or [n, d].
        seed: Of the draws.

    Returns:
        Rows [n].

    Raises:
        TypeError: The labels are neither classes nor quantities.
        ValueError: They do not vary, are not finite, or have another shape.

    Example:
        >>> draw_donors(["red", "blue", "red"], seed=0)
        array([1, 0, 1])
    """
    values = as_factor(labels, len(np.asarray(labels)), "labels").values
    rng, rows = np.random.default_rng(seed), values.reshape(len(values), -1)
    donors = rng.integers(0, len(rows), len(rows))
    while (same := (rows[donors] == rows).all(axis=1)).any():
        donors[same] = rng.integers(0, len(rows), same.sum())
    return donors


def send_swap(flow: Flow, blocks: Blocks, factor: str, donors: Integers, *, host: Host | None = None) -> Swapped:
    """Swap a factor between rows, invert the flow, go through the host and back, and encode again.

    Args:
        flow: Such as a ``gyoza.inference.CompiledFlow``.
        blocks: Of n codes, block name to [n, size], in the order of the code.
        factor: Whose block each row gets from its donor.
        donors: [n], rows of the same blocks.
        host: Decodes latents to outputs, and encodes these to latents again. None leaves it out, and then what comes
            back are the swapped codes themselves, to rounding: it is the host that makes a swap a test.

    Returns:
        The blocks before and after, the latents, and the host's outputs.

    Raises:
        ValueError: There is no such block, or the donors are not n of its rows.
        TypeError: The donors are no integers.

    Example:
        >>> from gyoza.inference import CompiledFlow
        >>> from gyoza.inference.plan import Affine, Plan
        >>> flow = CompiledFlow(Plan((Affine(np.full(2, 2.0), np.zeros(2)),), (2,), (2,), np.dtype("float64")))
        >>> blocks = split(flow.encode([[1.0, 2.0], [3.0, 4.0]])[0], {"residual": 1, "color": 1})
        >>> send_swap(flow, blocks, "color", np.array([1, 0])).latents
        array([[1., 4.],
               [3., 2.]])
    """
    sizes = {name: block.shape[1] for name, block in blocks.items()}
    latents = flow.invert(join(swap(blocks, factor, donors)))
    outputs = None if host is None else host.decode(latents)
    codes, _ = flow.encode(latents if host is None else host.encode(outputs))
    return Swapped(factor, donors, blocks, split(codes, sizes), latents, outputs)


def swap_consistency(probes: Probes, swapped: Swapped, labels: Labels) -> SwapConsistency:
    """Measure whether a swap gave each row its donor's factor and left it the others.

    Args:
        probes: Made on blocks and labels of training rows; they read every factor from its own block.
        swapped: By ``send_swap``, or made of arrays of blocks before and after.
        labels: Of the rows before the swap, for each factor of the probes.

    Returns:
        How well the factor follows the donor and how well each other one is kept, by accuracy (classes) and by R²
        clipped to 0..1 (quantities).

    Raises:
        TypeError: Blocks hold no real numbers, labels are neither classes nor quantities, or donors no integers.
        ValueError: Shapes, rows, names or forms do not fit together, something is not finite, labels do not vary, or
            the probes know no such factor.

    Example:
        >>> color, angle = np.random.default_rng(0).uniform(size=(2, 200))
        >>> labels, blocks = {"color": color, "angle": angle}, {"color": color[:, None], "angle": angle[:, None]}
        >>> donors = draw_donors(color, seed=0)
        >>> swapped = Swapped("color", donors, before=blocks, after=swap(blocks, "color", donors))
        >>> swap_consistency(Probes(blocks, labels), swapped, labels).as_labelled
        SwapScores(follows=1.0, keeps={'angle': 1.0})
    """
    factor, donors = swapped.factor, swapped.donors
    if factor not in probes.labels:
        raise ValueError(
            f"factor must be one of the probes'. Received: factor={factor!r}, factors={list(probes.labels)}"
        )
    found, read = probes.read(swapped.after), probes.read(swapped.before)
    truth = as_labels(labels, len(found[factor]), "labels")
    check_alike(probes.labels, truth)
    true = {name: kind.values for name, kind in truth.items()}
    as_read, as_labelled = (_compare(truth, swap(values, factor, donors), found, factor) for values in (read, true))
    return SwapConsistency(factor, as_read, as_labelled)


def _compare(
    kinds: Mapping[str, Factor], expected: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]], factor: str
) -> SwapScores:
    scores = {
        name: max(0.0, replace(kind, values=expected[name]).agreement(found[name])) for name, kind in kinds.items()
    }
    return SwapScores(scores.pop(factor), scores)
