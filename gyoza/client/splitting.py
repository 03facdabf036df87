"""Many rows cut into parts that the service takes at once, and their results put together again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gyoza.client.formats import Fields, Format

__all__ = ["MOST_BYTES", "MOST_ROWS", "cut", "halved", "joined", "parts", "row_bytes", "row_count"]

MOST_ROWS = 1024
"""Rows of a part: a batch of the service's, unless it is told otherwise. More at once are no faster there."""
MOST_BYTES = 8 * 2**20
"""Bytes of a part's body: half of what the service takes as JSON."""


def parts(rows: int, most: int) -> list[slice]:
    """Cut so many rows into parts of nearly one size, of at most ``most`` rows.

    Example:
        >>> parts(5, 2)
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    count = -(-rows // most)
    sizes = [rows // count + (number < rows % count) for number in range(count)]
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def halved(pieces: Sequence[slice]) -> list[slice]:
    """Cut every part in two, but those of a single row.

    Example:
        >>> halved([slice(0, 3), slice(3, 4)])
        [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    middles = [-(-(piece.start + piece.stop) // 2) for piece in pieces]
    cuts = [
        (slice(piece.start, middle), slice(middle, piece.stop)) for piece, middle in zip(pieces, middles, strict=True)
    ]
    return [half for both in cuts for half in both if half.stop > half.start]


def arrays(fields: Fields, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the arrays in fields, by their paths."""
    for name, value in fields.items():
        if isinstance(value, np.ndarray):
            yield f"{path}{name}", value
        elif isinstance(value, Mapping):
            yield from arrays(value, f"{path}{name}.")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            yield from arrays({str(index): inner for index, inner in enumerate(value)}, f"{path}{name}.")


def row_count(fields: Fields) -> int:
    """Return how many rows a request has: those of its first array; the others have as many, or one for all.

    Raises:
        ValueError: An array has another number of rows.
    """
    (first, array), *others = arrays(fields)
    for name, other in others:
        if len(other) not in {1, len(array)}:
            raise ValueError(
                f"{name} must have as many rows as {first}, {len(array)}, or one. Received: shape={other.shape}"
            )
    return len(array)


def row_bytes(fields: Fields, rows: int, format: Format) -> float:
    """Return how many bytes one row takes in a body, at most."""
    return sum(format.size(array) for _, array in arrays(fields) if len(array) == rows) / rows


def cut(value: Any, rows: int, part: slice) -> Any:
    """Return a part of the rows of all arrays in a value; those with one row for all are left as they are."""
    if isinstance(value, np.ndarray):
        return value[part] if len(value) == rows else value
    if isinstance(value, Mapping):
        return {name: cut(inner, rows, part) for name, inner in value.items()}
    return [cut(inner, rows, part) for inner in value] if isinstance(value, list | tuple) else value


def joined(results: Sequence[Fields]) -> dict[str, Any]:
    """Put the results of parts together: arrays row below row, of all else the first one's.

    Example:
        >>> joined([{"logdet": np.zeros(2), "model": "digits"}, {"logdet": np.ones(1), "model": "digits"}])
        {'logdet': array([0., 0., 1.]), 'model': 'digits'}
    """
    fields: dict[str, Any] = {}
    for name, value in results[0].items():
        if isinstance(value, np.ndarray):
            fields[name] = np.concatenate([result[name] for result in results])
        elif isinstance(value, Mapping):
            fields[name] = joined([result[name] for result in results])
        else:
            fields[name] = value
    return fields
