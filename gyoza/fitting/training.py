"""Fit a flow: check what was given, train it on pairs, stop in time, measure it."""

from collections.abc import Mapping
from math import isfinite, log, pi
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from gyoza.data import FactorPairs, estimate_factor_sizes, split_rows
from gyoza.data.checks import checked_integer
from gyoza.data.labels import checked_labels
from gyoza.factors import RESIDUAL
from gyoza.fitting.fitted import FittedFlow
from gyoza.fitting.flows import build_flow, standardised_flow
from gyoza.fitting.settings import FitSettings
from gyoza.fitting.standardisation import Standardisation, flat_latents
from gyoza.inference import compile_flow
from gyoza.inference.plan import Floats, Indices
from gyoza.metrics import BlockScores, predictability, split
from gyoza.modelling import keras
from gyoza.modelling.flow_layers import DisentanglingFlowModel
from gyoza.modelling.losses import SupervisedFactorLoss

__all__ = ["FlowFit", "fit_flow"]

LARGEST_GRADIENT = 5.0
RATE_FACTOR = 0.25
"""By what the learning rate is multiplied after half of the patience."""
LEAST_GAIN = 0.05
"""By how many nats a pair the loss must fall to count as better."""
VALIDATION_BATCHES = 8
SIZE_PAIRS = 4096
INITIALISATION_ROWS = 16_384
PROBED_ROWS = 10_000
"""The most rows on either side that the measures look at."""
NEIGHBOURS = 10

Labels = dict[str, NDArray[Any]]


def fit_flow(  # noqa: PLR0913 - the data, and how to fit: all keywords but two.
    latents: Any,
    labels: Mapping[str, Any],
    *,
    sizes: Mapping[str, int] | None = None,
    settings: FitSettings | None = None,
    seed: int | None = None,
    verbose: str | int = 0,
) -> FittedFlow:
    """Train a flow that takes latents to a residual and one block for each factor of the labels.

    The flow is blocks of a normalization, reflections and two couplings, on latents that are flattened and standardised
    by its first layers. It learns from pairs of rows that share a factor, by ``SupervisedFactorLoss``; when the loss on
    pairs of rows kept back gets no better, it stops, and the flow has the weights of the best epoch.

    All randomness comes from the seed and Keras' global seed is left alone: the same arguments give the same flow on the
    same machine, as far as the backend computes alike each time (on processors it does).

    Args:
        latents: [n, …] floats of any scale, finite; they are computed with in float32.
        labels: Factor names to classes [n] (integers, booleans, strings) or to numbers [n] or [n, d] (floats), in the
            order in which the code will hold them, behind the residual. See ``gyoza.data.PairSampler``.
        sizes: Factor names to entries of the code. The residual may be left out and gets the rest. By default they are
            estimated, by ``gyoza.data.estimate_factor_sizes`` from standardised latents.
        settings: How the flow is made and trained.
        seed: An integer from 0 on; None draws one, which the result keeps.
        verbose: As for ``keras.Model.fit``.

    Returns:
        The flow with its measures on the rows kept back.

    Raises:
        TypeError: An argument is of no type that stands for it.
        ValueError: Latents and labels do not fit together, an entry of the latents is constant or not finite, there are
            fewer entries than factors with the residual, or sizes or settings are not allowed.
        ImportError: A factor has several numbers a row and scipy is not installed.
        ArithmeticError: The training diverged.

    References:
        Esser, P., Rombach, R. & Ommer, B. (2020) "A disentangling invertible interpretation network for explaining
        latent representations" arXiv:2004.13166

    Example:
        >>> latents = np.random.default_rng(0).normal(size=(64, 3))
        >>> short = FitSettings(blocks=1, width=4, epochs=1, batches_per_epoch=1)
        >>> fitted = fit_flow(latents, {"size": latents[:, 0]}, sizes={"size": 1}, settings=short, seed=0)
        >>> fitted.sizes, fitted.flow.factors
        ({'residual': 2, 'size': 1}, {'residual': 2, 'size': 1})
    """
    return FlowFit(latents, labels, sizes=sizes, settings=settings, seed=seed).run(verbose)


