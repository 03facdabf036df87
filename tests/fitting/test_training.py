"""Flows fitted to a small world find its factors."""

import re
from typing import Any

import numpy as np
import pytest

from gyoza.data import split_rows
from gyoza.fitting import FitSettings, FittedFlow, FlowFit, fit_flow, training
from gyoza.inference import compile_flow
from gyoza.loading import load_flow
from gyoza.metrics import predictability, split
from gyoza.modelling import keras
from gyoza.modelling.flow_layers import DisentanglingFlowModel
from gyoza.modelling.losses import SupervisedFactorLoss
from tests.fitting.worlds import QUICK, SHORT, mixed

SCALES = np.array([1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6])


@pytest.fixture(scope="module")
def prepared() -> FlowFit:
    """A fit to float64 latents whose entries have very different scales."""
    latents, labels = mixed(1500)
    return FlowFit(latents * SCALES, labels, sizes={"shape": 2, "size": 1}, settings=FitSettings(**QUICK), seed=0)


@pytest.fixture(scope="module")
def fitted(prepared: FlowFit) -> FittedFlow:
    """The flow that comes of it."""
    return prepared.run()


def test_blocks_tell_their_factors(fitted: FittedFlow) -> None:
    """On rows kept back each block tells its own factor, far better than it tells the other one."""
    informative, leaks = fitted.block_scores.informativeness, fitted.block_scores.leakage
    assert min(informative.values()) > 0.8
    assert max(leaks.values()) < 0.4


def test_blocks_tell_their_factors_of_rows_drawn_later(fitted: FittedFlow) -> None:
    """The same holds for latents that the fit has never seen, measured from outside."""
    (known, known_labels), (asked, asked_labels) = mixed(1000), mixed(300, seed=5)
    flow = compile_flow(fitted.flow)
    blocks = [split(flow.encode(latents * SCALES)[0], fitted.sizes) for latents in (known, asked)]
    scores = predictability(blocks[0], known_labels, blocks[1], asked_labels)
    assert min(scores.informativeness.values()) > 0.8
    assert max(scores.leakage.values()) < 0.4


def test_the_result_says_how_it_came_about(fitted: FittedFlow) -> None:
    """The loss fell, the flow has the weights of the best epoch, and its log-likelihood is the flow's own."""
    losses = fitted.history["val_loss"]
    assert fitted.loss == losses[fitted.best_epoch - 1] < min(losses) + training.LEAST_GAIN < losses[0] - 1
    assert (fitted.training_rows, fitted.validation_rows) == (1200, 300)
    assert fitted.sizes == {"residual": 3, "shape": 2, "size": 1} == fitted.flow.factors
    assert fitted.raw_scores["residual"] == 1 > fitted.raw_scores["shape"] > fitted.raw_scores["size"] > 0
    seed = int(np.random.SeedSequence(0).generate_state(5)[0])
    held_out = (mixed(1500)[0] * SCALES)[split_rows(1500, 0.2, seed=seed)[1]]
    expected = np.mean(keras.ops.convert_to_numpy(fitted.flow.log_prob(held_out)))
    assert fitted.log_likelihood == pytest.approx(expected, abs=1e-3)


def test_the_loss_is_that_of_the_very_weights_that_are_kept(prepared: FlowFit, fitted: FittedFlow) -> None:
    """What stopped the training looked at the weights that the flow has: its layers have the best epoch's loss."""
    flow = DisentanglingFlowModel(fitted.flow._flow_layers_[1:], factors=fitted.sizes)
    flow.compile(loss=SupervisedFactorLoss(list(fitted.sizes.values())))
    assert flow.evaluate(prepared._validation_pairs, verbose=0) == pytest.approx(fitted.loss, abs=1e-3)


def test_a_seed_gives_the_same_flow_and_leaves_the_global_one_alone() -> None:
    """A seed that was drawn makes the same fit again, to every weight, whatever Keras' seed; another seed another one."""
    latents, labels = mixed(120)
    drawn = FlowFit(latents, labels, settings=SHORT)
    keras.utils.set_random_seed(1)
    one = drawn.run()
    keras.utils.set_random_seed(2)
    same = fit_flow(latents, labels, settings=SHORT, seed=drawn.seed)
    assert np.random.get_state()[1][0] == 2  # type: ignore[index]
    for weight, again in zip(one.flow.get_weights(), same.flow.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, again)
    assert one.report() == same.report()
    other = FlowFit(latents, labels, settings=SHORT)
    assert other.seed != drawn.seed
    assert other.raw_scores != drawn.raw_scores


