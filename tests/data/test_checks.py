"""What latents and numbers must be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gyoza.data.checks import ROWS_AT_ONCE, checked_integer, checked_latents, first_row


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_integers_of_any_kind_pass(value: Any) -> None:
    """NumPy's integers become Python's."""
    found = checked_integer("count", value, 3)
    assert (type(found), found) == (int, 3)


@pytest.mark.parametrize("value", [True, 3.0, "3", None])
def test_other_numbers_are_no_integers(value: Any) -> None:
    """Nothing is rounded or parsed, and True is no number."""
    with pytest.raises(TypeError, match=f"count must be an integer. Received: count={value!r}"):
        checked_integer("count", value, 1)


def test_small_integers_are_refused() -> None:
    """The message says how large it must be."""
    with pytest.raises(ValueError, match=r"count must be at least 1\. Received: count=0"):
        checked_integer("count", 0, 1)


def test_latents_are_not_copied(tmp_path: Path) -> None:
    """Arrays, and files mapped into memory, are taken as they are."""
    latents = np.ones((2, 3), "float16")
    assert checked_latents("latents", latents) is latents
    np.save(tmp_path / "latents.npy", latents)
    mapped = np.load(tmp_path / "latents.npy", mmap_mode="r")
    assert np.shares_memory(checked_latents("latents", mapped), mapped)


@pytest.mark.parametrize("shape", [(4,), (1, 3), (0, 3), (4, 0), ()])
def test_latents_have_rows_and_entries(shape: tuple[int, ...]) -> None:
    """Fewer than two rows or no entries make no pairs."""
    with pytest.raises(ValueError, match=r"\[n, …\] with n ≥ 2 rows. Received: latents.shape=\(") as caught:
        checked_latents("latents", np.zeros(shape))
    assert str(caught.value).endswith(f"shape={shape}")


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "complex64", "object"])
def test_latents_are_floats(dtype: str) -> None:
    """The message says how to make floats of others."""
    with pytest.raises(TypeError, match=rf"astype\('float32'\). Received: latents.dtype={dtype}"):
        checked_latents("latents", np.zeros((2, 3), dtype))


@pytest.mark.parametrize("row", [0, 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 2])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_the_first_row_that_is_not_finite_is_named(row: int, value: float) -> None:
    """Wherever it stands, also beyond the rows that are looked at together."""
    latents = np.zeros((ROWS_AT_ONCE + 3, 2), "float32")
    latents[[row, -1], 1] = value
    with pytest.raises(ValueError, match=rf"latents must be finite; .*Received: latents\[{row}\] is not"):
        checked_latents("latents", latents)


def test_the_first_row_with_a_flag_is_found() -> None:
    """Flags may have any number of axes."""
    flags = np.zeros((5, 2, 3), bool)
    flags[3, 1, 2] = flags[4, 0, 0] = True
    assert first_row(flags) == 3
    assert first_row([False, True, True]) == 1