class FlowFit:
    """A fit with everything checked and nothing trained yet; ``fit_flow`` makes one and runs it.

    Args:
        latents: See ``fit_flow``.
        labels: See ``fit_flow``.
        sizes: See ``fit_flow``.
        settings: See ``fit_flow``.
        seed: See ``fit_flow``.

    Attributes:
        sizes: Factor names to entries of the code, the residual first.
        raw_scores: Factor names to the scores of ``gyoza.data.estimate_factor_sizes``.
        settings: How the flow will be made and trained.
        seed: What was given or drawn.

    Raises:
        TypeError: As for ``fit_flow``.
        ValueError: As for ``fit_flow``.
        ImportError: As for ``fit_flow``.
    """

    def __init__(
        self,
        latents: Any,
        labels: Mapping[str, Any],
        *,
        sizes: Mapping[str, int] | None = None,
        settings: FitSettings | None = None,
        seed: int | None = None,
    ) -> None:
        """Check everything, hold rows back and make ready what draws pairs."""
        self.settings = settings or FitSettings()
        self.seed = int(np.random.default_rng().integers(2**32)) if seed is None else checked_integer("seed", seed, 0)
        seeds = np.random.SeedSequence(self.seed).generate_state(5).tolist()
        split_seed, self._flow_seed, self._pairs_seed, self._validation_seed, self._probe_seed = seeds
        self._labels = checked_labels(labels)
        self._latents = flat_latents(latents)
        self._shape = tuple(np.shape(latents)[1:])
        rows = len(next(iter(self._labels.values())))
        if rows != len(self._latents):
            raise ValueError(
                "latents must have as many rows as every factor of labels. "
                f"Received: {len(self._latents)} rows of latents, {rows} rows of labels"
            )
        self._training, self._held_out = split_rows(rows, self.settings.validation, seed=split_seed)
        self._standardisation = Standardisation.of(self._latents[self._training], self._shape)
        self._pairs = self._training_pairs()
        self._validation_pairs = self._held_out_pairs()
        found = estimate_factor_sizes({name: self._pairs.pairs_sharing(name, SIZE_PAIRS) for name in self._labels})
        self.raw_scores = dict(found.scores)
        self.sizes = dict(found.sizes) if sizes is None else given_sizes(sizes, found.sizes)

    @property
    def training_rows(self) -> int:
        """How many rows are trained on."""
        return len(self._training)

    @property
    def validation_rows(self) -> int:
        """How many rows are kept back."""
        return len(self._held_out)

    def run(self, verbose: str | int = 0) -> FittedFlow:
        """Train the flow and measure it.

        Args:
            verbose: As for ``keras.Model.fit``.

        Returns:
            The flow with its measures on the rows kept back.

        Raises:
            ArithmeticError: The training diverged.
        """
        flow, history, best = self._train(verbose)
        whole = standardised_flow(flow, self._standardisation, self._shape)
        codes, logdet = compile_flow(whole).encode(self._latents[self._held_out].reshape(-1, *self._shape))
        likelihoods = logdet - 0.5 * ((codes**2).sum(axis=1) + codes.shape[1] * log(2 * pi))
        return FittedFlow(
            flow=whole,
            sizes=self.sizes,
            raw_scores=self.raw_scores,
            block_scores=self._score(whole),
            history=history,
            best_epoch=best,
            log_likelihood=float(likelihoods.mean(dtype=np.float64)),
            settings=self.settings,
            seed=self.seed,
            training_rows=self.training_rows,
            validation_rows=self.validation_rows,
        )

    def _train(self, verbose: str | int) -> tuple[DisentanglingFlowModel, dict[str, list[float]], int]:
        """Return a flow for standardised latents, the losses of each epoch, and the epoch that the flow is of."""
        settings = self.settings
        flow = build_flow(self.sizes, settings, self._flow_seed)
        # Outside of fit, all rows count, and the normalizations are initialised on every backend.
        flow(self._standardised(self._training[:INITIALISATION_ROWS]), training=True)
        optimizer = keras.optimizers.Adam(settings.learning_rate, global_clipnorm=LARGEST_GRADIENT)
        flow.compile(optimizer, SupervisedFactorLoss(list(self.sizes.values())), jit_compile=compiled())
        stop = early_stopping(settings.patience)
        self._pairs.epoch = 0
        history = flow.fit(
            self._pairs,
            validation_data=self._validation_pairs,
            epochs=settings.epochs,
            shuffle=False,
            verbose=verbose,
            callbacks=[keras.callbacks.TerminateOnNaN(), lower_rate(settings.patience), stop],
        ).history
        return flow, finite_history(history, stop.best_epoch, settings), stop.best_epoch + 1

    def _score(self, flow: DisentanglingFlowModel) -> BlockScores:
        """Return how well each factor can be read from each block, of rows kept back."""
        rng = np.random.default_rng(self._probe_seed)
        sides = [some(rows, PROBED_ROWS, rng) for rows in (self._training, self._held_out)]
        run = compile_flow(flow)
        blocks = [split(run.encode(self._latents[rows].reshape(-1, *self._shape))[0], self.sizes) for rows in sides]
        (known, asked), (known_labels, asked_labels) = blocks, [self._labels_of(rows) for rows in sides]
        neighbours = min(NEIGHBOURS, len(sides[0]))
        return predictability(known, known_labels, asked, asked_labels, neighbours=neighbours)

    def _training_pairs(self) -> FactorPairs:
        settings = self.settings
        return FactorPairs(
            self._standardised(self._training),
            self._labels_of(self._training),
            correlations=settings.correlations,
            batch_size=settings.batch_size,
            batches_per_epoch=settings.batches_per_epoch,
            noise=settings.noise,
            seed=self._pairs_seed,
        )

    def _held_out_pairs(self) -> FactorPairs:
        try:
            return FactorPairs(
                self._standardised(self._held_out),
                self._labels_of(self._held_out),
                correlations=self.settings.correlations,
                batch_size=self.settings.batch_size,
                batches_per_epoch=VALIDATION_BATCHES,
                seed=self._validation_seed,
                redraw=False,
            )
        except ValueError as error:
            raise ValueError(
                f"The rows kept back must make pairs too; give more rows, a larger validation, or another seed. Received: "
                f"{self.validation_rows} rows kept back, of which: {error}"
            ) from error

    def _standardised(self, rows: Indices) -> Floats:
        return self._standardisation.apply(self._latents[rows])

    def _labels_of(self, rows: Indices) -> Labels:
        return {name: values[rows] for name, values in self._labels.items()}


