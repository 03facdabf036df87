"""Rows of pairs that share one factor each, drawn from labels alone. No Keras here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gyoza.data.labels import checked_correlations, checked_labels
from gyoza.data.partners import ClassPartners, NumberPartners, Partners
from gyoza.factors import RESIDUAL
from gyoza.inference.plan import Floats, Indices

__all__ = ["PairRows", "PairSampler"]


@dataclass(frozen=True, eq=False)
class PairRows:
    """Pairs, as the rows of what they are pairs of."""

    one: Indices
    """[n], the row of a."""
    two: Indices
    """[n], the row of b, never the same."""
    correlations: Floats
    """float32 [n, 1 + F]: 0 for the residual, then for every factor ρ where the pair shares it, else 0."""


class PairSampler:
    """Draws rows of pairs that share one factor each.

    Labels are of one of two kinds:

    - **Classes**, [n] integers, booleans or strings: a is any row whose class has another one, b any other row of that
      class. A class that is equal by chance, in a pair that shares another factor, counts as shared too.
    - **Numbers**, [n] or [n, d] floats: a is any row, and b the row whose label has the normal score nearest to
      ρ g + √(1 − ρ²) ε, g being that of a's label and ε standard normal, so that the labels of the pairs correlate as
      ``SupervisedFactorLoss`` takes the codes to (ρ, up to a monotone map of each column). Equal numbers are ranked in
      random order; make them integers if they are few and stand for classes. Several columns need scipy.

    Every row that has a partner is an a as often as any other. Factors that go together in the labels go together in
    the pairs: nothing here tells apart what the data does not.

    Args:
        labels: Factor names to the labels of n rows. Their order is that of ``correlations``' columns; names match
            ``[A-Za-z0-9][A-Za-z0-9_-]*`` and are none of residual, latents, codes, logdet and log_likelihood.
        correlations: ρ, between 0 and 1: how strongly pairs that share a factor correlate in it. One number for all
            factors or a mapping of names to one each.
        seed: What breaks ties of numbers; an integer.

    Attributes:
        rows: n.
        factors: The names of the correlations' columns: residual, then the factors.
        correlations: Factor names to ρ.

    Raises:
        TypeError: Labels or correlations are of no type that stands for them.
        ValueError: A factor's name is not allowed, or its labels or ρ are not; the message says which and where.
        ImportError: A factor has several numbers a row and scipy is not installed.

    References:
        Esser, P., Rombach, R. & Ommer, B. (2020) "A disentangling invertible interpretation network for explaining
        latent representations" arXiv:2004.13166

    Example:
        >>> sampler = PairSampler({"digit": [3, 5, 5, 3]}, correlations=0.75)
        >>> pairs = sampler.draw(2, np.random.default_rng(0))
        >>> pairs.one.tolist(), pairs.two.tolist(), pairs.correlations.tolist()
        ([2, 1], [1, 2], [[0.0, 0.75], [0.0, 0.75]])
    """

    def __init__(
        self, labels: Mapping[str, Any], *, correlations: float | Mapping[str, float] = 0.95, seed: int = 0
    ) -> None:
        """Check the labels and make ready what finds partners."""
        checked = checked_labels(labels)
        self.correlations = checked_correlations(correlations, list(checked))
        self.factors = (RESIDUAL, *checked)
        self.rows = len(next(iter(checked.values())))
        rng = np.random.default_rng(seed)
        self._partners: dict[str, Partners] = {
            name: NumberPartners(values, self.correlations[name], rng)
            if values.dtype.kind == "f"
            else ClassPartners(f"labels[{name!r}]", values)
            for name, values in checked.items()
        }

    def draw(self, count: int, rng: np.random.Generator, *, first: int = 0) -> PairRows:
        """Draw pairs that share one factor each, the factors in turn.

        Args:
            count: How many pairs.
            rng: Where the randomness comes from.
            first: Which factor's turn it is, counted on for ever: pair i shares factor (first + i) mod F. So one batch
                that begins where the last one ended gives every factor its equal share, to one pair.

        Returns:
            The rows and correlations of the pairs.
        """
        one, two = np.empty(count, np.intp), np.empty(count, np.intp)
        for place, partners in enumerate(self._partners.values()):
            turns = self._turns(place, first)
            one[turns], two[turns] = partners.draw(len(one[turns]), rng)
        correlations = np.zeros((count, len(self.factors)), np.float32)
        for place, (name, partners) in enumerate(self._partners.items()):
            shared = partners.equal(one, two)
            shared[self._turns(place, first)] = True
            correlations[:, place + 1] = shared * self.correlations[name]
        return PairRows(one, two, correlations)

    def draw_sharing(self, factor: str, count: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
        """Draw pairs that all share one factor.

        Args:
            factor: Its name.
            count: How many pairs.
            rng: Where the randomness comes from.

        Returns:
            The rows of a [count] and of b [count].

        Raises:
            ValueError: There is no such factor.
        """
        if factor not in self._partners:
            raise ValueError(f"factor must be one of {list(self._partners)}. Received: factor={factor!r}")
        return self._partners[factor].draw(count, rng)

    def _turns(self, place: int, first: int) -> slice:
        """Return which pairs share the factor at a place."""
        return slice((place - first) % len(self._partners), None, len(self._partners))
