"""The factor loss against the densities that it stands for."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from scipy.stats import multivariate_normal

from gyoza.modelling.losses import SupervisedFactorLoss

SIZES = [2, 1, 2]


def pairs(count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Correlations [count, 3] and predictions [count, 12]."""
    draw = np.random.default_rng(0)
    correlations = draw.uniform(0, 0.99, (count, 3)) * [0, 1, 1]
    return correlations, draw.standard_normal((count, 12))


def test_it_is_the_bivariate_normal_up_to_its_constant() -> None:
    """Dimension by dimension, the loss is the negative log density of correlated standard normals, less the constant."""
    y_true, y_pred = pairs()
    found = SupervisedFactorLoss(SIZES, reduction="none", dtype="float64")(y_true, y_pred)
    for row, sigma in enumerate(np.repeat(y_true, SIZES, axis=1)):
        a, b, logdets = y_pred[row, :5], y_pred[row, 5:10], y_pred[row, 10:].sum()
        density = sum(
            multivariate_normal([0, 0], [[1, s], [s, 1]]).logpdf(pair)
            for s, pair in zip(sigma, zip(a, b, strict=True), strict=True)
        )
        constant = 5 * np.log(2 * np.pi) + 0.5 * np.log(1 - sigma**2).sum()
        assert float(found[row]) == pytest.approx(-density - logdets - constant, rel=1e-9)


def test_it_is_a_value_per_pair_that_keras_reduces() -> None:
    """Calling gives [batch]; the mean over pairs, or a weighted one, is the loss."""
    y_true, y_pred = pairs()
    each = ops.convert_to_numpy(SupervisedFactorLoss(SIZES).call(y_true, ops.convert_to_tensor(y_pred)))
    assert each.shape == (6,)
    assert float(SupervisedFactorLoss(SIZES)(y_true, y_pred)) == pytest.approx(each.mean(), rel=1e-5)
    weights = np.arange(6.0)
    weighted = float(SupervisedFactorLoss(SIZES)(y_true, y_pred, sample_weight=weights))
    assert weighted == pytest.approx((each * weights).mean(), rel=1e-5)


def test_full_correlation_is_clipped() -> None:
    """At correlations of 1 and above the loss is that of 0.9999, finite."""
    _, y_pred = pairs()
    loss = SupervisedFactorLoss(SIZES)
    at_one, at_limit = (float(loss(np.full((6, 3), value), y_pred)) for value in (1.0, 0.9999))
    assert np.isfinite(at_one)
    assert at_one == at_limit
    assert at_one != float(loss(np.full((6, 3), 0.9998), y_pred))


def test_factor_masks_say_which_entries_belong_to_a_factor() -> None:
    """They are [factor, dimension], 1 where the dimension belongs to the factor; assigning them changes the loss."""
    loss = SupervisedFactorLoss([1, 2])
    assert ops.convert_to_numpy(loss.__factor_masks__).tolist() == [[1, 0, 0], [0, 1, 1]]
    y_true, y_pred = np.array([[0.0, 0.9]]), np.arange(8.0)[None]
    before = float(loss(y_true, y_pred))
    loss.__factor_masks__ = np.array([[0, 1, 1], [1, 0, 0]], "float32")
    assert float(loss(y_true, y_pred)) != before


def test_it_survives_its_config() -> None:
    """A loss made from a config is the same loss."""
    loss = SupervisedFactorLoss(SIZES, name="mine", reduction="sum")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert isinstance(again, SupervisedFactorLoss)
    assert again.get_config() == loss.get_config()
    assert float(again(*pairs())) == float(loss(*pairs()))


def test_it_survives_in_a_compiled_model(tmp_path: Path) -> None:
    """A saved compiled model comes back with its loss."""
    model = keras.Sequential([keras.layers.Input((12,)), keras.layers.Identity()])
    model.compile(loss=SupervisedFactorLoss(SIZES))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    y_true, y_pred = pairs()
    assert loaded.loss.get_config() == model.loss.get_config()
    assert loaded.evaluate(y_pred, y_true, verbose=0) == model.evaluate(y_pred, y_true, verbose=0)


def test_its_dtype_survives_its_config() -> None:
    """A loss that computes in float64 does so again."""
    again = SupervisedFactorLoss.from_config(SupervisedFactorLoss(SIZES, dtype="float64").get_config())
    assert again.dtype == "float64"


def test_sizes_are_integers() -> None:
    """Nothing is rounded."""
    with pytest.raises(TypeError, match=r"integers only. Received: dimensions_per_factor=\[2.7, 3.2\]"):
        SupervisedFactorLoss([2.7, 3.2])  # type: ignore[list-item]


@pytest.mark.parametrize("sizes", [[], [2, 0], [-1]])
def test_factors_without_entries_are_refused(sizes: list[int]) -> None:
    """Every factor has at least one entry, and there is at least one factor."""
    with pytest.raises(ValueError, match=r"at least 1. Received: dimensions_per_factor="):
        SupervisedFactorLoss(sizes)


@pytest.mark.parametrize(
    ("true_shape", "pred_shape", "message"),
    [
        ((4, 2), (4, 12), r"y_true must have the shape \[batch, 3\].*Received: y_true.shape=\(4, 2\)"),
        ((4, 3), (4, 10), r"y_pred must have the shape \[batch, 12\].*Received: y_pred.shape=\(4, 10\)"),
        ((4,), (4, 12), r"y_true must have the shape"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    true_shape: tuple[int, ...], pred_shape: tuple[int, ...], message: str
) -> None:
    """The error says which shape the factors ask for."""
    with pytest.raises(ValueError, match=message):
        SupervisedFactorLoss(SIZES)(np.zeros(true_shape), np.zeros(pred_shape))
