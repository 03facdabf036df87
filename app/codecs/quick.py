"""Bodies of nested lists and nothing else, by far the most JSON ones: parsed to arrays, with no object per number.

Whatever is not such a body is left to the sure way, which also finds the words for what is wrong with it.
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import accumulate, chain
from operator import mul
from typing import Any

import numpy as np

from gyoza.inference.plan import Floats

simdjson: Any = import_module("simdjson") if find_spec("simdjson") else None
"""The parser; there is none for the newest Pythons, where every body then goes the sure way."""

MOST_FIELDS = 64
"""Each field is looked for among all of them: of more, that would take long."""
MOST_AXES = 8
NOT_QUICK = (ValueError, TypeError, LookupError, RuntimeError, MemoryError)
"""What the parser and lists of other shapes raise."""


def quick_fields(body: bytes) -> dict[str, Any] | None:
    """Parse a body to its fields.

    Returns:
        Arrays of float64, and objects of arrays; None where the body must go the sure way.
    """
    if simdjson is None:
        return None
    try:
        fields = {name: value_of(value) for name, value in members(simdjson.Parser().parse(body))}
    except NOT_QUICK:
        return None
    # A list where its neighbours have a number shows in no shape, only in the count of all lists.
    lists = np.count_nonzero(np.frombuffer(body, np.uint8) == ord("["))
    return fields if lists == sum(map(lists_in, fields.values())) else None


def members(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield the members of an object with few of them, each name once.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(document, simdjson.Object) or len(document) > MOST_FIELDS:
        raise ValueError
    names = list(document)
    if len(set(names)) != len(names):
        raise ValueError
    for name in names:
        yield name, document[name]


def value_of(value: Any) -> Floats | dict[str, Floats]:
    """Make an array of lists, or arrays of an object of lists."""
    if isinstance(value, simdjson.Object):
        return {name: array_of(item) for name, item in members(value)}
    return array_of(value)


def array_of(value: Any) -> Floats:
    """Make an array of lists.

    Raises:
        ValueError: They have different lengths, hold something else, or the value is none.
    """
    if not isinstance(value, simdjson.Array):
        raise TypeError
    numbers: Floats = np.frombuffer(value.as_buffer(of_type="d"))
    return numbers.reshape(shape_of(value))


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the lengths of lists in lists, which must be the same at each depth."""
    shape, level = [len(value)], value
    for axis in range(depth_of(value) - 1):
        if axis:
            level = list(chain.from_iterable(level))
        (size,) = set(map(len, level))
        shape.append(size)
    return tuple(shape)


def depth_of(value: Any) -> int:
    """Count the axes that a nest has if it is regular, as its first entries tell."""
    depth = 0
    while isinstance(value, simdjson.Array) and depth <= MOST_AXES:
        depth, value = depth + 1, value[0]
    if depth > MOST_AXES:
        raise ValueError
    return depth


def lists_in(value: Floats | dict[str, Floats]) -> int:
    """Count the lists that an array, or those of an object, came in."""
    if isinstance(value, dict):
        return sum(map(lists_in, value.values()))
    lists: int = sum(accumulate(value.shape[:-1], mul))
    return 1 + lists
