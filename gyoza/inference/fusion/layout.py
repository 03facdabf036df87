"""The order in which columns lie: chosen so that permutations cost nothing and couplings find their columns side by side.

``order`` [D] says which column of the flow lies in each place. A matrix may give out its columns in any order, so the
one before a coupling gives out those that the coupling changes side by side, and those that it keeps.
"""

from collections.abc import Sequence
from functools import singledispatch

import numpy as np

from gyoza.inference.plan import (
    Affine,
    Columns,
    Coupling,
    Dense,
    DenseNetwork,
    Gather,
    Indices,
    Linear,
    Step,
)

__all__ = [
    "arrange",
    "as_indices",
    "fits",
    "fitted",
    "permuted",
    "place",
    "ranks_of",
    "reordered",
    "runs_on",
    "side_by_side",
    "slice_of",
    "wanted",
]


def arrange(steps: Sequence[Step], size: int) -> tuple[Step, ...]:
    """Return steps that do the same, with as few gathers as the layout allows.

    Args:
        steps: Without rotations, which are linear steps here.
        size: D, the columns of a row.

    Returns:
        The steps; every coupling of a dense network has slices for its columns.
    """
    order, arranged = np.arange(size), list[Step]()
    for number, step in enumerate(steps):
        placed, order = place(step, order, steps[number + 1 :])
        arranged += placed
    return (*arranged, *reordered(order, np.arange(size)))


@singledispatch
def place(step: Step, order: Indices, _: Sequence[Step]) -> tuple[list[Step], Indices]:
    """Fit a step to the order of the columns that it gets, with an eye on the steps after it.

    Returns:
        The step, perhaps after a gather; the order of the columns that it gives.
    """
    straight = np.arange(order.size)
    return [*reordered(order, straight), step], straight


@place.register
def _(step: Gather, order: Indices, _: Sequence[Step]) -> tuple[list[Step], Indices]:
    return [], step.inverse[order]


@place.register
def _(step: Affine, order: Indices, _: Sequence[Step]) -> tuple[list[Step], Indices]:
    return [Affine(step.scale[order], step.location[order])], order


@place.register
def _(step: Linear, order: Indices, rest: Sequence[Step]) -> tuple[list[Step], Indices]:
    if len(step.matrix) != order.size:
        straight = np.arange(order.size)
        return [*reordered(order, straight), step], straight
    given = wanted(rest, order.size)
    fitted = Linear(
        step.matrix[np.ix_(order, given)],
        step.inverse[np.ix_(given, order)],
        step.logdet,
        None if step.shift is None else step.shift[given],
        None if step.unshift is None else step.unshift[order],
    )
    return [fitted], given


@place.register
def _(step: Coupling, order: Indices, _: Sequence[Step]) -> tuple[list[Step], Indices]:
    given = order if fits(step, order) else side_by_side(step)
    return [*reordered(order, given), fitted(step, given)], given


def reordered(order: Indices, other: Indices) -> list[Step]:
    """Return the gather from one order to another, nothing where they are the same."""
    return [] if np.array_equal(order, other) else [Gather(np.argsort(order)[other])]


def wanted(rest: Sequence[Step], size: int) -> Indices:
    """Return the order of columns in which the steps that come next need no gather."""
    order = np.arange(size)
    for step in rest:
        if isinstance(step, Gather):
            order = order[step.indices]
        elif isinstance(step, Coupling):
            return order[side_by_side(step)]
        elif not isinstance(step, Affine):
            break
    return order


def side_by_side(step: Coupling) -> Indices:
    """Return an order in which the changed columns of a coupling lie side by side, and the kept ones."""
    parts = sorted((as_indices(step.changed), as_indices(step.kept)), key=lambda part: part[:1].tolist())
    return np.concatenate(parts)


def as_indices(columns: Columns) -> Indices:
    """Return columns as indices."""
    return np.arange(columns.start, columns.stop) if isinstance(columns, slice) else columns


def fits(step: Coupling, order: Indices) -> bool:
    """Whether a coupling finds its columns side by side, and in their own order where its network is only called."""
    together = [runs_on(np.sort(ranks_of(columns, order))) for columns in (step.kept, step.changed)]
    if isinstance(step.network, DenseNetwork):
        return all(together)
    return all(together) and all(runs_on(ranks_of(columns, order)) for columns in (step.kept, step.changed))


def ranks_of(columns: Columns, order: Indices) -> Indices:
    """Return in which places columns lie."""
    return np.argsort(order)[as_indices(columns)]


def runs_on(places: Indices) -> bool:
    """Whether places follow each other."""
    return bool(np.all(np.diff(places) == 1))


def fitted(step: Coupling, order: Indices) -> Coupling:
    """Return a coupling for an order of columns that fits it."""
    kept, changed = (ranks_of(columns, order) for columns in (step.kept, step.changed))
    network = step.network
    if isinstance(network, DenseNetwork):
        network = permuted(network, np.argsort(kept), np.argsort(changed))
    return Coupling(slice_of(kept), slice_of(changed), network, step.law)


def slice_of(places: Indices) -> slice:
    """Return the slice that holds places which lie side by side in some order."""
    return slice(int(places.min()), int(places.max()) + 1) if places.size else slice(0, 0)


def permuted(network: DenseNetwork, kept: Indices, changed: Indices) -> DenseNetwork:
    """Let a network take its inputs, and give each kind of its parameters, in another order."""
    first, *others = network.layers
    layers = [Dense(first.kernel[kept], first.bias, first.activation), *others]
    last = layers[-1]
    columns = (np.arange(0, last.bias.size, max(changed.size, 1))[:, None] + changed).ravel()
    layers[-1] = Dense(last.kernel[:, columns], last.bias[columns], last.activation)
    return DenseNetwork(tuple(layers))
