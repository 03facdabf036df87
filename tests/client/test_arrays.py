"""Arrays as a call takes them."""

from typing import Any

import numpy as np
import pytest

from gyoza.client.arrays import as_rows


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_floats_stay_what_they_are(dtype: str) -> None:
    """Floats that the service reads are not copied."""
    array = np.ones((2, 3), dtype)
    assert as_rows(array, "latents") is array


@pytest.mark.parametrize("values", [np.ones((2, 3), np.uint8), [[1, 2], [3, 4]], np.ones((1, 1), np.longdouble)])
def test_other_real_numbers_become_float64(values: Any) -> None:
    """Integers, and floats that no body can hold, become the largest floats that it can."""
    array = as_rows(values, "latents")
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, values)


@pytest.mark.parametrize("values", [[["a"]], [[True]], [[1j]], [[None]], np.zeros((1, 1), "M8[s]")])
def test_what_is_no_real_number_is_refused(values: Any) -> None:
    """Texts, booleans, complex numbers, dates and objects are refused before anything is sent, by name and dtype."""
    with pytest.raises(TypeError, match=r"^codes must be real numbers.*Received: dtype="):
        as_rows(values, "codes")


@pytest.mark.parametrize("values", [1.0, [1.0, 2.0]])
def test_a_row_needs_its_axis(values: Any) -> None:
    """Nobody can tell one row from many short ones, so one axis is refused, with the way to write one row."""
    with pytest.raises(ValueError, match=r"must have the shape \[n, …\].*Send one row as latents\[None\]"):
        as_rows(values, "latents")


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_nothing_is_refused(shape: tuple[int, ...]) -> None:
    """The service takes no batch without rows, so none is sent."""
    with pytest.raises(ValueError, match=r"must hold at least one row.*Received: shape="):
        as_rows(np.zeros(shape), "latents")
