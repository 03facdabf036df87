"""Flattening along axes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gyoza.modelling.axes import check_shape_and_axes, join_axes, joined_indices, split_axes, spread

X = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)


@pytest.mark.parametrize("axes", [[1], [2], [3], [1, 2], [2, 3], [1, 3], [1, 2, 3]])
def test_join_axes_is_moveaxis_and_reshape(axes: list[int]) -> None:
    """Joining moves the axes to the end in their order and flattens them; splitting undoes it."""
    shape = [X.shape[axis] for axis in axes]
    moved = np.moveaxis(X, axes, range(-len(axes), 0))
    expected = moved.reshape(*moved.shape[: 4 - len(axes)], -1)
    joined = join_axes(X, axes, shape)
    np.testing.assert_array_equal(joined, expected)
    np.testing.assert_array_equal(split_axes(joined, axes, shape), X)
    np.testing.assert_array_equal(X[1].ravel()[joined_indices(axes, X.shape[1:])].ravel(), expected[1].ravel())


def test_sizes_of_other_axes_may_be_unknown() -> None:
    """In a traced function, all axes but the joined ones may have any size."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 5), "int64")])
    def round_trip(x: tf.Tensor) -> tf.Tensor:
        return split_axes(join_axes(x, [3], [5]), [3], [5]) + 0 * split_axes(
            join_axes(x, [1, 3], [3, 5]), [1, 3], [3, 5]
        )

    np.testing.assert_array_equal(round_trip(X), X)


def test_symbolic_tensors_keep_their_batch_axis() -> None:
    """A symbolic tensor of unknown batch size is joined and split."""
    joined = join_axes(keras.KerasTensor((None, 3, 4, 5)), [1, 3], [3, 5])
    assert joined.shape == (None, 4, 15)
    assert split_axes(joined, [1, 3], [3, 5]).shape == (None, 3, 4, 5)


def test_spread_repeats_over_the_other_axes() -> None:
    """Each entry along the axes stands wherever it applies in the flattened latent."""
    values = np.arange(15).reshape(3, 5)
    expected = np.broadcast_to(values[:, None, :], (3, 4, 5)).ravel()
    np.testing.assert_array_equal(spread(values, [1, 3], [3, 5], (3, 4, 5)), expected)


@pytest.mark.parametrize(
    ("shape", "axes", "message"),
    [
        ([2], [0], r"from 1 on.*Received: axes=\[0\]"),
        ([], [], r"from 1 on"),
        ([2, 3], [2, 1], r"ascending.*Received: axes=\[2, 1\]"),
        ([2, 3], [1, 1], r"ascending"),
        ([2], [-1], r"from 1 on"),
        ([2, 3], [1], r"same length.*Received: shape=\[2, 3\], axes=\[1\]"),
        ([0], [1], r"at least 1.*Received: shape=\[0\]"),
    ],
)
def test_shapes_and_axes_that_make_no_sense_are_refused(shape: list[int], axes: list[int], message: str) -> None:
    """The error says what must hold and what was received."""
    with pytest.raises(ValueError, match=message):
        check_shape_and_axes(shape, axes)


@pytest.mark.parametrize(("shape", "axes"), [([2.5], [1]), ([2.0], [1]), ([True], [1]), ([2], [True])])
def test_shapes_and_axes_must_be_integers(shape: list[int], axes: list[int]) -> None:
    """A size or an axis that is no integer, or is a bool, is a type error."""
    with pytest.raises(TypeError, match=r"(shape|axes) must hold integers only. Received: (shape|axes)="):
        check_shape_and_axes(shape, axes)


def test_numpy_integers_are_integers() -> None:
    """Integers of any kind will do."""
    assert check_shape_and_axes(list(np.array([2, 3])), list(np.array([1, 2]))) == ([2, 3], [1, 2])
