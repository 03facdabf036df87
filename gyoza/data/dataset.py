"""Pairs of latents as a Keras dataset."""

from collections.abc import Mapping
from math import ceil, isfinite
from typing import Any

import numpy as np

from gyoza.data.checks import checked_integer, checked_latents
from gyoza.data.sampling import PairSampler
from gyoza.inference.plan import Floats, Indices
from gyoza.modelling import keras

__all__ = ["FactorPairs"]


class FactorPairs(keras.utils.PyDataset):
    """Batches of pairs of latents that share one factor each, for ``DisentanglingFlowModel.fit``.

    ``pairs[i]`` is ``((a, b), y)``: a and b [batch, …] in the latents' dtype, and y float32 [batch, 1 + F], what
    ``SupervisedFactorLoss`` takes: 0 for the residual, then ρ for every factor that the pair shares, else 0. Each
    factor is the shared one of every F-th pair; see ``gyoza.data.PairSampler`` for how partners are found.

    A batch depends on the seed, the epoch and the index alone, whichever worker draws it and in which order. ``fit``
    puts the batches of an epoch in random order unless told ``shuffle=False``. Let ``batches_per_epoch`` say how long an
    epoch is, not ``fit``'s ``steps_per_epoch``, or epochs begin amid the batches.

    Args:
        latents: [n, …] floats, kept as they are, neither copied nor changed; a file mapped into memory will do.
        labels: Factor names to classes [n] (integers, booleans, strings) or to numbers [n] or [n, d] (floats), in the
            order of the model's factors after the residual.
        correlations: ρ, between 0 and 1: one number, or factor names to one each.
        batch_size: How many pairs a batch has.
        batches_per_epoch: How many batches an epoch has; by default as many as take n pairs.
        noise: The standard deviation of the normal noise that is added to every entry, in the latents' unit. A little
            keeps a flow from learning single rows by heart.
        seed: An integer from 0 on; None draws one.
        redraw: Whether every epoch has pairs of its own. Give False for validation, so that losses compare.
        **kwargs: What every ``keras.utils.PyDataset`` takes: workers, use_multiprocessing, max_queue_size.

    Attributes:
        factors: The names of y's columns: residual, then the factors.
        correlations: Factor names to ρ.
        seed: What was given or drawn.
        epoch: Which epoch the next batch belongs to, from 0 on; set it to go on where a training ended.

    Raises:
        TypeError: An argument is of no type that stands for it.
        ValueError: Latents and labels do not fit together, or an argument is not allowed; for what labels must be, see
            ``gyoza.data.PairSampler``.
        ImportError: A factor has several numbers a row and scipy is not installed.

    References:
        Esser, P., Rombach, R. & Ommer, B. (2020) "A disentangling invertible interpretation network for explaining
        latent representations" arXiv:2004.13166

    Example:
        >>> latents = np.random.default_rng(0).normal(size=(100, 8))
        >>> labels = {"shape": np.arange(100) % 3, "size": latents[:, 0]}
        >>> pairs = FactorPairs(latents, labels, correlations={"shape": 0.75, "size": 0.5}, batch_size=4, seed=0)
        >>> (a, b), y = pairs[0]
        >>> a.shape, b.shape, len(pairs)
        ((4, 8), (4, 8), 25)
        >>> y.tolist()
        [[0.0, 0.75, 0.0], [0.0, 0.0, 0.5], [0.0, 0.75, 0.0], [0.0, 0.75, 0.5]]
    """

    def __init__(  # noqa: PLR0913 - what is drawn, and how: all keywords but two, as in Keras' own data sets.
        self,
        latents: Any,
        labels: Mapping[str, Any],
        *,
        correlations: float | Mapping[str, float] = 0.95,
        batch_size: int = 192,
        batches_per_epoch: int | None = None,
        noise: float = 0.0,
        seed: int | None = None,
        redraw: bool = True,
        **kwargs: Any,
    ) -> None:
        """Check everything and make ready what draws."""
        super().__init__(**kwargs)
        self.seed = int(np.random.default_rng().integers(2**32)) if seed is None else checked_integer("seed", seed, 0)
        self.batch_size = checked_integer("batch_size", batch_size, 1)
        self.noise = checked_noise(noise)
        self.redraw = redraw
        self.epoch = 0
        self._latents = checked_latents("latents", latents)
        self._sampler = PairSampler(labels, correlations=correlations, seed=self.seed)
        rows = self._sampler.rows
        if rows != len(self._latents):
            raise ValueError(
                "latents must have as many rows as every factor of labels. "
                f"Received: latents.shape={self._latents.shape}, labels of {rows} rows for {list(self.correlations)}"
            )
        default = ceil(rows / self.batch_size)
        self._batches = (
            default if batches_per_epoch is None else checked_integer("batches_per_epoch", batches_per_epoch, 1)
        )

    @property
    def factors(self) -> tuple[str, ...]:
        """The names of y's columns, in order: residual, then the factors."""
        return self._sampler.factors

    @property
    def correlations(self) -> dict[str, float]:
        """Factor names to ρ."""
        return self._sampler.correlations

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self._batches

    def __getitem__(self, index: int) -> tuple[tuple[Floats, Floats], Floats]:
        """Draw a batch.

        Args:
            index: Which one of this epoch.

        Returns:
            ``((a, b), y)``, with a and b [batch, …] and y [batch, 1 + F].

        Raises:
            IndexError: The epoch has no such batch.
        """
        if not 0 <= index < self._batches:
            raise IndexError(f"index must be one of 0 to {self._batches - 1}. Received: index={index}")
        rng = self._rng(self.epoch, index)
        first = (self.epoch * self._batches + index) * self.batch_size
        rows = self._sampler.draw(self.batch_size, rng, first=first)
        return (self._noisy(rows.one, rng), self._noisy(rows.two, rng)), rows.correlations

    def on_epoch_end(self) -> None:
        """Go on to the pairs of the next epoch, where every epoch has its own."""
        self.epoch += self.redraw

    def pairs_sharing(self, factor: str, count: int) -> tuple[Floats, Floats]:
        """Draw pairs that all share one factor, such as ``gyoza.data.estimate_factor_sizes`` takes.

        Args:
            factor: Its name.
            count: How many pairs.

        Returns:
            Latents a [count, …] and b [count, …], without noise, the same for the same seed.

        Raises:
            TypeError: ``count`` is no integer.
            ValueError: There is no such factor, or ``count`` is below 1.
        """
        known = self.factors.index(factor) if factor in self.factors else 0
        one, two = self._sampler.draw_sharing(factor, checked_integer("count", count, 1), self._rng(known))
        return self._latents[one], self._latents[two]

    def _rng(self, *key: int) -> np.random.Generator:
        """Return the stream of random numbers that belongs to a key."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def _noisy(self, rows: Indices, rng: np.random.Generator) -> Floats:
        latents = self._latents[rows]
        if self.noise:
            latents += self.noise * rng.standard_normal(latents.shape, np.float32)
        return latents


def checked_noise(noise: float) -> float:
    """Return a standard deviation, at least 0 and finite."""
    if isinstance(noise, bool) or not isinstance(noise, (int, float, np.number)):
        raise TypeError(f"noise must be a number. Received: noise={noise!r}")
    if noise < 0 or not isfinite(noise):
        raise ValueError(f"noise must be finite and at least 0. Received: noise={noise}")
    return float(noise)