def given_sizes(sizes: Mapping[str, int], estimated: Mapping[str, int]) -> dict[str, int]:
    """Return sizes that were given, the residual's added if it is left out, in the order of the estimated ones.

    Raises:
        TypeError: A size is no integer.
        ValueError: They are of other factors, below 1, or do not add up.
    """
    total = sum(estimated.values())
    if not set(estimated) - {RESIDUAL} <= set(sizes) <= set(estimated):
        raise ValueError(
            f"sizes must hold each of {[name for name in estimated if name != RESIDUAL]}, and may hold {RESIDUAL!r}. "
            f"Received: sizes={dict(sizes)}"
        )
    checked = {name: checked_integer(f"sizes[{name!r}]", size, 1) for name, size in sizes.items()}
    complete = {RESIDUAL: total - sum(checked.values()), **checked}
    if complete[RESIDUAL] < 1:
        raise ValueError(
            f"sizes must leave at least 1 of the {total} entries of a latent for {RESIDUAL!r}, and leave none; make a "
            f"factor smaller. Received: sizes={dict(sizes)}, {sum(checked.values())} in all"
        )
    if sum(complete.values()) != total:
        raise ValueError(
            f"sizes must add up to the {total} entries of a latent; {RESIDUAL!r} may be left out and gets the rest. "
            f"Received: sizes={dict(sizes)}, {sum(checked.values())} in all"
        )
    return {name: complete[name] for name in estimated}


def lower_rate(patience: int) -> Any:
    """Return what lowers the learning rate where the loss on the rows kept back gets no better.

    Averaged weights would do as lower rates do, but the loss that stops would not be theirs.
    """
    return keras.callbacks.ReduceLROnPlateau(factor=RATE_FACTOR, patience=max(1, patience // 2), min_delta=LEAST_GAIN)


def early_stopping(patience: int) -> Any:
    """Return what stops where the loss on the rows kept back gets no better, and goes back to the best weights."""
    return keras.callbacks.EarlyStopping(patience=patience, min_delta=LEAST_GAIN, restore_best_weights=True)


def compiled() -> bool:
    """Whether XLA shall compile the step: JAX is slow without, and elsewhere it costs more than it gives."""
    return bool(keras.backend.backend() == "jax")


def finite_history(history: Mapping[str, list[float]], best: int, settings: FitSettings) -> dict[str, list[float]]:
    """Return the losses of each epoch if training came to anything.

    Raises:
        ArithmeticError: The loss on the rows kept back is not finite in the best epoch, counted from 0.
    """
    kept = {name: [float(value) for value in history.get(name, [])] for name in ("loss", "val_loss")}
    # Of a first epoch that is NaN none is ever better, so the best may be one that came to nothing.
    if not any(map(isfinite, kept["val_loss"][best : best + 1])):
        raise ArithmeticError(
            "The training diverged: the loss on the rows kept back must be finite in the best epoch; lower the learning "
            f"rate. Received: learning_rate={settings.learning_rate}, val_losses={kept['val_loss']}"
        )
    return kept


def some(rows: Indices, most: int, rng: np.random.Generator) -> Indices:
    """Return all rows, or that many of them at random."""
    return rows if len(rows) <= most else cast(Indices, np.sort(rng.choice(rows, most, replace=False)))
