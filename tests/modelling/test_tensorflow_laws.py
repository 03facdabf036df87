"""What every layer keeps to in training and in traced code on TensorFlow, from the table in ``layers.py``."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from gyoza.modelling.flow_layers.base import accepts_training
from tests.modelling.layers import CASES, built, codes, error, over_layers, randomize, rows

HALF = {"mixed_float16": 2e-2, "mixed_bfloat16": 0.15}
"""What a dozen roundings to 11 and to 8 digits of a binary number come to."""


@over_layers
@pytest.mark.parametrize("jit", [False, True])
def test_graph_and_compiled_modes_are_eager_mode(name: str, jit: bool) -> None:
    """A traced function gives eager numbers for batches of 1, 2 and 7, traced once, and compiled for 2, since each takes long."""
    layer, traces = built(name, "float32", seed=1), []
    shapes = (CASES[name].shape, CASES[name].code_shape)
    signature = [tf.TensorSpec((None, *shape), "float32") for shape in shapes]

    @tf.function(input_signature=signature, jit_compile=jit)
    def both(x: Any, y: Any) -> Any:
        traces.append(x)
        return *layer(x), layer.invert(y)

    for count in (2,) if jit else (1, 2, 7):
        x, y = rows(name, count, "float32"), codes(name, count, "float32")
        for found, expected in zip(both(x, y), (*layer(x), layer.invert(y)), strict=True):
            assert error(found, expected) < 1e-5
    assert len(traces) == 1


@over_layers
def test_a_change_of_a_variable_is_seen_by_a_traced_function(name: str) -> None:
    """A function traced before the weights changed gives what the layer gives now."""
    layer, x = built(name, "float32", seed=1), rows(name, 2, "float32")
    traced = tf.function(lambda values: layer(values)[0])
    traced(x)
    for variable in layer.trainable_variables:
        variable.assign(variable + 0.25)
    assert error(traced(x), layer(x)[0]) < 1e-6


@over_layers
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_gradients_are_finite_in_both_directions(name: str, scale: float) -> None:
    """Gradients with respect to inputs and weights are finite, towards codes and back."""
    layer, x = built(name, "float32", seed=1), ops.convert_to_tensor(rows(name, 2, "float32", scale))
    directions: tuple[Any, ...] = (
        lambda: sum(map(ops.sum, layer(x))),
        lambda: ops.sum(layer.invert(layer(x)[0])),
    )
    for direction in directions:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = direction()
        found = tape.gradient(value, [x, *[variable.value for variable in layer.trainable_variables]])
        assert found[0] is not None
        assert all(np.isfinite(part).all() for part in found if part is not None)


@over_layers
@pytest.mark.parametrize("policy", HALF)
def test_mixed_precision_is_half_as_precise_and_trains(name: str, policy: str) -> None:
    """Under a mixed policy the round trip holds to half precision, variables stay float32, gradients are finite."""
    layer, x = built(name, policy), ops.convert_to_tensor(rows(name, 5, "float32"))
    randomize(layer, 1, spread=0.5)
    y, logdet = layer(x)
    assert {keras.backend.standardize_dtype(part.dtype) for part in (y, logdet)} == {policy.removeprefix("mixed_")}
    assert error(ops.cast(layer.invert(y), "float32"), x) < HALF[policy]
    assert {variable.dtype for variable in layer.trainable_variables} <= {"float32"}
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, logdet = layer(x, training=True) if accepts_training(layer) else layer(x)
        value = ops.sum(ops.cast(y, "float32")) + ops.sum(ops.cast(logdet, "float32"))
    found = tape.gradient(value, [x, *[variable.value for variable in layer.trainable_variables]])
    assert found[0] is not None
    assert all(np.isfinite(part).all() for part in found if part is not None)
