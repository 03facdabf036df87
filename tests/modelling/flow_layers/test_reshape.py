"""Layers that rearrange, against NumPy's reshape and TensorFlow's space to depth."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from gyoza.inference import plan
from gyoza.modelling.flow_layers import (
    ActivationNormalization,
    DisentanglingFlowModel,
    Flatten,
    FlowLayer,
    FlowModel,
    Reshape,
    Squeeze,
)
from gyoza.modelling.flow_layers.reshape import Rearrangement
from gyoza.modelling.losses import SupervisedFactorLoss

X = np.random.default_rng(0).standard_normal((3, 4, 6, 2))


def test_reshape_keeps_the_order_of_the_entries() -> None:
    """It is NumPy's reshape with the other axes left alone; the logdet is 0."""
    layer = Reshape([4, 6], [1, 2], [3, 2, 4], dtype="float64")
    y, logdet = layer(X)
    np.testing.assert_array_equal(y, X.reshape(3, 3, 2, 4, 2))
    np.testing.assert_array_equal(layer.invert(y), X)
    assert ops.convert_to_numpy(logdet).tolist() == [0, 0, 0]


def test_flatten_makes_codes_of_images() -> None:
    """One axis takes the place of all that are named."""
    np.testing.assert_array_equal(Flatten([4, 6, 2], [1, 2, 3], dtype="float64")(X)[0], X.reshape(3, 48))
    np.testing.assert_array_equal(Flatten([6, 2], [2, 3], dtype="float64")(X)[0], X.reshape(3, 4, 12))
    assert "target_shape" not in Flatten([6, 2], [2, 3]).get_config()


def test_squeeze_is_space_to_depth() -> None:
    """On images it is TensorFlow's space_to_depth, and its inverse depth_to_space."""
    layer = Squeeze([4, 6], [1, 2], dtype="float64")
    y, _ = layer(X)
    np.testing.assert_array_equal(y, tf.nn.space_to_depth(X, 2))
    np.testing.assert_array_equal(layer.invert(y), tf.nn.depth_to_space(y, 2))


def test_squeeze_of_a_signal_gathers_neighbours() -> None:
    """Along one axis, ``factor`` neighbours become channels."""
    signal = X[:, :, :, 0]
    y, _ = Squeeze([4], [1], factor=4, dtype="float64")(signal)
    np.testing.assert_array_equal(y, signal.reshape(3, 1, 24))


def test_rearrangements_need_no_known_sizes_but_their_own() -> None:
    """Batch and other axes may be of unknown size when a function is traced."""
    layer = Squeeze([4], [1], dtype="float64")
    traced = tf.function(lambda x: layer(x)[0], input_signature=[tf.TensorSpec((None, 4, None, 2), "float64")])
    np.testing.assert_array_equal(traced(X), layer(X)[0])
    assert layer.compute_output_shape((None, 4, None, None)) == ((None, 2, None, None), (None,))


def test_a_flow_of_images_trains_on_pairs_once_it_is_flattened() -> None:
    """With a Flatten layer at its end, a flow of image-shaped latents has codes [batch, D] and trains on pairs."""
    layers = [ActivationNormalization([2], [3]), Squeeze([4, 6], [1, 2]), Flatten([2, 3, 8], [1, 2, 3])]
    model = DisentanglingFlowModel(layers, factors={"residual": 40, "a": 8})
    model.compile("adam", SupervisedFactorLoss([40, 8]), jit_compile=False)
    model.fit((X, X[::-1].copy()), np.zeros((3, 2)), verbose=0)
    codes, _ = model(X)
    assert codes.shape == (3, 48)
    np.testing.assert_allclose(model.invert(codes), X, atol=1e-5)


def test_a_plan_needs_no_step_for_a_reshape_and_one_gather_for_a_squeeze() -> None:
    """Rows are flat in a plan: a reshape is nothing, a squeeze a reordering; a subclass's own call is called."""

    class Own(Flatten):
        def call(self, inputs: Any) -> tuple[Any, Any]:
            return super().call(inputs)

    assert Flatten([4, 6], [1, 2]).lower((4, 6)) == ()
    (step,) = Squeeze([4, 6], [1, 2]).lower((4, 6, 2))
    assert isinstance(step, plan.Gather)
    (step,) = Own([4, 6], [1, 2]).lower((4, 6))
    assert isinstance(step, plan.Opaque)
    model = FlowModel([Squeeze([4, 6], [1, 2])])
    model.build((None, 4, 6, 2))
    assert (model.lower().latent_shape, model.lower().code_shape) == ((4, 6, 2), (2, 3, 8))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reshape([4, 2], [1, 3], [8]), r"axes must follow each other without a gap. Received: axes=\[1, 3\]"),
        (
            lambda: Reshape([4, 6], [1, 2], [5, 5]),
            r"target_shape must hold 24 entries.*Received: target_shape=\[5, 5\]",
        ),
        (lambda: Reshape([4, 6], [1, 2], []), r"target_shape must hold 24 entries.*Received: target_shape=\[\]"),
        (lambda: Reshape([4, 6], [1, 2], [-4, -6]), r"target_shape must hold 24 entries"),
        (lambda: Squeeze([4, 5], [1, 2]), r"divide each size of shape=\[4, 5\]. Received: factor=2"),
        (lambda: Squeeze([4, 6], [1, 2], factor=1), r"factor must be at least 2"),
        (lambda: Squeeze([4, 6], [1, 2]).build((None, 4, 6)), r"last axis of channels behind the axes \[1, 2\]"),
        (lambda: Squeeze([4, 6], [1, 2]).invert(np.zeros((1, 2, 3, 6))), r"a multiple of 4 channels. Received: shape="),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, message: str) -> None:
    """Gaps, other numbers of entries, blocks that do not fit and missing channels are named."""
    with pytest.raises(ValueError, match=message):
        make()


def test_a_subclass_says_what_is_missing() -> None:
    """The base class names the methods that a subclass must implement."""
    layer = Rearrangement([2], [1])
    for method in (layer._rearrange, layer._restore):
        with pytest.raises(NotImplementedError, match=rf"must implement {method.__name__}"):
            method(X)
    assert issubclass(Rearrangement, FlowLayer)


def test_integers_are_no_floats() -> None:
    """Sizes are integers; nothing is rounded."""
    with pytest.raises(TypeError, match=r"target_shape must hold integers only"):
        Reshape([4], [1], [4.0])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"factor must hold integers only"):
        Squeeze([4], [1], factor=2.0)  # type: ignore[arg-type]
    assert keras.saving.get_registered_name(Squeeze) == "gyoza>Squeeze"
