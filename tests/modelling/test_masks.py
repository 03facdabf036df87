"""Masks, by brute force."""

from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from gyoza.modelling.masks import CheckerBoardMask, HeavisideMask, Mask

IMAGES = np.random.default_rng(0).standard_normal((2, 3, 4, 2))


@pytest.mark.parametrize(("size", "expected"), [(1, "1"), (4, "0011"), (5, "00111"), (7, "0001111")])
def test_heaviside_is_zeros_then_ones(size: int, expected: str) -> None:
    """D//2 zeros, then ones."""
    mask = HeavisideMask(axes=[1], shape=[size])
    assert ops.convert_to_numpy(mask._mask_).tolist() == [float(entry) for entry in expected]


@pytest.mark.parametrize("shape", [(5,), (2, 3), (3, 3), (2, 3, 2)])
def test_checkerboard_alternates_along_every_axis(shape: tuple[int, ...]) -> None:
    """An entry is 1 where the sum of its indices is odd."""
    mask = CheckerBoardMask(axes=list(range(1, len(shape) + 1)), shape=list(shape))
    expected = [sum(cell) % 2 for cell in product(*map(range, shape))]
    assert ops.convert_to_numpy(mask._mask_).tolist() == expected


@pytest.mark.parametrize("axes", [[1, 2], [1, 3], [2, 3], [2], [1, 2, 3]])
@pytest.mark.parametrize("is_positive", [True, False])
def test_call_selects_entries(axes: list[int], is_positive: bool) -> None:
    """Entries pass where the mask is 1, or 0 in the negative configuration; the others are 0, in the input's dtype."""
    shape = [IMAGES.shape[axis] for axis in axes]
    mask = CheckerBoardMask(axes=axes, shape=shape)
    masked = mask(IMAGES, is_positive=is_positive)
    for cell in np.ndindex(IMAGES.shape):
        passes = (sum(cell[axis] for axis in axes) % 2 == 1) == is_positive
        assert float(masked[cell]) == (IMAGES[cell] if passes else 0)


def test_what_is_cancelled_out_does_not_matter() -> None:
    """Infinities and NaN under a 0 become 0."""
    mask = HeavisideMask(axes=[1], shape=[4])
    assert np.array_equal(mask(np.array([[np.inf, np.nan, 1, 2]])), [[0, 0, 1, 2]])


@pytest.mark.parametrize("axes", [[1], [1, 2], [1, 3], [2, 3]])
def test_arrange_puts_zeros_first_and_re_arrange_undoes_it(axes: list[int]) -> None:
    """Entries under a 0 come first, in order, in the place of the first axis; re_arrange gives the input back."""
    shape = [IMAGES.shape[axis] for axis in axes]
    mask = CheckerBoardMask(axes=axes, shape=shape)
    moved = np.moveaxis(IMAGES, axes, range(-len(axes), 0)).reshape(2, -1, np.prod(shape))
    passing = ops.convert_to_numpy(mask._mask_) == 1
    expected = np.concatenate([moved[..., ~passing], moved[..., passing]], axis=-1)
    arranged = mask.arrange(IMAGES)
    assert arranged.shape[axes[0]] == np.prod(shape)
    found = np.moveaxis(arranged, axes[0], -1).reshape(expected.shape)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(mask.re_arrange(arranged), IMAGES)


def test_arrange_works_in_graphs_with_any_batch_size() -> None:
    """Traced once, arrange and re_arrange take batches of any size."""
    mask = HeavisideMask(axes=[1, 3], shape=[3, 2])

    @tf.function(input_signature=[tf.TensorSpec((None, 3, 4, 2), "float64")], jit_compile=True)
    def round_trip(x: tf.Tensor) -> tf.Tensor:
        return mask.re_arrange(mask.arrange(x))

    for count in (1, 2):
        np.testing.assert_array_equal(round_trip(IMAGES[:count]), IMAGES[:count])


@pytest.mark.parametrize(
    "mask",
    [
        Mask(axes=[1], shape=[3], mask=[1, 0, 1]),
        HeavisideMask(axes=[1], shape=[3]),
        CheckerBoardMask(axes=[1, 3], shape=[3, 2]),
    ],
    ids=lambda mask: type(mask).__name__,
)
def test_a_mask_survives_its_config(mask: Mask) -> None:
    """A mask made from a config is the same mask."""
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(mask))
    assert type(again) is type(mask)
    assert again.get_config() == mask.get_config()


@pytest.mark.parametrize("mask", [[0, 1], [0, 1, 2], [0.5, 1, 0]])
def test_other_values_or_lengths_are_refused(mask: list[float]) -> None:
    """A mask holds as many zeros and ones as the shape has entries."""
    with pytest.raises(ValueError, match=r"mask must hold 3 zeros and ones. Received: mask="):
        Mask(axes=[1], shape=[3], mask=mask)


def test_an_input_of_another_shape_is_refused() -> None:
    """A mask says which shape it takes."""
    with pytest.raises(ValueError, match=r"must have the shape \[3\] along the axes \[1\]. Received: shape=\(1, 4\)"):
        HeavisideMask(axes=[1], shape=[3])(np.zeros((1, 4)))
    with pytest.raises(ValueError, match=r"must have an axis 2. Received: shape=\(1, 4\)"):
        HeavisideMask(axes=[2], shape=[3])(np.zeros((1, 4)))
