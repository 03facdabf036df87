"""Couplings beside the laws: what networks they take, and how often they run them."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from gyoza.inference import plan
from gyoza.modelling.flow_layers import AdditiveCoupling, AffineCoupling, Coupling, FlowLayer
from gyoza.modelling.masks import HeavisideMask, Mask
from tests.modelling.layers import built, dense, rows

MASK: dict[str, Any] = {"shape": [4], "axes": [1]}


class Counting(keras.layers.Layer):
    """A network that notes each run and the ``training`` that it was given."""

    def __init__(self, outputs: int = 4, **kwargs: Any) -> None:
        """Remember nothing yet."""
        super().__init__(**kwargs)
        self.outputs = outputs
        self.seen: list[tuple[Any, bool | None]] = []

    def build(self, input_shape: Any) -> None:
        """Hold no weights."""
        super().build(input_shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Repeat the sum of the inputs."""
        if not isinstance(inputs, keras.KerasTensor):
            self.seen.append((inputs, training))
        return ops.repeat(ops.sum(inputs, axis=1, keepdims=True), self.outputs, axis=1)


class Plain(keras.layers.Layer):
    """A network that takes no ``training``, and whose one output column broadcasts."""

    def call(self, inputs: Any) -> Any:
        """Sum the inputs."""
        return ops.sum(inputs, axis=1, keepdims=True)


def affine(network: Any, **kwargs: Any) -> AffineCoupling:
    """Make an affine coupling on [4]."""
    return AffineCoupling(compute_coupling_parameters=network, mask=HeavisideMask(**MASK), **MASK, **kwargs)


@pytest.mark.parametrize("training", [None, False, True])
def test_the_network_runs_once_and_hears_of_training(training: bool | None) -> None:
    """One run per call, on the kept half alone, with the call's ``training``; one per inverse, without."""
    network = Counting(8)
    layer = affine(network)
    x = np.arange(8, dtype="float32").reshape(2, 4)
    layer.build((None, 4))
    network.seen.clear()
    layer(x, training=training)
    layer.invert(x)
    (forward, told), (backward, told_back) = network.seen
    assert told is training
    assert not told_back
    for seen in (forward, backward):
        np.testing.assert_array_equal(seen, x * [0, 0, 1, 1])


def test_a_network_without_training_may_broadcast() -> None:
    """A network that takes no ``training`` is called without; an output of one column serves all entries."""
    layer = AdditiveCoupling(compute_coupling_parameters=Plain(), mask=HeavisideMask(**MASK), **MASK)
    x = np.arange(8, dtype="float32").reshape(2, 4)
    y, _ = layer(x, training=True)
    np.testing.assert_array_equal(y, x + x[:, 2:].sum(axis=1, keepdims=True) * [1, 1, 0, 0])
    (step,) = layer.lower((4,))
    assert isinstance(step, plan.Coupling)
    assert isinstance(step.network, plan.OpaqueNetwork)
    np.testing.assert_array_equal(step.network.function(x[:, 2:]), np.repeat(x[:, 2:].sum(1, keepdims=True), 2, 1))


def test_the_affine_law() -> None:
    """The law is y = x·exp(σ) + t with σ = b·tanh(s/b), shift first, and the logdet is the sum of σ."""
    values = np.array([0.5, -1.0, 9.0, 9.0, 3.0, -100.0, 9.0, 9.0], "float64")
    network = keras.Sequential(
        [
            keras.layers.Input((4,), dtype="float64"),
            keras.layers.Dense(8, kernel_initializer="zeros", dtype="float64"),
        ]
    )
    layer = affine(network, log_scale_bound=2.0, dtype="float64")
    layer.build((None, 4))
    network.layers[-1].bias.assign(values)
    x = np.array([[1.0, 2.0, 3.0, 4.0]])
    sigma = 2 * np.tanh(values[4:6] / 2)
    y, logdet = layer(x)
    np.testing.assert_allclose(y, [[*(x[0, :2] * np.exp(sigma) + values[:2]), 3, 4]], rtol=1e-14)
    np.testing.assert_allclose(logdet, [sigma.sum()], rtol=1e-14)