@pytest.mark.parametrize(("coupling", "shape"), [("additive", (6,)), ("spline", (1, 2, 3))])
def test_images_and_other_couplings(coupling: str, shape: tuple[int, ...], tmp_path: Any) -> None:
    """Latents of any shape and every coupling give a flow for latents of that shape, which passes every load check."""
    latents, labels = mixed(100)
    settings = FitSettings(**{**SHORT.describe(), "coupling": coupling})
    fitted = fit_flow(latents.reshape(-1, *shape), labels, settings=settings, seed=0)
    fitted.save(tmp_path / "mine.keras")
    loaded = load_flow(tmp_path / "mine.keras")
    assert loaded.flow.latent_shape == shape
    assert dict(loaded.factors or {}) == fitted.sizes
    assert sum(fitted.sizes.values()) == 6
    assert all(check.passed for check in loaded.checks), loaded.checks


def test_the_smallest_latents() -> None:
    """Two entries are enough for one factor, and ten rows for classes of two."""
    latents = np.random.default_rng(0).normal(size=(10, 2)).astype("float32")
    labels = {"side": np.arange(10) % 2}
    fitted = fit_flow(latents, labels, settings=FitSettings(**{**SHORT.describe(), "validation": 0.5}), seed=0)
    assert fitted.sizes == {"residual": 1, "side": 1}


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        (
            {"shape": 2},
            ValueError,
            "sizes must hold each of ['shape', 'size'], and may hold 'residual'. Received: sizes=",
        ),
        ({"shape": 2, "size": 1, "hue": 1}, ValueError, "sizes must hold each of"),
        ({"shape": 2.0, "size": 1}, TypeError, "sizes['shape'] must be an integer"),
        ({"shape": 0, "size": 1}, ValueError, "sizes['shape'] must be at least 1"),
        (
            {"shape": 4, "size": 2},
            ValueError,
            "sizes must leave at least 1 of the 6 entries of a latent for 'residual', and leave none; make a factor smaller",
        ),
        (
            {"residual": 1, "shape": 2, "size": 1},
            ValueError,
            "sizes must add up to the 6 entries of a latent; 'residual' may be left out and gets the rest. Received: sizes=",
        ),
    ],
)
def test_sizes_must_fit(sizes: Any, error: type[Exception], message: str) -> None:
    """Sizes name the factors and add up to the latent's entries."""
    with pytest.raises(error, match=re.escape(message)):
        FlowFit(*mixed(100), sizes=sizes)


def test_what_does_not_fit_together_is_refused() -> None:
    """Rows that differ, too few entries, and rows kept back that make no pairs are refused before any training."""
    latents, labels = mixed(100)
    with pytest.raises(ValueError, match="Received: 99 rows of latents, 100 rows of labels"):
        FlowFit(latents[1:], labels)
    with pytest.raises(ValueError, match="Latents must have at least 3 entries"):
        FlowFit(latents[:, :2], labels)
    with pytest.raises(
        ValueError,
        match=r"The rows kept back must make pairs too; give more rows, .* Received: 20 rows kept back, of which: .* two classes",
    ):
        FlowFit(latents, {"rare": np.arange(100) < 2}, seed=0)
    with pytest.raises(TypeError, match="seed must be an integer"):
        FlowFit(latents, labels, seed=0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [60, 1e30])
def test_a_training_that_diverges_says_so(rate: float) -> None:
    """Where no loss on the rows kept back is finite there is no flow, but a message that says what to do."""
    settings = FitSettings(blocks=1, width=4, batches_per_epoch=10, epochs=3, learning_rate=rate)
    with pytest.raises(ArithmeticError, match=r"The training diverged: .* lower the learning rate") as caught:
        fit_flow(*mixed(100), settings=settings, seed=0)
    assert f"learning_rate={settings.learning_rate}, val_losses=[nan" in str(caught.value)


@pytest.mark.parametrize("losses", [[], [float("nan"), 3.0], [float("inf")]])
def test_the_best_epoch_must_be_finite(losses: list[float]) -> None:
    """A first epoch that is NaN stays the best, since nothing is less: that other losses are finite is not enough."""
    with pytest.raises(ArithmeticError, match=re.escape(f"val_losses={losses}")):
        training.finite_history({"loss": [1.0, 2.0], "val_loss": losses}, 0, FitSettings())
    assert training.finite_history({"val_loss": [3.0, *losses]}, 0, FitSettings())["val_loss"][0] == 3


def test_large_data_are_measured_by_a_part() -> None:
    """Of many rows some are drawn, each once; of few all are taken."""
    rows, rng = np.arange(0, 100, 2), np.random.default_rng(0)
    assert training.some(rows, 50, rng) is rows
    part = training.some(rows, 10, rng)
    assert len(set(part.tolist())) == 10
    assert set(part.tolist()) <= set(rows.tolist())
