"""Rows in parts."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.client.formats import FORMATS
from gyoza.client.splitting import cut, joined, parts, row_bytes, row_count


@given(rows=st.integers(1, 10_000), most=st.integers(1, 5_000))
def test_parts_are_all_rows_in_order(rows: int, most: int) -> None:
    """Parts follow each other, are as few as can be, none is larger than it may be, and none much smaller than another."""
    found = parts(rows, most)
    sizes = [part.stop - part.start for part in found]
    assert [part.start for part in found] == [0, *(part.stop for part in found[:-1])]
    assert found[-1].stop == rows
    assert len(found) == -(-rows // most)
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1


@given(rows=st.integers(1, 50), most=st.integers(1, 20))
def test_what_was_cut_is_joined(rows: int, most: int) -> None:
    """Cut and joined again, arrays of all rows are what they were, within objects too."""
    fields = {"codes": np.arange(2 * rows).reshape(rows, 2), "factors": {"a": np.arange(rows)}, "model": "tiny"}
    again = joined([cut(fields, rows, part) for part in parts(rows, most)])
    assert again.keys() == fields.keys()
    np.testing.assert_equal(again, fields)


def test_a_row_for_all_goes_with_every_part() -> None:
    """Of an edit, arrays with a row for each row are cut, those with one for all are not."""
    edits: Any = [{"set": np.ones((1, 2))}, {"blend": {"latents": np.arange(4)[:, None], "weight": 0.5}}]
    first, second = cut(edits, 4, slice(2, 4))
    assert first["set"].shape == (1, 2)
    assert second["blend"]["latents"].ravel().tolist() == [2, 3]
    assert second["blend"]["weight"] == 0.5


def test_rows_must_agree() -> None:
    """An array with more or fewer rows than the first one is refused, by its path."""
    fields: dict[str, Any] = {
        "latents": np.ones((4, 2)),
        "edits": [{"swap": np.ones((1, 2))}, {"swap": np.ones((3, 2))}],
    }
    with pytest.raises(ValueError, match=r"edits\.1\.swap must have as many rows as latents, 4, or one"):
        row_count(fields)
    assert row_count({"factors": {"a": np.ones((3, 1)), "b": np.ones((3, 2))}}) == 3


def test_the_bytes_of_a_row_count_what_is_cut() -> None:
    """A row takes its share of all arrays that are cut, and of none that is sent whole."""
    fields = {"latents": np.ones((4, 2), np.float32), "edits": [{"set": np.ones((1, 100))}, {"swap": np.ones((4, 2))}]}
    assert row_bytes(fields, 4, FORMATS["safetensors"]) == 8 + 16