def test_a_flipped_mask_couples_the_other_half() -> None:
    """Mask(…, mask=flipped) keeps what HeavisideMask changes."""
    flipped = Mask(mask=[1, 1, 0, 0], **MASK)
    layer = AdditiveCoupling(compute_coupling_parameters=dense(4, 4, "float32"), mask=flipped, **MASK)
    x = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")
    moved = np.abs(np.asarray(layer(x)[0]) - x).max(axis=0)
    assert (moved[:2] == 0).all()
    assert (moved[2:] > 0).all()


def test_an_infinite_entry_spoils_no_other_entry() -> None:
    """Entries are selected, not multiplied: an infinite changed entry leaves the row's others alone."""
    layer = built("affine", "float64", seed=1)
    x = rows("affine", 2, "float64")
    bad = x.copy()
    bad[0, 0] = np.inf
    found, expected = np.asarray(layer(bad)[0]), np.asarray(layer(x)[0])
    np.testing.assert_array_equal(found[0, 1:], expected[0, 1:])
    assert np.isfinite(np.asarray(layer(bad)[1])).all()


def test_a_mask_of_another_layout_is_refused() -> None:
    """Coupling and mask share shape and axes."""
    with pytest.raises(ValueError, match=r"shape \[4\] and axes \[1\]. Received: mask.shape=\[5\]"):
        AdditiveCoupling(
            compute_coupling_parameters=Plain(), mask=HeavisideMask(axes=[1], shape=[5]), shape=[4], axes=[1]
        )


@pytest.mark.parametrize("bound", [0, -1.0, float("inf"), float("nan")])
def test_a_bound_that_bounds_nothing_is_refused(bound: float) -> None:
    """The bound is finite and above 0."""
    with pytest.raises(ValueError, match=r"log_scale_bound must be finite and above 0. Received: log_scale_bound="):
        affine(Plain(), log_scale_bound=bound)


@pytest.mark.parametrize("outputs", [3, 4, 7])
def test_affine_parameters_of_another_shape_are_refused(outputs: int) -> None:
    """One tensor has twice the input's last axis."""
    with pytest.raises(ValueError, match=r"must output tensors of the shape \['batch', 8\].*Received: shapes="):
        affine(dense(4, outputs, "float32")).build((None, 4))


def test_affine_parameters_in_a_list_are_two() -> None:
    """A list holds the shift and the log-scale, no more."""
    x = keras.layers.Input((4,))
    network = keras.Model(x, [keras.layers.Dense(4)(x) for _ in range(3)])
    with pytest.raises(ValueError, match=r"must output tensors of the shape \['batch', 4\]"):
        affine(network).build((None, 4))


def test_an_additive_shift_of_another_shape_is_refused() -> None:
    """It has the input's shape."""
    layer = AdditiveCoupling(compute_coupling_parameters=dense(4, 5, "float32"), mask=HeavisideMask(**MASK), **MASK)
    with pytest.raises(ValueError, match=r"must output tensors of the shape \['batch', 4\]"):
        layer.build((None, 4))


def test_the_base_classes_say_what_to_implement() -> None:
    """Each hook that a subclass leaves out is named."""
    layer = Coupling(compute_coupling_parameters=Plain(), mask=HeavisideMask(**MASK), **MASK)
    x = np.zeros((1, 4), "float32")
    for hook, call in (
        ("_couple_", lambda: layer._couple_(x, x)),
        ("_decouple_", lambda: layer._decouple_(x, x)),
        ("_split_parameters_", lambda: layer._split_parameters_(x)),
        ("compute_jacobian_determinant", lambda: layer.compute_jacobian_determinant(x)),
        ("call", lambda: FlowLayer([4], [1]).call(x)),
        ("invert", lambda: FlowLayer([4], [1]).invert(x)),
    ):
        with pytest.raises(NotImplementedError, match=f"must implement {hook}"):
            call()
