"""Edits as values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gyoza.client import edits
from gyoza.client.edits import Edit

ROWS = [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("edit", "operation", "value"),
    [
        (edits.set("a", ROWS), "set", np.array(ROWS)),
        (edits.shift("a", ROWS), "shift", np.array(ROWS)),
        (edits.scale("a", 2), "scale", 2.0),
        (edits.swap("a", ROWS), "swap", np.array(ROWS)),
        (edits.blend("a", ROWS, 0.5), "blend", {"latents": np.array(ROWS), "weight": 0.5}),
        (edits.sample("a", 7), "sample", {"seed": 7}),
    ],
    ids=lambda value: value.operation if isinstance(value, Edit) else None,
)
def test_each_is_what_the_service_reads(edit: Edit, operation: str, value: Any) -> None:
    """An edit's document names the factor and its one operation."""
    assert edit.document.keys() == {"factor", operation}
    assert edit.document["factor"] == "a"
    np.testing.assert_equal(edit.document[operation], value)


def test_a_sample_without_a_seed_gets_one() -> None:
    """So that the same edit draws the same wherever it is used again."""
    seeds = {edits.sample("a").value["seed"] for _ in range(4)}
    assert len(seeds) > 1
    assert all(0 <= seed < 2**32 for seed in seeds)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_have_32_bits(seed: int) -> None:
    """A seed that the stream does not know is refused."""
    with pytest.raises(ValueError, match="seed must be an integer from 0"):
        edits.sample("a", seed)


@pytest.mark.parametrize("make", [edits.set, edits.shift, edits.swap])
def test_rows_are_checked(make: Callable[[str, Any], Edit]) -> None:
    """An array that could be one row or many is refused where the edit is made."""
    with pytest.raises(ValueError, match=rf"{make.__name__} must have the shape"):
        make("a", [1.0])


@pytest.mark.parametrize("name", ["latents", "a.b", ""])
def test_names_are_checked(name: str) -> None:
    """What no factor may be called is refused where the edit is made."""
    with pytest.raises(ValueError, match="factor's name must match"):
        edits.scale(name, 1.0)


@pytest.mark.parametrize("wrong", [[edits.scale("a", 1.0)], "swap"])
def test_only_edits_are_edits(wrong: Any) -> None:
    """A list of edits, or a word, is told how edits are passed."""
    with pytest.raises(TypeError, match=r"passed one by one\. Received: (list|str)"):
        edits.documents([wrong])


def test_seeds_are_integers() -> None:
    """A number between two seeds is neither of them; integers of NumPy are integers."""
    wrong: Any = 1.7
    with pytest.raises(TypeError, match="integer"):
        edits.sample("a", wrong)
    right: Any = np.int64(3)
    assert edits.sample("a", right).value == {"seed": 3}
