"""Arrays that no metric could make sense of are refused with the place and the cure."""

import numpy as np
import pytest

from gyoza.metrics.arrays import as_numbers, as_rows


def test_numbers_of_any_real_kind_become_float64() -> None:
    """Lists, integers and half precision come out as float64, with the same values."""
    for values in ([[1, 2]], np.array([[1, 2]], np.uint8), np.array([[1, 2]], np.float16)):
        rows = as_rows(values, "codes")
        assert rows.dtype == np.float64
        np.testing.assert_array_equal(rows, [[1, 2]])


@pytest.mark.parametrize("values", [[["a"]], [[True]], [[1j]], np.array([[None]])])
def test_other_kinds_are_refused(values: list[object]) -> None:
    """Strings, booleans, complex numbers and objects are no real numbers."""
    with pytest.raises(TypeError, match=r"codes must hold real numbers. Received: codes.dtype="):
        as_rows(values, "codes")  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_found(bad: float) -> None:
    """The first place is named, and how many there are."""
    values = np.zeros((3, 4))
    values[1, 2] = values[2, 0] = bad
    with pytest.raises(ValueError, match=rf"finite numbers only.*Received: codes\[1, 2\]={bad} \(2 in all\)"):
        as_numbers(values, "codes")


@pytest.mark.parametrize("shape", [(3,), (0, 2), (2, 0), (1, 2, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    """Rows have two axes, neither of them empty."""
    with pytest.raises(ValueError, match=r"codes must have the shape \[n, size\].*Received: codes.shape="):
        as_rows(np.zeros(shape), "codes")
