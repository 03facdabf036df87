"""Activation normalization: its formula, its initialisation from data, its constraint."""

from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from gyoza.modelling.flow_layers import ActivationNormalization, FlowModel

X = np.random.default_rng(0).normal(3.0, [1.0, 2.0, 5.0], (200, 3))


def actnorm(**kwargs: Any) -> ActivationNormalization:
    """Make a layer on [3] in float64."""
    return ActivationNormalization([3], [1], dtype="float64", **kwargs)


def test_it_subtracts_the_location_and_divides_by_the_scale() -> None:
    """The outputs are (x − l)/s, logdet −Σ ln s per row, from two trained variables in this order."""
    layer = actnorm()
    layer._location_.assign([1.0, 2.0, 3.0])
    layer._scale_.assign([1.0, 2.0, 4.0])
    y, logdet = layer(X)
    np.testing.assert_allclose(y, (X - [1, 2, 3]) / [1, 2, 4], rtol=1e-14)
    np.testing.assert_allclose(logdet, np.full(200, -np.log(8)), rtol=1e-14)
    assert [variable.path.split("/")[-1] for variable in layer.variables] == ["location", "scale", "initialized"]
    assert len(layer.trainable_variables) == 2


def test_the_logdet_counts_the_entries_that_share_a_scale() -> None:
    """A scale that sweeps over two other axes counts once for each of their cells."""
    layer = ActivationNormalization([3], [2], dtype="float64")
    layer._scale_.assign([2.0, 3.0, 4.0])
    _, logdet = layer(np.ones((5, 7, 3, 2)))
    np.testing.assert_allclose(logdet, np.full(5, -14 * np.log(24)), rtol=1e-14)


@pytest.mark.parametrize("mode", ["eager", "graph", "compiled"])
def test_the_first_training_batch_initialises_it_once(mode: str) -> None:
    """Outputs of the first training batch have mean 0 and variance 1; later batches change nothing."""
    layer = actnorm()
    layer.build((None, 3))

    def train(x: Any) -> Any:
        return layer(x, training=True)[0]

    run = train if mode == "eager" else tf.function(train, jit_compile=mode == "compiled")
    layer(X)
    assert layer.get_weights()[1].tolist() == [1, 1, 1]
    y = np.asarray(run(ops.convert_to_tensor(X)))
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(layer.get_weights()[0], X.mean(axis=0), rtol=1e-12)
    before = layer.get_weights()
    run(ops.convert_to_tensor(5 * X))
    for found, expected in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_initialisation_sweeps_over_the_other_axes() -> None:
    """With axes apart, each pair of places has its own mean over batch and the axis between."""
    layer = ActivationNormalization([2, 3], [1, 3], dtype="float64")
    x = np.random.default_rng(0).normal(2, 3, (20, 2, 5, 3))
    layer(x, training=True)
    np.testing.assert_allclose(layer.get_weights()[0], x.mean(axis=(0, 2)), rtol=1e-12)
    np.testing.assert_allclose(layer.get_weights()[1], x.std(axis=(0, 2)), rtol=1e-12)


def test_constant_and_broken_entries_are_survived() -> None:
    """A constant entry gets the smallest scale and is named, one with a NaN stays as it is."""
    layer = actnorm()
    x = X.copy()
    x[:, 0] = 7
    x[3, 1] = np.nan
    with pytest.warns(UserWarning, match=r"the smallest scale, 1e-06, which constant ones get.* at \[\[0\]\]"):
        layer(x, training=True)
    with pytest.warns(UserWarning, match="1 constant entries"):
        layer.lower((3,))
    location, scale, _ = layer.get_weights()
    assert (location[0], scale[0]) == (7, 1e-6)
    assert (location[1], scale[1]) == (0, 1)
    np.testing.assert_allclose((location[2], scale[2]), (X[:, 2].mean(), X[:, 2].std()), rtol=1e-12)


def test_a_frozen_layer_is_not_initialised() -> None:
    """A layer that is not trainable keeps its numbers in training too."""
    layer = actnorm(trainable=False)
    layer(X, training=True)
    assert layer.get_weights()[0].tolist() == [0, 0, 0]


def test_it_stays_initialised_after_loading(tmp_path: Path) -> None:
    """The flag is saved: a loaded layer does not initialise itself again."""
    model = FlowModel([actnorm()])
    model(X, training=True)
    model.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    loaded(10 * X, training=True)
    np.testing.assert_array_equal(loaded.get_weights()[0], X.mean(axis=0))


def test_weights_without_the_flag_count_as_initialised(tmp_path: Path) -> None:
    """A file that holds location and scale alone loads, and its numbers stay."""
    model = FlowModel([actnorm()])
    model.build((None, 3))
    model.save_weights(tmp_path / "flow.weights.h5")
    with import_module("h5py").File(tmp_path / "flow.weights.h5", "r+") as file:
        variables = file["layers/activation_normalization/vars"]
        variables["0"][:] = [1, 2, 3]
        del variables["2"]
    model.load_weights(tmp_path / "flow.weights.h5")
    model(X, training=True)
    assert model.get_weights()[0].tolist() == [1, 2, 3]


def test_the_constraint_mirrors_and_floors() -> None:
    """|w|, at least 1e-6: a step below 0 comes back on the other side, so the next one can undo it."""
    constraint = ActivationNormalization._PositiveConstraint_()
    np.testing.assert_allclose(constraint(np.array([2.0, -0.5, 0.0, -1e-9])), [2, 0.5, 1e-6, 1e-6])
    assert isinstance(actnorm()._scale_.constraint, ActivationNormalization._PositiveConstraint_)


def test_an_overshooting_step_is_mirrored_by_the_optimizer() -> None:
    """A step from 0.1 to −0.2 ends at 0.2, far from the floor, where a clipped scale would gain 13.8 in its logdet."""
    layer = actnorm()
    layer._scale_.assign([0.1, 0.1, 0.1])
    keras.optimizers.SGD(1.0).apply([np.full(3, 0.3)], [layer._scale_])
    np.testing.assert_allclose(layer.get_weights()[1], [0.2, 0.2, 0.2], rtol=1e-12)


def test_mixed_precision_never_rounds_the_variables() -> None:
    """Under mixed precision, training leaves an initialised layer's variables as they are, to the last digit."""
    layer = ActivationNormalization([3], [1], dtype="mixed_float16")
    layer(X, training=True)
    layer._scale_.assign([1.0003, 1.0003, 1.0003])
    layer(X, training=True)
    np.testing.assert_array_equal(layer.get_weights()[1], np.full(3, 1.0003, np.float32))
