"""What a file of weights may hold: arrays of numbers as Keras writes them, each once, and nothing that lies elsewhere.

HDF5 can do more: links into other files, arrays whose numbers lie in other files or are computed, filters that inflate,
shapes for which nothing was stored. None of it is in a file that Keras wrote, and each can be turned against who reads it.
"""

from collections.abc import Iterator
from math import prod
from typing import Any

import h5py

from gyoza.inference.files.rules import require

__all__ = ["UNREADABLE", "count_numbers"]

MOST_OBJECTS = 100_000
"""Groups and arrays of a file: a thousand layers with an optimizer's state take a tenth of that."""
DEEPEST = 100
"""Levels of groups: a layer takes two, in a config of which each takes four of a hundred. Naming a group takes as long as it
is deep."""
MOST_ATTRIBUTES = 16
"""Of an object; Keras writes one or two."""
KINDS = frozenset("fiubV")
"""Kinds of numbers; V is what NumPy sees of bfloat16."""
UNREADABLE = (OSError, KeyError, RuntimeError, ValueError, TypeError, ArithmeticError)
"""What h5py may raise where a file is damaged."""


def count_numbers(file: h5py.File, size: int) -> int:
    """Count the numbers that a file of weights holds, after a look at everything in it.

    Args:
        file: The file; no array of it is read.
        size: Its bytes.

    Returns:
        The numbers in all arrays.

    Raises:
        ValueError: It holds something that Keras does not write; the text says where.
        Exception: One of ``UNREADABLE``: it is damaged.
    """
    arrays = [item for item in objects(file) if isinstance(item, h5py.Dataset)]
    for array in arrays:
        check_array(array)
    stored = sum(prod(array.shape) * array.dtype.itemsize for array in arrays)
    require(stored <= size, f"its arrays must lie in the file's {size:,} bytes. Received: arrays of {stored:,} bytes")
    return sum(prod(array.shape) for array in arrays)


def objects(file: h5py.File) -> Iterator[Any]:
    """Yield the groups and arrays of a file; each may stand in one place only, so that no path leads round in a circle."""
    seen, waiting = {file["/"]}, [(file["/"], 0)]
    while waiting:
        found, depth = waiting.pop()
        check_object(found)
        yield found
        for item in members(found) if isinstance(found, h5py.Group) else ():
            if item in seen:
                raise ValueError(f"{item.name!r:.80} must stand in one place. Received: one that is linked twice")
            seen.add(item)
            waiting.append((item, depth + 1))
        require(len(seen) <= MOST_OBJECTS, f"it must hold at most {MOST_OBJECTS:,} groups and arrays. Received: more")
        require(depth < DEEPEST, f"its groups must be nested at most {DEEPEST} levels deep. Received: more")


def members(group: h5py.Group) -> Iterator[Any]:
    """Yield what stands in a group, all of it in the same file."""
    for name in group:
        link = type(group.get(name, getlink=True))
        if link is not h5py.HardLink:
            raise ValueError(
                f"{name!r:.80} in {group.name!r:.80} must be in the file itself. Received: {link.__name__}"
            )
        yield group[name]


def check_object(item: Any) -> None:
    """Refuse what is neither a group nor an array, or bears attributes that Keras does not write."""
    if not isinstance(item, h5py.Group | h5py.Dataset):
        raise TypeError(f"{item.name!r:.80} must be a group or an array. Received: {type(item).__name__}")
    attributes = item.attrs
    if len(attributes) > MOST_ATTRIBUTES or any(attributes.get_id(name).shape != () for name in attributes):
        raise ValueError(
            f"{item.name!r:.80} must have at most {MOST_ATTRIBUTES} attributes, of one value each. Received: others"
        )


def check_array(array: h5py.Dataset) -> None:
    """Refuse an array that is not one of numbers, or of which not every number is stored in the file as it is."""
    where = f"{array.name!r:.80}"
    require(
        array.dtype.kind in KINDS and array.dtype.fields is None and array.dtype.subdtype is None,
        f"{where} must be an array of numbers. Received: {array.dtype!s:.80}",
    )
    require(
        not array.external and not array.is_virtual,
        f"the numbers of {where} must be in the file itself. Received: an array whose numbers are elsewhere",
    )
    require(array.chunks is None, f"the numbers of {where} must be stored as they are. Received: chunks, or a filter")
    expected, stored = prod(array.shape) * array.dtype.itemsize, array.id.get_storage_size()
    require(
        stored == expected,
        f"{where} of the shape {list(array.shape)} must store {expected:,} bytes. Received: {stored:,}",
    )
