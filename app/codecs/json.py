"""JSON bodies: orjson and NumPy, with no Python object per number beyond those that the parser makes."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from app.codecs.base import Codec
from app.codecs.nests import JsonReader
from app.errors import FieldError, InvalidInput, MalformedBody
from app.tensors import Form

JSON_NAMES = {list: "an array", str: "a text", bool: "a boolean", int: "a number", float: "a number"}


def decode(body: bytes) -> dict[str, object]:
    """Parse a body to its fields.

    Raises:
        MalformedBody: It is not JSON, even to a lenient reader.
        InvalidInput: It is no object, or names a field twice.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = decode_leniently(body)
    if not isinstance(value, dict):
        raise InvalidInput(
            FieldError("body", f"must be a JSON object. Received: {JSON_NAMES.get(type(value), 'null')}")
        )
    # Outside of texts each key has one colon: a count that differs calls for the slow, sure way.
    if body.count(b":") != count_keys(value):
        decode_leniently(body)
    return value


def decode_leniently(body: bytes) -> object:
    """Parse JSON that may hold NaN and Infinity, so that the refusal can name their place.

    Raises:
        MalformedBody: It is not JSON even so.
        InvalidInput: An object names a field twice.
    """
    try:
        return json.loads(body, object_pairs_hook=unique)
    except RecursionError as error:
        raise MalformedBody(
            "The body must be JSON, and is nested too deeply to be read. Send it nested less deeply."
        ) from error
    except ValueError as error:
        raise MalformedBody(
            f"The body must be JSON. It can't be read: {error}. Send one JSON object, as the page /docs shows."
        ) from error


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object of its members, of which no two may have one name."""
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(FieldError(twice, "must be given once. Received: it twice or more"))
    return members


def count_keys(value: object) -> int:
    """Count the keys of nested objects; lists are only entered where they begin with an object."""
    if isinstance(value, dict):
        return len(value) + sum(map(count_keys, value.values()))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sum(map(count_keys, value))
    return 0


def encode(fields: Mapping[str, Any], form: Form) -> bytes:
    """Write fields; arrays of two axes or more are tensors and take the form, those of one axis are lists always."""
    return orjson.dumps(
        {name: written(value, form) for name, value in fields.items()}, option=orjson.OPT_SERIALIZE_NUMPY
    )


def written(value: Any, form: Form) -> Any:
    """Return what orjson writes for one value."""
    if isinstance(value, Mapping):
        return {name: written(item, form) for name, item in value.items()}
    if not isinstance(value, np.ndarray):
        return value
    if form is Form.LISTS or value.ndim == 1:
        return np.ascontiguousarray(value)
    data = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
    return {"dtype": value.dtype.name, "shape": value.shape, "base64": base64.b64encode(data.tobytes()).decode("ascii")}


CODEC = Codec("application/json", decode, JsonReader, encode)
