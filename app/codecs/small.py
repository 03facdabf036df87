"""Bodies of a few rows of numbers: parsed by orjson, for which making an object per number costs less than doing without.

Whatever is not such a body is left to the sure way, which also finds the words for what is wrong with it.
"""

from typing import Any

import numpy as np
import orjson

from gyoza.inference.plan import Floats

SMALL = 4096
"""So many bytes are a few rows."""
NUMBERS = frozenset({int, float})
NOT_SMALL = (ArithmeticError, ValueError, TypeError)
"""What the parser, and arrays of other things, raise."""


def small_fields(body: bytes) -> dict[str, Floats] | None:
    """Parse a body to its fields.

    Returns:
        Arrays [n, D] of float64; None where a field is anything but a list of lists of numbers, all of one length.
    """
    try:
        document = orjson.loads(body)
        # Outside of texts each key has one colon: another count means that a name was given twice, or an object within.
        if not isinstance(document, dict) or body.count(b":") != len(document):
            return None
        return {name: array_of(value) for name, value in document.items()}
    except NOT_SMALL:
        return None


def array_of(rows: Any) -> Floats:
    """Make an array of lists of numbers, refusing what NumPy would take for one.

    Raises:
        TypeError: A row is no list, or an entry no number.
        ValueError: The lengths differ, or there is nothing.
        OverflowError: A number is beyond float64.
    """
    for row in rows:
        if type(row) is not list or not NUMBERS.issuperset(map(type, row)):
            raise TypeError
    numbers: Floats = np.array(rows, np.float64)
    if numbers.ndim != 2 or not numbers.size:
        raise ValueError
    return numbers
