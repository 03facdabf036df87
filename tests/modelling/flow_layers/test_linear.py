"""The invertible linear layer against its matrix."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from gyoza.inference import plan
from gyoza.modelling.flow_layers import InvertibleLinear
from gyoza.modelling.flow_layers.linear import factorise
from tests.modelling.layers import randomize


def layer_of(size: int, seed: int = 0, random: int | None = None) -> InvertibleLinear:
    """A built layer on [size] in float64, with other weights than at first where ``random`` seeds them."""
    layer = InvertibleLinear([size], [1], seed=seed, dtype="float64")
    layer.build((None, size))
    if random is not None:
        randomize(layer, random)
    return layer


def matrix_of(layer: InvertibleLinear) -> np.ndarray:
    """W [D, D], from the factors as the attributes hold them."""
    lower, upper, log_scale, signs, permutation = (
        ops.convert_to_numpy(part)
        for part in (layer._lower_, layer._upper_, layer._log_scale_, layer._signs_, layer._permutation_)
    )
    size = len(signs)
    product = (np.tril(lower, -1) + np.eye(size)) @ (np.triu(upper, 1) + np.diag(signs * np.exp(log_scale)))
    return np.asarray(np.eye(size)[permutation] @ product)


def test_it_starts_as_a_rotation_drawn_by_the_seed() -> None:
    """W is orthogonal at first, the same for the same seed, and no mere permutation."""
    first, again, other = (matrix_of(layer_of(5, seed)) for seed in (0, 0, 1))
    np.testing.assert_allclose(first @ first.T, np.eye(5), atol=1e-12)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    assert np.abs(first).max() < 0.99


@pytest.mark.parametrize("random", [None, 3])
def test_it_multiplies_by_its_matrix(random: int | None) -> None:
    """It computes W x, back by the inverse, and the logdet is log|det W|."""
    layer, x = layer_of(5, random=random), np.random.default_rng(0).standard_normal((4, 5))
    matrix = matrix_of(layer)
    y, logdet = layer(x)
    np.testing.assert_allclose(y, x @ matrix.T, atol=1e-12)
    np.testing.assert_allclose(layer.invert(x), x @ np.linalg.inv(matrix).T, atol=1e-10)
    np.testing.assert_allclose(logdet, np.full(4, np.linalg.slogdet(matrix)[1]), atol=1e-12)


def test_along_the_channels_it_is_a_convolution_of_one_pixel() -> None:
    """On [batch, height, width, channels] it is ``Conv2D`` with a 1×1 kernel, and counts each pixel's volume."""
    layer = InvertibleLinear([3], [3], seed=0, dtype="float64")
    layer.build((None, 4, 2, 3))
    randomize(layer, 1)
    x, matrix = np.random.default_rng(0).standard_normal((2, 4, 2, 3)), matrix_of(layer)
    y, logdet = layer(x)
    kernel = matrix.T.reshape(1, 1, 3, 3)
    np.testing.assert_allclose(y, ops.conv(x, kernel, padding="valid", data_format="channels_last"), atol=1e-12)
    np.testing.assert_allclose(logdet, np.full(2, 8 * np.linalg.slogdet(matrix)[1]), atol=1e-12)


def test_it_stays_invertible_whatever_its_weights() -> None:
    """No weights make it singular: the diagonal's signs are kept, its size is an exponential."""
    layer, x = layer_of(4), np.random.default_rng(0).standard_normal((3, 4))
    layer._log_scale_.assign([-6.0, 6.0, -3.0, 0.0])
    np.testing.assert_allclose(layer.invert(layer(x)[0]), x, rtol=1e-6, atol=1e-6)


def test_half_precision_multiplies_in_single() -> None:
    """Under a mixed policy only inputs and outputs are rounded, so that both directions have one matrix."""
    keras.utils.set_random_seed(0)
    layer = InvertibleLinear([16], [1], dtype="mixed_float16")
    x = np.random.default_rng(0).standard_normal((64, 16)).astype("float16")
    back = ops.convert_to_numpy(layer.invert(layer(x)[0])).astype("float32")
    assert np.abs(back - x).max() < 5e-3


def test_it_lowers_to_its_matrix_or_to_a_call() -> None:
    """A plan holds matrix and inverse, unless a latent is large or a subclass does something else."""

    class Own(InvertibleLinear):
        def call(self, inputs: Any) -> tuple[Any, Any]:
            return super().call(inputs)

    layer = layer_of(3, random=0)
    (step,) = layer.lower((3,))
    assert isinstance(step, plan.Linear)
    np.testing.assert_allclose(step.matrix @ step.inverse, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(step.matrix, matrix_of(layer).T, atol=1e-12)
    for large in (Own([3], [1]), InvertibleLinear([1025], [1])):
        large.build((None, *large._shape_))
        assert isinstance(large.lower(tuple(large._shape_))[0], plan.Opaque)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_factorised_matrix_is_the_product_of_its_factors(size: int) -> None:
    """P L U is the matrix, L has ones on its diagonal and nothing above 1 in size, U nothing below its diagonal."""
    matrix = np.random.default_rng(size).standard_normal((size, size))
    matrix[0, 0] = 0 if size > 1 else 2
    permutation, lower, upper = factorise(matrix)
    np.testing.assert_allclose((lower @ upper)[permutation], matrix, atol=1e-13)
    np.testing.assert_array_equal(np.diag(lower), np.ones(size))
    np.testing.assert_array_equal(np.triu(lower, 1) + np.tril(upper, -1), np.zeros((size, size)))
    assert np.abs(lower).max() <= 1
