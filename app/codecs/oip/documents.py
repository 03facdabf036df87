"""The JSON of a request, parsed: that of many numbers without an object per number."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from app.codecs import quick
from app.codecs.json import decode_surely
from app.codecs.small import SMALL

DATA = "data"
"""What holds the numbers of a tensor."""


def document_of(text: bytes) -> Mapping[str, object]:
    """Parse JSON to its members, the quick way where it is open.

    Raises:
        MalformedBody: It is not JSON, even to a lenient reader.
        InvalidInput: It is no object, or names a member twice.
    """
    found = quick_document(text) if len(text) >= SMALL else None
    return decode_surely(text) if found is None else found


def quick_document(text: bytes) -> dict[str, Any] | None:
    """Parse JSON in which every ``data`` is nested lists of numbers.

    Returns:
        Its members, each ``data`` as an array of float64; None where it must go the sure way.
    """
    if quick.simdjson is None:
        return None
    try:
        document = value_of(quick.simdjson.Parser().parse(text))
    except quick.NOT_QUICK:
        return None
    # A list where its neighbours have a number shows in no shape, only in the count of all lists.
    lists = np.count_nonzero(np.frombuffer(text, np.uint8) == ord("["))
    return document if isinstance(document, dict) and lists == lists_in(document) else None


def value_of(value: Any) -> Any:
    """Make Python's own of a parsed value, but an array of what is called ``data``."""
    if isinstance(value, quick.simdjson.Object):
        return {name: quick.array_of(item) if name == DATA else value_of(item) for name, item in quick.members(value)}
    if isinstance(value, quick.simdjson.Array):
        return [value_of(item) for item in value]
    return value


def lists_in(value: object) -> int:
    """Count the lists that a value came in."""
    if isinstance(value, dict):
        return sum(map(lists_in, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(lists_in, value))
    return quick.lists_in(value) if isinstance(value, np.ndarray) else 0
