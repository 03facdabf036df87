"""How deep values are nested is told without recursion."""

from typing import Any

import pytest

from gyoza.inference.files.depth import is_nested_within


@pytest.mark.parametrize(
    ("value", "levels"),
    [(3, 0), ([], 1), ({}, 1), ([1, "a"], 1), ({"a": [1], "b": 2}, 2), ([{"a": {"b": []}}, 1], 4)],
)
def test_levels_are_counted(value: Any, levels: int) -> None:
    """As many levels as there are pass, and one less does not."""
    assert is_nested_within(value, levels)
    assert not levels or not is_nested_within(value, levels - 1)


def test_any_depth_is_told() -> None:
    """Deeper than Python can recurse."""
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    assert not is_nested_within(value, 1000)
