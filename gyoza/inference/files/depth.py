"""How deep values of JSON or TOML are nested, told before anything walks them that would run out of stack."""

from collections.abc import Iterator
from typing import Any

__all__ = ["is_nested_within"]


def is_nested_within(value: Any, levels: int) -> bool:
    """Whether dicts and lists stand in each other no deeper than so many levels.

    Args:
        value: What was parsed.
        levels: The most that may be: 0 for a number or a text, 1 for a list of those, and so on.
    """
    nests = [item for item in [value] if isinstance(item, dict | list)]
    for _ in range(levels):
        nests = [item for nest in nests for item in inside(nest)]
    return not nests


def inside(nest: dict[str, Any] | list[Any]) -> Iterator[dict[str, Any] | list[Any]]:
    """Yield the dicts and lists that stand in a dict or a list."""
    for item in nest.values() if isinstance(nest, dict) else nest:
        if isinstance(item, dict | list):
            yield item
