"""Arrays between codecs and engine."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.tensors import FactorLayout, check_results, check_shape, log_likelihood, round_trip_error


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(1, 4))
def test_split_and_join_undo_each_other(sizes: list[int], rows: int) -> None:
    """Factors cut from codes cover them in order, and join to the same codes."""
    layout = FactorLayout.of((f"f{number}", size, None, None) for number, size in enumerate(sizes))
    codes = np.arange(rows * layout.size, dtype=np.float32).reshape(rows, -1)
    factors = layout.split(codes)
    assert [factor.shape[1] for factor in factors.values()] == sizes
    np.testing.assert_array_equal(layout.join(dict(reversed(factors.items()))), codes)


def test_log_likelihood_is_summed_in_float64() -> None:
    """Log N(code; 0, I) + logdet is summed in float64 over all entries of a code, and comes in the flow's dtype."""
    codes = np.full((2, 3, 1000), 1e-3, np.float32)
    found = log_likelihood(codes, np.array([1.0, 2.0], np.float32))
    expected = np.array([1.0, 2.0]) - 0.5 * (3000 * float(np.float32(1e-3)) ** 2 + 3000 * np.log(2 * np.pi))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_log_likelihood_makes_no_copy_of_the_codes() -> None:
    """The likelihood of many codes takes less memory than one float64 copy of them would."""
    codes, logdet = np.ones((20_000, 64), np.float32), np.zeros(20_000, np.float32)
    tracemalloc.start()
    try:
        log_likelihood(codes, logdet)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < codes.size * 8 / 4


def test_round_trip_error_is_the_largest_of_a_row() -> None:
    """Each row's error is its largest absolute difference."""
    found = np.zeros((2, 2, 2))
    found[1, 0, 1] = -3
    np.testing.assert_array_equal(round_trip_error(found, np.zeros((2, 2, 2))), [0, 3])


def test_shapes_are_told() -> None:
    """A wrong shape is refused with the one that must hold and the one received."""
    check_shape(np.zeros((2, 4)), (4,), "latents")
    with pytest.raises(InvalidInput, match=r"latents: must have the shape \[n, 4\]. Received: \[2, 3\]"):
        check_shape(np.zeros((2, 3)), (4,), "latents")
    with pytest.raises(InvalidInput, match=r"\[1, 4\]. Received: \[2, 4\]"):
        check_shape(np.zeros((2, 4)), (4,), "latents", rows=1)


def test_results_must_be_finite() -> None:
    """A row that is not finite in any result is refused, and named."""
    check_results("latents", np.dtype("float32"), np.zeros((2, 4)))
    with pytest.raises(InvalidInput, match="these rows overflow: 1"):
        check_results("latents", np.dtype("float32"), np.array([0, np.nan]))
