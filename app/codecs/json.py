"""JSON bodies: small ones and most large ones are parsed to arrays in a short way, all others in a sure one."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from app.codecs.base import Codec
from app.codecs.nests import JsonReader
from app.codecs.quick import quick_fields
from app.codecs.small import SMALL, small_fields
from app.errors import FieldError, InvalidInput, MalformedBody
from app.tensors import Form
from gyoza.inference.plan import Floats

JSON_NAMES = {list: "an array", str: "a text", bool: "a boolean", int: "a number", float: "a number"}


MOST_KEYS = 20_000
"""Each that is wrong would be a finding, which takes some 3 kB."""
TOO_DEEP = "The body must be JSON, and is nested too deeply to be read. Send it nested less deeply."


def decode(body: bytes) -> Mapping[str, object]:
    """Parse a body to its fields, the quick way where it is open.

    Raises:
        MalformedBody: It is not JSON, even to a lenient reader.
        InvalidInput: It is no object, or names a field twice.
    """
    parse: Callable[[bytes], Mapping[str, object] | None] = small_fields if len(body) < SMALL else quick_fields
    return parse(body) or decode_surely(body)


def decode_surely(body: bytes) -> dict[str, object]:
    """Parse any body to its fields, of which no two may have one name.

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
    if (keys := keys_in(value)) > MOST_KEYS:
        raise InvalidInput(FieldError("body", f"may have at most {MOST_KEYS} keys in all. Received: {keys}"))
    # Outside of texts each key has one colon: a count that differs calls for the slow, sure way.
    if body.count(b":") != keys:
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
        raise MalformedBody(TOO_DEEP) from error
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


def keys_in(value: object) -> int:
    """Count the keys of nested objects.

    Raises:
        MalformedBody: They are nested too deeply.
    """
    try:
        return count_keys(value)
    except RecursionError as error:
        raise MalformedBody(TOO_DEEP) from error


def count_keys(value: object) -> int:
    """Count the keys of nested objects; lists are only entered where they begin with an object."""
    if isinstance(value, dict):
        return len(value) + sum(map(count_keys, value.values()))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sum(map(count_keys, value))
    return 0


def encode(fields: Mapping[str, Any], form: Form) -> bytes:
    """Write fields; arrays of two axes or more are tensors and take the form, those of one axis are lists always."""
    return orjson.dumps(written(fields, form), option=orjson.OPT_SERIALIZE_NUMPY)


def written(fields: Mapping[str, Any], form: Form) -> dict[str, Any]:
    """Return what orjson writes for an object."""
    values = {}
    for name, value in fields.items():
        if isinstance(value, np.ndarray):
            values[name] = written_array(value, form)
        elif isinstance(value, dict):
            values[name] = written(value, form)
        else:
            values[name] = value
    return values


def written_array(array: Floats, form: Form) -> Any:
    """Return what orjson writes for one array."""
    if form is Form.LISTS or array.ndim == 1:
        return np.ascontiguousarray(array)
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {"dtype": array.dtype.name, "shape": array.shape, "base64": base64.b64encode(data.tobytes()).decode("ascii")}


CODEC = Codec("application/json", decode, JsonReader, encode)
