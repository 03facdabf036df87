"""Permutations, by brute force."""

from itertools import pairwise, product
from math import prod
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from gyoza.modelling.flow_layers import (
    CheckerBoardPermutation,
    HeavisidePermutation,
    Permutation,
    ShufflePermutation,
)
from gyoza.modelling.masks import CheckerBoardMask, HeavisideMask

SHAPES = [(1,), (5,), (6,), (1, 4), (2, 3), (3, 3), (4, 1), (2, 3, 2), (3, 3, 3), (2, 2, 2, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_rope_visits_every_cell_once_by_single_steps(shape: tuple[int, ...]) -> None:
    """All cells, each a neighbour of the one before, starting at 0, each index a list of its own."""
    rope = list(CheckerBoardPermutation.generate_rope_indices(list(shape)))
    assert len({id(cell) for cell in rope}) == len(rope) == prod(shape)
    assert sorted(rope) == sorted(map(list, product(*map(range, shape))))
    assert rope[0] == [0] * len(shape)
    steps = [np.abs(np.subtract(a, b)) for a, b in pairwise(rope)]
    assert all(step.sum() == 1 for step in steps)


def test_the_rope_runs_along_later_axes_first() -> None:
    """To and fro along the last axis."""
    rope = list(CheckerBoardPermutation.generate_rope_indices([2, 3]))
    assert rope == [[0, 0], [0, 1], [0, 2], [1, 2], [1, 1], [1, 0]]


@pytest.mark.parametrize(
    ("index", "limit", "direction", "expected"),
    [(0, 3, 1, False), (2, 3, 1, True), (2, 3, -1, False), (0, 3, -1, True), (0, 1, 1, True), (0, 1, -1, True)],
)
def test_the_end_of_an_axis(index: int, limit: int, direction: int, expected: bool) -> None:
    """The last index on the way up, 0 on the way down."""
    assert CheckerBoardPermutation.is_end_of_axis(index=index, limit=limit, direction=direction) is expected


@pytest.mark.parametrize("shape", SHAPES)
def test_checkerboard_swaps_neighbours_on_the_rope(shape: tuple[int, ...]) -> None:
    """Pairs along the rope change places; the last entry of an odd number stays."""
    axes = list(range(1, len(shape) + 1))
    values = np.arange(prod(shape), dtype="float32").reshape(1, *shape)
    y = np.asarray(CheckerBoardPermutation(list(shape), axes)(values)[0])[0]
    rope = [tuple(cell) for cell in CheckerBoardPermutation.generate_rope_indices(list(shape))]
    for a, b in zip(rope[::2], rope[1::2], strict=False):
        assert y[a] == values[0][b]
        assert y[b] == values[0][a]
    if len(rope) % 2:
        assert y[rope[-1]] == values[0][rope[-1]]


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7])
def test_heaviside_rotates_by_half(size: int) -> None:
    """The output is concat(x[D//2:], x[:D//2]), for odd lengths too."""
    x = np.arange(size, dtype="float32")[None]
    y, _ = HeavisidePermutation([size], [1])(x)
    np.testing.assert_array_equal(y[0], np.concatenate([x[0, size // 2 :], x[0, : size // 2]]))


@pytest.mark.parametrize(
    ("permutation", "mask"), [(HeavisidePermutation, HeavisideMask), (CheckerBoardPermutation, CheckerBoardMask)]
)
def test_what_a_mask_keeps_moves_to_what_it_does_not(permutation: Any, mask: Any) -> None:
    """Each permutation goes with its mask: after it, the other half is coupled."""
    kept = ops.convert_to_numpy(mask(axes=[1, 2], shape=[4, 4])._mask_).reshape(1, 4, 4)
    np.testing.assert_array_equal(permutation([4, 4], [1, 2])(kept)[0], 1 - kept)


def test_permutation_is_a_gather_of_the_joined_axes() -> None:
    """Entry i of the flat output is entry permutation[i] of the flat input, for axes apart too."""
    x = np.random.default_rng(0).standard_normal((2, 2, 3, 2)).astype("float32")
    layer = Permutation([2, 2], [1, 3], [2, 0, 3, 1])
    flat = np.moveaxis(x, [1, 3], [2, 3]).reshape(2, 3, 4)[..., [2, 0, 3, 1]]
    np.testing.assert_array_equal(layer(x)[0], np.moveaxis(flat.reshape(2, 3, 2, 2), [2, 3], [1, 3]))


def test_variables_are_the_permutation_and_its_inverse() -> None:
    """Two int32 variables that are not trained, in this order."""
    layer = Permutation([3], [1], [2, 0, 1])
    assert layer.trainable_variables == []
    assert [variable.dtype for variable in layer.variables] == ["int32", "int32"]
    assert layer.get_weights()[0].tolist() == [2, 0, 1]
    assert layer.get_weights()[1].tolist() == [1, 2, 0]
    assert layer._forward_permutation_ is layer.variables[0]
    assert layer._inverse_permutation_ is layer.variables[1]


def test_a_seed_makes_a_shuffle() -> None:
    """The same seed gives the same shuffle, another one another; without one Keras' global seed decides."""
    shuffles = [ShufflePermutation([50], [1], seed=seed).get_config()["permutation"] for seed in (1, 1, 2)]
    assert shuffles[0] == shuffles[1] != shuffles[2]
    assert sorted(shuffles[0]) == list(range(50))
    keras.utils.set_random_seed(3)
    first = ShufflePermutation([50], [1]).get_config()["permutation"]
    second = ShufflePermutation([50], [1]).get_config()["permutation"]
    keras.utils.set_random_seed(3)
    assert ShufflePermutation([50], [1]).get_config()["permutation"] == first != second


@pytest.mark.parametrize("permutation", [[0, 1], [0, 1, 1], [1, 2, 3], [0, 1, 2, 3]])
def test_what_is_no_permutation_is_refused(permutation: list[int]) -> None:
    """Each place is named once."""
    with pytest.raises(ValueError, match=r"each of 0 … 2 once. Received: permutation="):
        Permutation([3], [1], permutation)


def test_indices_are_integers() -> None:
    """Nothing is rounded."""
    with pytest.raises(TypeError, match=r"permutation must hold integers only. Received: permutation="):
        Permutation([3], [1], [0.9, 1.2, 2.7])  # type: ignore[list-item]


@pytest.mark.parametrize("kind", [CheckerBoardPermutation, HeavisidePermutation, ShufflePermutation])
def test_axes_that_make_no_sense_are_refused(kind: Any) -> None:
    """Also by those that compute their permutation from the shape."""
    with pytest.raises(ValueError, match="from 1 on"):
        kind([3], [0])
    with pytest.raises(ValueError, match="at least 1"):
        kind([-3], [1])
