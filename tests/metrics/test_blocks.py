"""Codes are cut into blocks and joined again without loss."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.metrics import join, split, swap
from gyoza.metrics.blocks import as_blocks

BLOCKS = {"residual": np.arange(6.0).reshape(3, 2), "color": np.arange(3.0)[:, None]}


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 4))
def test_split_and_join_undo_each_other(sizes: list[int], count: int) -> None:
    """Blocks come in the order and the sizes that were asked for, in the dtype of the codes."""
    named = {f"f{place}": size for place, size in enumerate(sizes)}
    codes = np.arange(count * sum(sizes), dtype=np.float32).reshape(count, -1) if count else np.zeros((0, sum(sizes)))
    blocks = split(codes, named)
    assert {name: block.shape for name, block in blocks.items()} == {n: (count, size) for n, size in named.items()}
    assert join(blocks).dtype == codes.dtype
    np.testing.assert_array_equal(join(blocks), codes)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 5, 1)])
def test_codes_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    """The sizes must add up to the dimensions of the code."""
    with pytest.raises(ValueError, match=r"codes must have the shape \[n, 5\] for sizes=.*Received: codes.shape="):
        split(np.zeros(shape), {"residual": 3, "color": 2})


def test_a_swap_changes_one_block() -> None:
    """The donors' block comes in, everything else stays, and what was given is not touched."""
    swapped = swap(BLOCKS, "color", np.array([2, 0, 0]))
    np.testing.assert_array_equal(swapped["color"], [[2], [0], [0]])
    assert swapped["residual"] is BLOCKS["residual"]
    np.testing.assert_array_equal(BLOCKS["color"], [[0], [1], [2]])


@pytest.mark.parametrize(
    ("factor", "donors", "error", "message"),
    [
        ("size", [0, 1, 2], ValueError, r"factor must name one of the blocks. Received: factor='size', blocks="),
        ("color", [0.0, 1.0, 2.0], TypeError, r"donors must hold integers. Received: donors.dtype=float64"),
        ("color", [0, 1], ValueError, r"donors must have the shape \[3\].*Received: donors.shape=\(2,\)"),
        ("color", [0, 1, 3], ValueError, r"donors must be rows of 0 … 2. Received: 0 … 3"),
        ("color", [0, 1, -1], ValueError, r"donors must be rows of 0 … 2. Received: -1 … 1"),
    ],
)
def test_a_swap_that_makes_no_sense_is_refused(
    factor: str, donors: list[Any], error: type[Exception], message: str
) -> None:
    """The block exists, and there is one donor among the rows for each row."""
    with pytest.raises(error, match=message):
        swap(BLOCKS, factor, np.array(donors))


def test_blocks_without_rows_have_no_donors() -> None:
    """Swapping nothing gives nothing."""
    assert swap({"color": np.zeros((0, 2))}, "color", np.zeros(0, int))["color"].shape == (0, 2)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({}, r"blocks must hold at least one block. Received: blocks=\{\}"),
        ({"a": np.zeros((3, 1)), "b": np.zeros((2, 1))}, r"same number of rows. Received: rows=\{'a': 3, 'b': 2\}"),
        ({"a": np.zeros(3)}, r"blocks\['a'\] must have the shape \[n, size\]"),
        ({"a": np.full((3, 1), np.nan)}, r"blocks\['a'\] must hold finite numbers only"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(blocks: dict[str, np.ndarray], message: str) -> None:
    """There is a block, each has two axes and finite numbers, and all have the same rows."""
    with pytest.raises(ValueError, match=message):
        as_blocks(blocks, "blocks")
