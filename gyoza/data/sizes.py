"""How many entries of a code each factor should get, estimated from pairs. No Keras here."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np

from gyoza.data.checks import checked_latents
from gyoza.data.labels import checked_names
from gyoza.factors import RESIDUAL
from gyoza.inference.plan import Floats

__all__ = ["FactorSizes", "estimate_factor_sizes"]


@dataclass(frozen=True)
class FactorSizes:
    """What pairs say about the size of each factor."""

    sizes: Mapping[str, int]
    """Factor names to entries of the code, the residual first: each at least 1, D in all."""
    scores: Mapping[str, float]
    """Factor names to scores, at most 1 (the residual's): what the sizes were made of."""


def estimate_factor_sizes(pairs: Mapping[str, tuple[Any, Any]]) -> FactorSizes:
    r"""Estimate how many entries of the code each factor should get.

    The score of a factor F is how much of the latents' variance is common to pairs that share F,

    .. math::
        s_F = \frac{\sum_i \mathrm{Cov}(a_i, b_i)}{\sum_i \frac{1}{2} (\mathrm{Var}(a_i) + \mathrm{Var}(b_i))},

    the residual's score is 1, and factor F gets :math:`\lfloor \mathrm{softmax}(s)_F \cdot D \rfloor` entries, at least
    1. The residual gets the rest; where that is nothing, the largest factor gives one up.

    Scores lie between -1 and 1, so the softmax tells sizes apart by a factor of e² at most, and of e for scores from 0
    on: take the sizes as a mild prior, not as a measurement, and look at the scores beside them.

    Args:
        pairs: Factor names to latents a [n, …] and b [n, …] of pairs that share the factor, n ≥ 2, such as those of
            ``FactorPairs.pairs_sharing``. All latents have the same shape, D entries each.

    Returns:
        The sizes, ready for ``DisentanglingFlowModel(factors=…)``, and the scores.

    Raises:
        TypeError: ``pairs`` is no mapping, or latents are no floats.
        ValueError: A factor's name is not allowed, latents differ in their shape, are not finite or do not vary, or
            there are fewer entries than factors with the residual.

    References:
        Esser, P., Rombach, R. & Ommer, B. (2020) "A disentangling invertible interpretation network for explaining
        latent representations" arXiv:2004.13166

    Example:
        >>> a = np.array([[1.0, 1, 0, 0], [-1, 1, 0, 0], [1, -1, 0, 0], [-1, -1, 0, 0]])
        >>> found = estimate_factor_sizes({"color": (a, a), "angle": (a, a * [1, -1, 1, 1])})
        >>> found.scores
        {'residual': 1.0, 'color': 1.0, 'angle': 0.0}
        >>> found.sizes
        {'residual': 2, 'color': 1, 'angle': 1}
    """
    names = checked_names(pairs, "pairs")
    checked = {name: checked_pair(name, pairs[name]) for name in names}
    sizes = {name: one.shape[1] for name, (one, _) in checked.items()}
    size = sizes[names[0]]
    if len(set(sizes.values())) > 1:
        raise ValueError(f"pairs must be of latents of one size. Received: sizes={sizes}")
    if size <= len(names):
        raise ValueError(
            f"Latents must have at least {len(names) + 1} entries, one for each factor and one for the residual; leave "
            f"factors out. Received: {size} entries, pairs of {names}"
        )
    scores = {RESIDUAL: 1.0, **{name: common_variance(name, *pair) for name, pair in checked.items()}}
    return FactorSizes(share_entries(scores, size), scores)


def checked_pair(name: str, pair: Any) -> tuple[Floats, Floats]:
    """Return the latents of pairs as [n, D] each."""
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ValueError(f"pairs[{name!r}] must be a tuple (a, b) of latents. Received: {type(pair)}")
    one, two = (checked_latents(f"pairs[{name!r}][{place}]", latents) for place, latents in enumerate(pair))
    if one.shape != two.shape:
        raise ValueError(
            f"pairs[{name!r}] must have latents of the same shape twice. Received: shapes {one.shape} and {two.shape}"
        )
    return one.reshape(len(one), -1), two.reshape(len(two), -1)


def common_variance(name: str, one: Floats, two: Floats) -> float:
    """Return the score of pairs: latents a and b, [n, D] each."""
    one, two = (latents - latents.mean(axis=0, dtype="float64") for latents in (one, two))
    variance = (np.vdot(one, one) + np.vdot(two, two)) / 2
    if not variance:
        raise ValueError(f"pairs[{name!r}] must have latents that vary. Received: the same latent throughout")
    return float(np.vdot(one, two) / variance)


def share_entries(scores: Mapping[str, float], size: int) -> dict[str, int]:
    """Return how many of ``size`` entries each factor gets for its score, the residual (first) the rest."""
    weights = np.exp(list(scores.values()))
    shares = [max(1, floor(share * size)) for share in (weights / weights.sum())[1:]]
    while sum(shares) >= size:
        shares[shares.index(max(shares))] -= 1
    return dict(zip(scores, [size - sum(shares), *shares], strict=True))
